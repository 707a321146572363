# SPDX-License-Identifier: Apache-2.0
"""What coordinator and workers write while a run goes on ⇄ JSON.

A reader ignores members that it does not know, and refuses a `schema` that it does not know. Of
optional members `null` means the same as none at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, TypeVar

from ..model.errors import clean_text
from ..model.pull.documents import (
    Beat,
    ChunkResult,
    Claim,
    End,
    ItemOutcome,
    ItemState,
    LeaseDocument,
    Mark,
    Post,
)
from ..report.values import BadDocument, check_schema, read_value

Document = Beat | ChunkResult | Claim | End | LeaseDocument | Mark | Post
T = TypeVar("T", bound=Document)

_SCHEMAS: Mapping[type, str] = {
    Beat: "oscar-batch/beat/1",
    ChunkResult: "oscar-batch/result/1",
    Claim: "oscar-batch/claim/1",
    End: "oscar-batch/end/1",
    LeaseDocument: "oscar-batch/lease/1",
    Mark: "oscar-batch/mark/1",
    Post: "oscar-batch/post/1",
}
_STATES = {str(state): state for state in ItemState}
_TEXTS = ("key", "kind", "reason", "stderr")


def encode_document(document: Document) -> bytes:
    """A document as the content of its object."""
    members = {spec.name: getattr(document, spec.name) for spec in fields(document)}
    if isinstance(document, ChunkResult | Mark):
        members["items"] = [_write_outcome(item) for item in document.items]
    return json.dumps({"schema": _SCHEMAS[type(document)], **members}).encode()


def decode_document(kind: type[T], content: bytes) -> T:
    """The document in an object. Raises BadDocument."""
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadDocument("the document is not JSON") from error
    given = {k: v for k, v in check_schema(raw, _SCHEMAS[kind]).items() if v is not None}
    outcomes = given.pop("items", ())
    found = read_value(kind, given)
    if isinstance(found, ChunkResult | Mark):
        return replace(found, items=tuple(_read_outcomes(outcomes)))
    return found


def _write_outcome(item: ItemOutcome) -> dict[str, Any]:
    """Of an item that did not fail only what every item has."""
    members = asdict(item)
    if item.state is not ItemState.FAILED:
        for name in _TEXTS:
            del members[name]
    return members


def _read_outcomes(rows: object) -> Sequence[ItemOutcome]:
    """The outcomes of a chunk: there may be 10^7 in a run, so this is not `read_value`."""
    if not isinstance(rows, list | tuple):
        raise BadDocument("items: must be list")
    return [_read_outcome(row, number) for number, row in enumerate(rows)]


def _read_outcome(row: object, number: int) -> ItemOutcome:
    if not isinstance(row, dict):
        raise BadDocument(f"items[{number}]: must be dict")
    line, name = row.get("line"), row.get("state")
    state = _STATES.get(name) if isinstance(name, str) else None
    if type(line) is not int:
        raise BadDocument(f"items[{number}].line: must be int")
    if state is None:
        raise BadDocument(f"items[{number}].state: {clean_text(str(name), 80)!r} is not known")
    seconds, tries = row.get("seconds") or 0.0, row.get("tries") or 1
    if not isinstance(seconds, int | float) or not isinstance(tries, int):
        raise BadDocument(f"items[{number}]: seconds and tries must be numbers")
    if state is not ItemState.FAILED:
        return ItemOutcome(line, state, float(seconds), tries)
    return ItemOutcome(
        line, state, float(seconds), tries, *(str(row.get(name) or "") for name in _TEXTS)
    )
