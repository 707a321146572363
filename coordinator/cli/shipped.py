# SPDX-License-Identifier: Apache-2.0
"""Finds the files that are shipped with the package, such as the worker kit."""

from __future__ import annotations

from pathlib import Path

from ..model.errors import ConfigError

_PACKAGE = Path(__file__).resolve().parents[1]


def find_shipped(path: str) -> Path:
    """A file by its path in the repository; a wheel has it inside the package."""
    root = _PACKAGE.parent if _PACKAGE.name == "coordinator" else _PACKAGE
    if (found := root / path).is_file():
        return found
    raise ConfigError([f"this installation has no {path}; install oscar-batch again"])
