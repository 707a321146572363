# SPDX-License-Identifier: Apache-2.0
"""`validate`: checks a config without contacting anything."""

from __future__ import annotations

import argparse

from .inputs import read_config


def execute(arguments: argparse.Namespace) -> int:
    """Prints what the config asks for. Raises ConfigError with all its problems."""
    config = read_config(arguments.config)
    print(f"{arguments.config}: valid")
    for name, value in config.describe().items():
        print(f"  {name}: {value}")
    return 0
