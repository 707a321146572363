# SPDX-License-Identifier: Apache-2.0
"""The ledger of a run → its lists of items in the bucket, streamed: done, failed, pending."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from itertools import islice

from ...model.errors import StorageError
from ...model.pull.documents import ChunkResult, ItemState
from ...model.run import Plan
from ...report.values import BadDocument
from ...run.layout import RunLayout
from ...run.pull_documents import decode_document
from ...storage.bucket import Bucket
from .ledger import DONE, PENDING, Ledger, describe_failure
from .looks import MOST_RESULT_BYTES

log = logging.getLogger(__name__)

_TEXT, _JSONL = "text/plain; charset=utf-8", "application/jsonl"
# Lines that are written together.
_BATCH = 10_000


def write_item_files(state: Bucket, layout: RunLayout, plan: Plan, ledger: Ledger) -> None:
    """Writes done.txt, failed.jsonl and pending.jsonl. Raises StorageError."""

    def list_lines(wanted: int) -> Iterator[bytes]:
        lines = _read_lines(state.read_pieces(plan.index_key))
        pairs = zip(lines, ledger.states, strict=True)
        return (line for line, found in pairs if found == wanted)

    pending = (_write_pending(line) for line in list_lines(PENDING))
    failed = _list_failures(state, layout, ledger)
    state.write_lines(layout.done, _join(list_lines(DONE)), _TEXT)
    state.write_lines(layout.failed, _join(failed), _JSONL)
    state.write_lines(layout.pending, _join(pending), _JSONL)


def _list_failures(state: Bucket, layout: RunLayout, ledger: Ledger) -> Iterator[bytes]:
    """Every failed item as a line; its result is read once more, so that none is kept."""
    for key in ledger.list_failed():
        name = layout.result(1, key)
        try:
            content = state.read_small(name, MOST_RESULT_BYTES)
            result = decode_document(ChunkResult, content or b"")
        except BadDocument as error:
            raise StorageError(f"{state.name}/{name} changed while the run ended") from error
        for item in result.items:
            if item.state is ItemState.FAILED:
                found = describe_failure(item)
                members = {
                    "key": found.key,
                    "reason": found.reason,
                    "kind": found.kind,
                    "attempts": found.attempts,
                    "line": item.line,
                    "seconds": item.seconds,
                    "stderr": found.stderr,
                }
                yield json.dumps(members).encode() + b"\n"


def _write_pending(line: bytes) -> bytes:
    return json.dumps({"key": line[:-1].decode(errors="surrogateescape")}).encode() + b"\n"


def _read_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of an object, each with its line feed."""
    rest = b""
    for piece in pieces:
        lines = (rest + piece).splitlines(keepends=True)
        rest = b"" if lines and lines[-1].endswith(b"\n") else (lines.pop() if lines else b"")
        yield from lines
    if rest:
        yield rest


def _join(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Lines in pieces that are worth a request."""
    while batch := list(islice(lines, _BATCH)):
        yield b"".join(batch)
