# SPDX-License-Identifier: Apache-2.0
"""The results of a run, as they are read → the accounts of its items. One byte per item."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...model.errors import clean_text
from ...model.pull.documents import ChunkResult, ItemOutcome, ItemState
from ...model.pull.findings import MOST_FAILURES, ItemFailure
from ...model.pull.lanes import Lanes
from ...model.run import Outcome, Plan, State
from ...report.values import BadDocument
from ...run.layout import ResultKey
from .history import Recorder

PENDING, DONE, FAILED = 0, 1, 2
_STATES = {ItemState.PENDING: PENDING, ItemState.DONE: DONE, ItemState.FAILED: FAILED}


@dataclass(frozen=True, slots=True)
class Settled:
    """A chunk with a result."""

    key: ResultKey
    process: str
    attempt: int
    done: int
    failed: int


class Ledger:
    """Every item by line, and every chunk that has a result; the first result of a chunk counts."""

    def __init__(self, plan: Plan, lanes: Lanes, recorder: Recorder | None = None) -> None:
        """`recorder` gets every result that counts; a run has one for all its rounds."""
        self._lanes, self._recorder = lanes, recorder or Recorder()
        self._chunks = {chunk.number: chunk for chunk in plan.chunks}
        self.states = bytearray(plan.index.items)
        """The state of each line of the index."""
        self.settled: dict[int, Settled] = {}
        """By the number of the chunk."""
        self.failures: list[ItemFailure] = []
        self.done = self.failed = 0

    @property
    def open_chunks(self) -> int:
        return len(self._chunks) - len(self.settled)

    def count_open(self) -> dict[int, int]:
        """How many chunks of each lane have no result."""
        found = dict(enumerate(self._lanes.counts, start=1))
        for each in self.settled.values():
            found[each.key.lane] -= 1
        return found

    def is_new(self, key: ResultKey) -> bool:
        """Whether a result is the first of a chunk of this run."""
        try:
            return self._lanes.find(key.lane, key.chunk) not in self.settled
        except ValueError:
            return False

    def close(self, key: ResultKey) -> None:
        """Takes a chunk whose result cannot be read: its items stay pending."""
        number = self._lanes.find(key.lane, key.chunk)
        self.settled[number] = Settled(key, "", 0, 0, 0)

    def add(self, key: ResultKey, result: ChunkResult) -> None:
        """Takes the result of a chunk. Raises BadDocument, and takes nothing of it then."""
        number = self._lanes.find(key.lane, key.chunk)
        chunk = self._chunks[number]
        if (result.lane, result.chunk) != (key.lane, key.chunk):
            raise BadDocument(f"it is of chunk {result.chunk} of lane {result.lane}")
        found = bytearray(chunk.items)
        failures = []
        for item in result.items:
            if not chunk.first_line <= item.line <= chunk.last_line:
                raise BadDocument(f"line {item.line} is not one of the chunk's")
            if not found[item.line - chunk.first_line]:
                found[item.line - chunk.first_line] = _STATES[item.state]
                failures += [item] if item.state is ItemState.FAILED else []
        self.states[chunk.start : chunk.stop] = found
        done = found.count(DONE)
        self.done, self.failed = self.done + done, self.failed + len(failures)
        described = [(item, describe_failure(item)) for item in failures]
        self.failures += [each for _, each in described[: MOST_FAILURES - len(self.failures)]]
        self._recorder.add(result, done, described)
        self.settled[number] = Settled(key, result.process, result.attempt, done, len(failures))

    def list_outcomes(self) -> dict[int, Outcome]:
        """The chunks that have a result, by number, as the report shows them."""
        return {
            number: Outcome(
                self._chunks[number],
                State.SETTLED,
                each.attempt,
                each.process,
                f"{each.done} done, {each.failed} failed",
            )
            for number, each in self.settled.items()
        }

    def list_failed(self) -> Iterator[ResultKey]:
        """The results in which an item failed, in the order of the index."""
        order = sorted(self.settled, key=lambda number: self._chunks[number].start)
        return (self.settled[number].key for number in order if self.settled[number].failed)


def describe_failure(item: ItemOutcome) -> ItemFailure:
    """An item that failed, for people."""
    reason = clean_text(item.reason) or item.kind or "the worker gave no reason"
    return ItemFailure(item.key, reason, item.kind, item.tries, item.stderr)
