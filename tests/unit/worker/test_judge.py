# SPDX-License-Identifier: Apache-2.0
"""How a worker judges other processes, and what it says before an item can harm it."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from worker.oscar_batch_worker import Attempt, Chunk, Item, Judge, Timing, Worker

DEAD = SimpleNamespace(document={"state": "working"}, modified=0.0, server_time=10_000.0)


class Folder:
    """A run folder in which one process beat for the last time long ago."""

    def __init__(self) -> None:
        self.s3 = SimpleNamespace(failed_at=None)

    def read(self, name: str) -> Any:
        return DEAD


def judge_at(*times: float, failed_at: float | None) -> list[bool]:
    folder: Any = Folder()
    folder.s3.failed_at = failed_at
    now = [0.0]
    judge = Judge(folder, Timing(), lambda: now[0])
    found = []
    for now[0] in times:
        found.append(judge.is_gone("0001-00001-aaaaaaaa", ""))
    return found


def test_two_looks_with_a_gap_find_a_dead_process() -> None:
    assert judge_at(0, 44, failed_at=None) == [False, False]
    assert judge_at(0, 45, failed_at=None) == [False, True]


def test_a_dead_process_is_found_after_a_failed_call_too() -> None:
    # The looks until 50 s prove nothing; the one at 60 s is the first of two that do.
    assert judge_at(0, 50, 60, 104, failed_at=5) == [False] * 4
    assert judge_at(0, 50, 60, 105, failed_at=5)[-1] is True


class Noting(Worker):
    """A worker that says what it does with its items."""

    def __init__(self) -> None:
        self.jobs, self.ending, self.said = 1, None, list[tuple[str, int | None]]()

    def _list_unsettled(self, attempt: Attempt) -> Iterator[tuple[int, str]]:
        return iter([(1, "a"), (2, "b")])

    def _write_mark(self, attempt: Attempt) -> None:
        self.said.append(("mark", attempt.in_hand))

    def _open(self, line: int, key: str, *, in_background: bool) -> Item:
        self.said.append(("fetch", line))
        return Item(line, key, "/nowhere")


def test_a_cautious_attempt_says_which_item_is_next_before_it_fetches_its_input() -> None:
    # An input that fills the pod's disk ends the pod: that death is the item's own.
    worker, chunk = Noting(), Chunk(1, 1, 1, 2, 0, 0)
    for item in worker.items(Attempt(chunk, 2, "", 0.0)):
        worker.said.append(("item", item.line))
    marks = [("mark", 1), ("fetch", 1), ("item", 1), ("mark", 2), ("fetch", 2), ("item", 2)]
    assert worker.said == marks
