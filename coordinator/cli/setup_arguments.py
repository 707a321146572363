# SPDX-License-Identifier: Apache-2.0
"""The options of the verbs that come before a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

DOCUMENTS = (
    "config",
    "report",
    "plan",
    "progress",
    "status",
    "runs",
    "capacity",
    "doctor",
    "end",
    "items",
)
"""The documents that have a JSON Schema."""
SHELLS = ("bash", "zsh", "fish")


def add_setup_verbs(verbs: Any) -> frozenset[str]:
    """Adds the verbs to those of the parser; their names."""
    before = set(verbs.choices)
    validate = verbs.add_parser("validate", help="check a config without contacting anything")
    validate.add_argument("config", type=Path, metavar="CONFIG")
    validate.add_argument(
        "--in-service",
        action="store_true",
        help="check it as the coordinator's service does, which has its own credentials",
    )
    doctor = verbs.add_parser(
        "doctor", help="check everything that a run needs, without starting anything"
    )
    doctor.add_argument("config", type=Path, metavar="CONFIG")
    doctor.add_argument(
        "--service", default="oscar-batch", metavar="NAME", help="the coordinator's service"
    )
    doctor.add_argument("--json", action="store_true", help="print JSON")
    _add_init(verbs.add_parser("init", help="write a config for a service and a bucket"))
    schema = verbs.add_parser(
        "schema", help="print the JSON Schema of a config, for editors, or of another document"
    )
    schema.add_argument(
        "document",
        nargs="?",
        choices=DOCUMENTS,
        default="config",
        help="config is the default; report, plan, progress and end are files of a run, items is a "
        "line of failed.jsonl, pending.jsonl or skipped.jsonl; status, runs, capacity and doctor "
        "are what these commands print with --json",
    )
    completion = verbs.add_parser("completion", help="print the completion script of a shell")
    completion.add_argument("shell", choices=SHELLS)
    return frozenset(set(verbs.choices) - before)


def _add_init(init: argparse.ArgumentParser) -> None:
    init.add_argument("--service", metavar="NAME", help="the service that processes the files")
    init.add_argument("--bucket", metavar="NAME", help="the bucket with the files")
    init.add_argument("--prefix", metavar="FOLDER", help="their folder (default: the whole bucket)")
    init.add_argument("--mode", choices=("pull", "range", "event"), help="(default: auto)")
    init.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="convert a config with credentials, such as the first oscar-batch tool's",
    )
    init.add_argument(
        "-o",
        dest="output",
        type=Path,
        default=Path("config.json"),
        metavar="FILE",
        help="the file to write (default: config.json)",
    )
    init.add_argument("--force", action="store_true", help="overwrite the file")
