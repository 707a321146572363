# SPDX-License-Identifier: Apache-2.0
"""The ledger of a run → its lists of items in the bucket, streamed: done, failed, pending."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ...model.pull.findings import MOST_FAILURES, ItemFailure
from ...model.run import Plan
from ...run.layout import RunLayout
from ...storage.bucket import Bucket
from ..lines import join_lines, split_lines
from .judge import LineState
from .ledger import ItemLedger

_TEXT, _JSONL = "text/plain; charset=utf-8", "application/jsonl"


def write_item_files(
    state: Bucket, layout: RunLayout, plan: Plan, ledger: ItemLedger
) -> tuple[ItemFailure, ...]:
    """Writes done.txt, failed.jsonl and pending.jsonl, and returns the first failures.

    Raises StorageError. The index is read once for each of the lists.
    """
    failures: list[ItemFailure] = []

    def read_index() -> Iterator[tuple[int, bytes]]:
        return enumerate(split_lines(state.read_pieces(plan.index_key)))

    def list_done() -> Iterator[bytes]:
        return (key for line, key in read_index() if ledger.read(line) is LineState.DONE)

    def list_failed() -> Iterator[bytes]:
        for line, key in read_index():
            if ledger.read(line) is LineState.FAILED:
                found = ItemFailure(key.decode(), ledger.read_reason(line))
                if len(failures) < MOST_FAILURES:
                    failures.append(found)
                yield _encode(key=found.key, reason=found.reason, line=line + 1)

    def list_pending() -> Iterator[bytes]:
        for line, key in read_index():
            if (known := ledger.read(line)) not in {LineState.DONE, LineState.FAILED}:
                reason = ledger.read_reason(line) or known.name.lower()
                yield _encode(key=key.decode(), reason=reason, line=line + 1)

    state.write_lines(layout.done, join_lines(list_done()), _TEXT)
    state.write_lines(layout.failed, join_lines(list_failed()), _JSONL)
    state.write_lines(layout.pending, join_lines(list_pending()), _JSONL)
    return tuple(failures)


def _encode(**members: object) -> bytes:
    return json.dumps(members).encode()
