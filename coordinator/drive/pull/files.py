# SPDX-License-Identifier: Apache-2.0
"""The ledger of a run → its lists of items in the bucket, streamed: done, failed, pending."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress

from ...model.errors import StorageError
from ...model.pull.documents import ChunkResult, ItemState
from ...model.run import Plan
from ...report.values import BadDocument
from ...run.item_files import FailedItem, ItemLists, write_item_lists
from ...run.layout import RunLayout
from ...run.lines import join_lines, split_lines
from ...run.pull_documents import decode_document
from ...storage.bucket import Bucket
from .ledger import DONE, PENDING, Ledger, describe_failure
from .looks import MOST_RESULT_BYTES
from .rounds import encode_counted


def write_item_files(state: Bucket, layout: RunLayout, plan: Plan, ledger: Ledger) -> None:
    """Writes the lists of items of a run that is over. Raises StorageError."""

    def list_lines(wanted: int) -> Iterator[bytes]:
        lines = split_lines(state.read_pieces(plan.index_key))
        return compress(lines, ledger.match_lines(wanted))

    lists = ItemLists(
        done=lambda: list_lines(DONE),
        failed=lambda: _list_failures(state, layout, ledger),
        pending=lambda: ((line, "") for line in list_lines(PENDING)),
        skipped=plan.index.skipped,
    )
    write_item_lists(state, layout, lists)
    write_counted(state, layout, ledger)


def write_counted(state: Bucket, layout: RunLayout, ledger: Ledger) -> None:
    """Records the first result of each chunk, which counts if a chunk has several results."""
    if ledger.round.lanes.exclusive:
        return
    key = layout.counted(ledger.round.number)
    if not state.exists(key):
        rows = (encode_counted(each.key) for each in ledger.settled.values())
        state.write_lines(key, join_lines(rows), "application/jsonl")


def _list_failures(state: Bucket, layout: RunLayout, ledger: Ledger) -> Iterator[FailedItem]:
    """Every item that failed in its last round. Reads results again, to keep none in memory."""
    for number, key, chunk, lines in ledger.list_failed_results():
        result = _read_result(state, layout.result(number, key))
        for item in result.items:
            if item.state is not ItemState.FAILED:
                continue
            line = lines[item.line - chunk.first_line]
            if ledger.is_last_word(line, number):
                found = describe_failure(item, number)
                yield FailedItem(
                    found.key,
                    found.reason,
                    found.attempts,
                    line + 1,
                    found.kind,
                    item.seconds,
                    found.stderr,
                )


def _read_result(state: Bucket, name: str) -> ChunkResult:
    content = state.read_small(name, MOST_RESULT_BYTES)
    try:
        return decode_document(ChunkResult, content or b"")
    except BadDocument as error:
        raise StorageError(f"{state.name}/{name} changed while the run ended") from error
