# SPDX-License-Identifier: Apache-2.0
"""The ledger of a run → its lists of items in the bucket, streamed: done, failed, pending."""

from __future__ import annotations

from collections.abc import Iterator

from ...model.pull.findings import MOST_FAILURES, ItemFailure
from ...model.run import Plan
from ...run.item_files import FailedItem, ItemLists, write_item_lists
from ...run.layout import RunLayout
from ...run.lines import split_lines
from ...storage.bucket import Bucket
from .judge import LineState
from .ledger import ItemLedger


def write_item_files(
    state: Bucket, layout: RunLayout, plan: Plan, ledger: ItemLedger
) -> tuple[ItemFailure, ...]:
    """Writes the lists of items, and returns the first failures.

    Raises StorageError. The index is read once for each of the lists.
    """
    failures: list[ItemFailure] = []

    def read_index() -> Iterator[tuple[int, bytes]]:
        return enumerate(split_lines(state.read_pieces(plan.index_key)))

    def list_done() -> Iterator[bytes]:
        return (key for line, key in read_index() if ledger.read(line) is LineState.DONE)

    def list_failed() -> Iterator[FailedItem]:
        failures.clear()
        for line, key in read_index():
            if ledger.read(line) is LineState.FAILED:
                found = ItemFailure(key.decode(), ledger.read_reason(line))
                if len(failures) < MOST_FAILURES:
                    failures.append(found)
                yield FailedItem(found.key, found.reason, 1, line + 1)

    def list_pending() -> Iterator[tuple[bytes, str]]:
        for line, key in read_index():
            if (known := ledger.read(line)) not in {LineState.DONE, LineState.FAILED}:
                yield key, ledger.read_reason(line) or known.name.lower()

    lists = ItemLists(list_done, list_failed, list_pending, plan.index.skipped)
    write_item_lists(state, layout, lists)
    return tuple(failures)
