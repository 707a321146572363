# SPDX-License-Identifier: Apache-2.0
"""Reads the files that a verb needs, and checks its options like the keys of a config."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config.credentials import Platform
from ..config.document import MAX_BYTES
from ..config.load import Config, load_config
from ..config.schema import ConfigReader
from ..drive.bodies.template import find_template_problems
from ..model.errors import ConfigError, clean_text
from ..oscar.client import OscarClient
from .output import hide_in_log

POSTS_PER_S = 2.5
"""What the manager of OSCAR 4.1 sustains; older releases sustain half of it."""
# Of a cluster with 10,000 nodes, the status has about 10 MiB.
_LARGEST_ANSWER = 64 * 1024 * 1024


def read_config(path: Path | None) -> Config:
    """The config of a file. Raises ConfigError if there is none or it cannot be used."""
    if path is None:
        raise ConfigError(["name a config file, or see --help for what works without one"])
    config = load_config(read_bytes(path), read_platform(), find_template_problems)
    hide_in_log(config.secrets)
    return config


def read_platform() -> Platform:
    """What the environment offers. Its secrets are in no message from here on."""
    platform = Platform.from_environment(os.environ)
    hide_in_log(platform.secrets)
    return platform


def find_cluster(raw: Mapping[str, Any], platform: Platform) -> tuple[OscarClient, Platform]:
    """The client of the config's cluster, and what the environment offers. Raises ConfigError."""
    reader = ConfigReader(raw)
    access, problems = platform.choose_cluster(reader.values)
    if access is None or reader.problems:
        raise ConfigError([*reader.problems, *problems])
    return OscarClient(access), replace(platform, clusters=(access,))


def read_posts_per_s() -> float:
    """How many invocations a second are sent to OSCAR's manager.

    The default is what a manager sustains with its default settings. An administrator whose manager
    sustains more sets OSCAR_BATCH_POSTS_PER_S. Raises ConfigError.
    """
    text = os.environ.get("OSCAR_BATCH_POSTS_PER_S", "")
    try:
        found = float(text or POSTS_PER_S)
    except ValueError:
        found = 0.0
    if not 0.01 <= found <= 1e6:
        raise ConfigError(["OSCAR_BATCH_POSTS_PER_S: must be a number such as 2.5"])
    return found


def read_bytes(path: Path, *, most: int = MAX_BYTES) -> bytes:
    """The content of a file, and no more than a byte beyond this limit. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise ConfigError([f"cannot read {path}: {error.strerror}"]) from error


def read_json(path: Path) -> Any:
    """The decoded content of a file. Raises ConfigError."""
    try:
        return json.loads(read_bytes(path, most=_LARGEST_ANSWER))
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{path}: is not JSON: {clean_text(str(error))}"]) from error


def read_json_object(path: Path) -> dict[str, Any]:
    """The object in a file that holds an answer of OSCAR. Raises ConfigError."""
    raw = read_json(path)
    if not isinstance(raw, dict):
        raise ConfigError([f"{path}: is not a JSON object, as an answer of OSCAR is"])
    return raw


def check_plan_options(**options: object) -> dict[str, Any]:
    """Checks options like the config keys `plan.…` of the same name; returns all keys' values."""
    given = {name: value for name, value in options.items() if value is not None}
    reader = ConfigReader({"plan": given})
    problems = [problem for problem in reader.problems if problem.startswith("plan.")]
    if problems:
        raise ConfigError(problems)
    return reader.values
