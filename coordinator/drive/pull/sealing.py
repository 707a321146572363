# SPDX-License-Identifier: Apache-2.0
"""Seals chunks that are given up: the coordinator writes their results itself.

Items that are settled in the marks keep their outcomes; all others are pending. If the worker
writes its result first, that one counts, because results are *new* objects.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from ...model.errors import Conflict
from ...model.items import Chunk
from ...model.pull.documents import ChunkResult, ItemOutcome, ItemState, Mark
from ...report.values import BadDocument
from ...run.layout import ResultKey
from ...run.pull_documents import decode_document, encode_document
from ...storage.pages import ListQuery
from .ledger import Ledger
from .looks import MOST_RESULT_BYTES
from .pull_run import PullRun

log = logging.getLogger(__name__)

_JSON = "application/json"


def seal_chunks(
    run: PullRun, ledger: Ledger, chosen: Callable[[ResultKey], bool] = lambda key: True
) -> int:
    """Seals the chosen chunks of the round that have no result, and returns how many.

    Raises HeldByOther before a write if this coordinator no longer holds the run.
    """
    number = ledger.round.number
    wanted = [(key, chunk) for key, chunk in ledger.list_open() if chosen(key)]
    marks = _list_marks(run, number) if wanted else {}
    for key, chunk in wanted:
        run.lease.check_holder()
        found = marks.get((key.lane, key.chunk), {})
        settled = merge_marks([_read_mark(run, name) for _, name in sorted(found.items())], chunk)
        content = encode_document(_make_result(run, number, key, chunk, settled))
        # Without conditional writes the key has the attempt. Attempts of workers begin at 1.
        name = key if ledger.round.lanes.exclusive else ResultKey(key.lane, key.chunk, 0)
        with suppress(Conflict):  # its worker was faster
            run.state.put_new(run.layout.result(number, name), content, _JSON)
    if wanted:
        log.warning("%d chunks are given up: what is not settled of them is pending", len(wanted))
    return len(wanted)


def merge_marks(marks: list[Mark], chunk: Chunk) -> dict[int, ItemOutcome]:
    """The settled items of a chunk by line; where two marks disagree, the lower attempt wins."""
    settled: dict[int, ItemOutcome] = {}
    for mark in marks:
        for item in mark.items:
            if chunk.first_line <= item.line <= chunk.last_line:
                settled.setdefault(item.line, item)
    return settled


def _list_marks(run: PullRun, number: int) -> Mapping[tuple[int, int], dict[int, str]]:
    """The marks of each chunk: attempt → key."""
    found: dict[tuple[int, int], dict[int, str]] = defaultdict(dict)
    for page in run.state.list_objects(ListQuery(run.layout.marks(number))):
        for raw in page.keys:
            name = raw.decode(errors="replace")
            if (key := run.layout.parse_mark(number, name)) and key.attempt is not None:
                found[key.lane, key.chunk][key.attempt] = name
    return found


def _read_mark(run: PullRun, name: str) -> Mark:
    content = run.state.read_small(name, MOST_RESULT_BYTES)
    try:
        return decode_document(Mark, content or b"")
    except BadDocument as error:  # its items count as pending, and are processed again
        log.warning("%s/%s is no mark: %s", run.state.name, name, error)
        return Mark("", 0)


def _make_result(
    run: PullRun, number: int, key: ResultKey, chunk: Chunk, settled: Mapping[int, ItemOutcome]
) -> ChunkResult:
    def list_items() -> Iterator[ItemOutcome]:
        for line in range(chunk.first_line, chunk.last_line + 1):
            yield settled.get(line) or ItemOutcome(line, ItemState.PENDING)

    return ChunkResult(
        process=f"coordinator-{run.layout.epoch:04}",
        round=number,
        lane=key.lane,
        chunk=key.chunk,
        attempt=0,
        started="",
        finished="",
        sealed=True,
        items=tuple(list_items()),
    )
