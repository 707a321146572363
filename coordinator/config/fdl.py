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

from ..model.errors import ConfigError
from .document import MAX_BYTES, decode_document


def read_definitions(fdl: Path, environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """The complete definitions of an FDL file. Raises ConfigError if one cannot be used."""
    return [_complete(raw, fdl, environ) for raw in _read_functions(fdl)]


def read_secrets(definition: Mapping[str, Any]) -> dict[str, str]:
    """The secrets of a definition: name → value, empty where the FDL leaves it so."""
    secrets = (definition.get("environment") or {}).get("secrets") or {}
    return {name: value or "" for name, value in secrets.items()}


def replace_secrets(definition: dict[str, Any], secrets: Mapping[str, str]) -> dict[str, Any]:
    """The definition with these secrets instead of its own."""
    if not read_secrets(definition):
        return definition
    return {**definition, "environment": {**definition["environment"], "secrets": dict(secrets)}}


def _read_functions(fdl: Path) -> list[dict[str, Any]]:
    """The definitions of an FDL. Its name of the cluster is ignored: the address decides."""
    try:
        raw = decode_document(fdl.read_bytes(), most_yaml=MAX_BYTES)
    except OSError as error:
        raise ConfigError([f"cannot read {fdl}: {error.strerror}"]) from error
    except ConfigError as error:
        raise ConfigError([f"{fdl}: {problem}" for problem in error.problems]) from error
    functions = raw.get("functions") if isinstance(raw, dict) else None
    entries = functions.get("oscar") if isinstance(functions, dict) else None
    if not isinstance(entries, list) or not all(_is_entry(entry) for entry in entries):
        raise ConfigError([f"{fdl}: is not an FDL file (functions: oscar: - cluster: …)"])
    clusters = {cluster for entry in entries for cluster in entry}
    if len(clusters) != 1:
        raise ConfigError([f"{fdl}: must be for one cluster, not {len(clusters)}"])
    # Storage providers may stand once beside the functions; each function needs them.
    shared = {key: raw[key] for key in ("storage_providers",) if raw.get(key)}
    return [{**shared, **definition} for entry in entries for definition in entry.values()]


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and all(isinstance(each, dict) for each in entry.values())


def _complete(definition: dict[str, Any], fdl: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    missing = [key for key in ("name", "image", "script") if not definition.get(key)]
    if missing:
        raise ConfigError([f"{fdl}: a function lacks {', '.join(missing)}"])
    if wrong := [key for key in ("name", "script") if not isinstance(definition[key], str)]:
        raise ConfigError([f"{fdl}: {' and '.join(wrong)} of a function must be a string"])
    _check_environment(definition, fdl)
    # OSCAR refuses a quantity that is a number and not a string.
    quantities: dict[str, Any] = {
        key: str(definition[key]) for key in ("cpu", "memory") if key in definition
    }
    text = _read_script(fdl, fdl.parent / definition["script"])
    completed = {**definition, **quantities, "script": text}
    secrets = read_secrets(definition)
    return replace_secrets(
        completed, {name: value or environ.get(name, "") for name, value in secrets.items()}
    )


def _check_environment(definition: Mapping[str, Any], fdl: Path) -> None:
    """Raises ConfigError unless the secrets are names with strings."""
    name, environment = definition["name"], definition.get("environment") or {}
    secrets = (environment.get("secrets") or {}) if isinstance(environment, dict) else None
    if not isinstance(secrets, dict):
        raise ConfigError(
            [f"{fdl}: environment and its secrets of {name} must be objects with keys"]
        )
    wrong = [key for key, value in secrets.items() if not isinstance(value, str | None)]
    if wrong:
        names = ", ".join(wrong)
        raise ConfigError([f"{fdl}: secrets of {name}: {names} must be strings; quote them"])


def _read_script(fdl: Path, script: Path) -> str:
    try:
        return script.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([f"{fdl}: cannot read the script {script}: {error.strerror}"]) from error
    except ValueError as error:  # UnicodeDecodeError, or no possible path
        raise ConfigError([f"{fdl}: the script {script} is not UTF-8 text"]) from error
