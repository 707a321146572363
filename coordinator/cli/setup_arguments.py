# SPDX-License-Identifier: Apache-2.0
"""The options of the verbs that come before a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

DOCUMENTS = ("config", "report", "plan")
"""What has a JSON Schema; all but that of the config are files in `docs/`."""
SHELLS = ("bash", "zsh", "fish")


def add_setup_verbs(verbs: Any) -> frozenset[str]:
    """Adds the verbs to those of the parser; their names."""
    before = set(verbs.choices)
    validate = verbs.add_parser("validate", help="check a config without contacting anything")
    validate.add_argument("config", type=Path, metavar="CONFIG")
    validate.add_argument(
        "--in-service",
        action="store_true",
        help="check it as for the coordinator's service, which has credentials of its own",
    )
    schema = verbs.add_parser("schema", help="print the JSON Schema of a config, for editors")
    schema.add_argument(
        "document", nargs="?", choices=DOCUMENTS, default="config", help="of what (default: config)"
    )
    completion = verbs.add_parser("completion", help="print what completes commands in a shell")
    completion.add_argument("shell", choices=SHELLS)
    return frozenset(set(verbs.choices) - before)
