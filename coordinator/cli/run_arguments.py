# SPDX-License-Identifier: Apache-2.0
"""The options of the verbs for runs that were started."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_run_verbs(verbs: Any) -> frozenset[str]:
    """Adds the verbs to those of the parser; their names."""
    before = set(verbs.choices)
    status = verbs.add_parser("status", help="show how far a run is")
    _add_config(status)
    status.add_argument("run", nargs="?", metavar="RUN", help="(default: the newest of the config)")
    status.add_argument(
        "-f", "--follow", action="store_true", help="show it until the run has ended"
    )
    _add_config(verbs.add_parser("runs", help="list all runs of the state folder"))
    cancel = verbs.add_parser("cancel", help="end a run for good, with its workers")
    _add_config(cancel)
    cancel.add_argument("run", metavar="RUN", help="its id, as runs lists it")
    clean = verbs.add_parser("clean", help="remove the folders of runs that have ended")
    _add_config(clean)
    clean.add_argument("runs", nargs="*", metavar="RUN", help="(default: all that have ended)")
    clean.add_argument(
        "--older-than", type=float, metavar="DAYS", help="only runs that ended earlier"
    )
    clean.add_argument("--yes", action="store_true", help="without asking")
    return frozenset(set(verbs.choices) - before)


def _add_config(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("config", type=Path, metavar="CONFIG", help="config.json, or YAML")
    verb.add_argument("--json", action="store_true", help="print JSON")
