# SPDX-License-Identifier: Apache-2.0
"""The ledger of a run → its lists of items in the bucket, streamed: done, failed, pending."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

from ...model.errors import StorageError
from ...model.pull.documents import ChunkResult, ItemState
from ...model.run import Plan
from ...report.values import BadDocument
from ...run.layout import RunLayout
from ...run.pull_documents import decode_document
from ...storage.bucket import Bucket
from ..lines import join_lines, split_lines
from .ledger import DONE, PENDING, Ledger, describe_failure
from .looks import MOST_RESULT_BYTES

log = logging.getLogger(__name__)

_TEXT, _JSONL = "text/plain; charset=utf-8", "application/jsonl"


def write_item_files(state: Bucket, layout: RunLayout, plan: Plan, ledger: Ledger) -> None:
    """Writes done.txt, failed.jsonl and pending.jsonl. Raises StorageError.

    Without conditional writes a chunk may have several results: counted.jsonl says which counts.
    """

    def list_lines(wanted: int) -> Iterator[bytes]:
        lines = split_lines(state.read_pieces(plan.index_key))
        pairs = zip(lines, ledger.states, strict=True)
        return (line for line, found in pairs if found == wanted)

    pending = (_write_pending(line) for line in list_lines(PENDING))
    failed = _list_failures(state, layout, ledger)
    state.write_lines(layout.done, join_lines(list_lines(DONE)), _TEXT)
    state.write_lines(layout.failed, join_lines(failed), _JSONL)
    state.write_lines(layout.pending, join_lines(pending), _JSONL)
    if plan.lanes and not plan.lanes.exclusive:
        state.write_lines(layout.counted(1), join_lines(_list_counted(ledger)), _JSONL)


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
                yield json.dumps(members).encode()


def _list_counted(ledger: Ledger) -> Iterator[bytes]:
    for each in ledger.settled.values():
        members = {"lane": each.key.lane, "chunk": each.key.chunk, "attempt": each.key.attempt}
        yield json.dumps(members).encode()


def _write_pending(line: bytes) -> bytes:
    return json.dumps({"key": line.decode(errors="surrogateescape")}).encode()
