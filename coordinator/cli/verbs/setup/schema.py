# SPDX-License-Identifier: Apache-2.0
"""`schema`: prints the JSON Schema of a config or of a document that a run leaves."""

from __future__ import annotations

import argparse
import json

from ....config.json_schema import make_config_schema
from ...output import write_stdout
from ...shipped import find_shipped


def execute(arguments: argparse.Namespace) -> int:
    """Prints the schema."""
    write_stdout(write_schema(arguments.document))
    return 0


def write_schema(document: str) -> str:
    """The JSON Schema of a kind of document."""
    if document == "config":
        return json.dumps(make_config_schema(), indent=2, ensure_ascii=False) + "\n"
    return find_shipped(f"docs/{document}.schema.json").read_text("utf-8")
