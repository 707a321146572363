# SPDX-License-Identifier: Apache-2.0
"""Reads an FDL file into complete service definitions, in the form of OSCAR's API.

The text of the script, a file beside the FDL, is put into the definition. If the FDL leaves a
secret empty, its value comes from the environment variable of the same name. So no credential need
be in a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..model.errors import ConfigError


def read_definitions(fdl: Path, environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """The complete definitions of an FDL file. Raises ConfigError if one cannot be used."""
    return [_complete(raw, fdl, environ) for raw in _read_functions(fdl)]


def read_secrets(definition: Mapping[str, Any]) -> dict[str, str]:
    """The secrets of a definition: name → value, empty where the FDL leaves it so."""
    return dict((definition.get("environment") or {}).get("secrets") or {})


def replace_secrets(definition: dict[str, Any], secrets: Mapping[str, str]) -> dict[str, Any]:
    """The definition with these secrets instead of its own."""
    if not read_secrets(definition):
        return definition
    return {**definition, "environment": {**definition["environment"], "secrets": dict(secrets)}}


def _read_functions(fdl: Path) -> list[dict[str, Any]]:
    """The definitions of an FDL. Its name of the cluster is ignored: the address decides."""
    try:
        raw = yaml.safe_load(fdl.read_text(encoding="utf-8"))
        entries = raw["functions"]["oscar"]
        clusters = {cluster for entry in entries for cluster in entry}
        # Storage providers may stand once beside the functions; each function needs them.
        shared = {key: raw[key] for key in ("storage_providers",) if raw.get(key)}
        definitions = [
            {**shared, **definition} for entry in entries for definition in entry.values()
        ]
    except OSError as error:
        raise ConfigError([f"cannot read {fdl}: {error.strerror}"]) from error
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(
            [f"{fdl}: is not an FDL file (functions: oscar: - cluster: …)"]
        ) from error
    if len(clusters) != 1:
        raise ConfigError([f"{fdl}: must be for one cluster, not {len(clusters)}"])
    return definitions


def _complete(definition: dict[str, Any], fdl: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    missing = [key for key in ("name", "image", "script") if not definition.get(key)]
    if missing:
        raise ConfigError([f"{fdl}: a function lacks {', '.join(missing)}"])
    script = fdl.parent / str(definition["script"])
    try:
        text = script.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([f"{fdl}: cannot read the script {script}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{fdl}: the script {script} is not UTF-8 text"]) from error
    # OSCAR refuses a quantity that is a number and not a string.
    quantities: dict[str, Any] = {
        key: str(definition[key]) for key in ("cpu", "memory") if key in definition
    }
    completed = {**definition, **quantities, "script": text}
    secrets = read_secrets(definition)
    return replace_secrets(
        completed, {name: value or environ.get(name, "") for name, value in secrets.items()}
    )
