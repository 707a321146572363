# SPDX-License-Identifier: Apache-2.0
"""`schema`: prints the JSON Schema of a config or of a document that a run leaves."""

from __future__ import annotations

import argparse
import json
from typing import Any

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
        return _encode(make_config_schema())
    if document == "capacity":
        return _encode(_make_capacity_schema())
    return find_shipped(f"docs/{document}.schema.json").read_text("utf-8")


def _make_capacity_schema() -> dict[str, Any]:
    """The part of the report that `capacity --json` prints."""
    report = json.loads(write_schema("report"))
    (part,) = [each for each in report["properties"]["capacity"]["anyOf"] if "properties" in each]
    head = {
        "$schema": report["$schema"],
        "$id": "capacity.schema.json",
        "title": "OSCAR-Batch capacity",
    }
    return {**head, **part}


def _encode(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
