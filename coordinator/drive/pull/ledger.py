# SPDX-License-Identifier: Apache-2.0
"""Counts the results of a run, round by round, into the accounts of its items.

One byte has the state of an item. From the second round on, another byte has the last round that
processed it. A round retries items of the round before, in the same order, so counting is enough to
map a line of a round's index to a line of the run's index; no table is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from ...model.errors import clean_text
from ...model.items import Chunk
from ...model.pull.documents import ChunkResult, ItemOutcome, ItemState
from ...model.pull.findings import MOST_FAILURES, Accounts, ItemFailure
from ...model.pull.lanes import find_worker
from ...model.pull.rounds import Round
from ...model.run import Outcome, State
from ...plan.measuring import Meter
from ...report.values import BadDocument
from ...run.layout import ResultKey
from .history import Recorder

PENDING, DONE, FAILED, FINAL, VANISHED = range(5)
"""FINAL: failed, and a retry cannot help. VANISHED: retried once."""
_STATES = {ItemState.PENDING: PENDING, ItemState.DONE: DONE, ItemState.FAILED: FAILED}
# Kinds of failures, see docs/protocol.md.
_FATES = {"killed its worker": FINAL, "missing": FINAL, "vanished": VANISHED}
_STATE, _VANISHED_BEFORE = 0x07, 0x08
# A round retries every item in one of these states, so each of them was in the last round.
_RETRIED = re.compile(
    b"[%c%c%c%c%c]"
    % (PENDING, FAILED, VANISHED, PENDING | _VANISHED_BEFORE, FAILED | _VANISHED_BEFORE)
)
# The states, reduced to three: pending, done, failed.
_WORDS = bytes(min(state & _STATE, FAILED) for state in range(256))


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

    def __init__(self, items: int, recorder: Recorder | None = None) -> None:
        """`recorder` gets every result that counts; a run has one for all its rounds."""
        self._recorder = recorder or Recorder()
        self.meter = Meter()
        """Measures the times of the chunks of the first round."""
        self.states = bytearray(items)
        """What is known of each line of the run's index."""
        self._rounds = bytearray()
        """The last round of each line, once there is a second one."""
        self._all: list[Round] = []
        self._starts: list[Mapping[int, int]] = []
        """For each round: the number of a chunk → the line of the run's index where it starts."""
        self._first: Mapping[int, Settled] = {}
        """The chunks of round 1."""
        self._chunks: dict[int, Chunk] = {}
        self._counted: Mapping[tuple[int, int], int | None] = {}
        self.settled: dict[int, Settled] = {}
        """The chunks of this round that have a result, by number."""
        self._failed_results: list[tuple[int, ResultKey]] = []
        self._failures: dict[int, ItemFailure] = {}
        self.done = self.failed = 0

    @property
    def round(self) -> Round:
        return self._all[-1]

    @property
    def open_chunks(self) -> int:
        return len(self._chunks) - len(self.settled)

    def begin_round(
        self, round_: Round, counted: Mapping[tuple[int, int], int | None] | None = None
    ) -> None:
        """Begins a round. From the second on, `choose_retries` must have chosen its items.

        `counted` names the attempt of each chunk that counts, if several may have left a result.
        Raises BadDocument if the round has other items.
        """
        wanted = len(self.states) if not self._all else self._rounds.count(round_.number)
        if round_.items != wanted or round_.number != len(self._all) + 1:
            raise BadDocument(
                f"round {round_.number} has {round_.items} items, and {wanted} belong to it"
            )
        self._all.append(round_)
        self._chunks = {chunk.number: chunk for chunk in round_.chunks}
        self._counted, self.settled = counted or {}, {}
        self._starts.append(dict(self._find_starts(round_)))
        if round_.number == 1:
            self._first = self.settled

    def choose_retries(self) -> int:
        """Chooses the items of the next round, which become pending; returns their number."""
        self._rounds = self._rounds or bytearray(len(self.states))
        number, chosen = len(self._all) + 1, 0
        for found in _RETRIED.finditer(self.states):
            line = found.start()
            state = self.states[line]
            vanished = state == VANISHED or state & _VANISHED_BEFORE
            self.failed -= state & _STATE != PENDING
            self.states[line] = PENDING | (_VANISHED_BEFORE if vanished else 0)
            self._rounds[line] = number
            self._failures.pop(line, None)
            chosen += 1
        return chosen

    def list_chosen(self) -> Iterator[bool]:
        """For each line of the index: whether the next round has it."""
        number = len(self._all) + 1
        return (found == number for found in self._rounds)

    def has_retries(self) -> bool:
        """Whether another round would have items."""
        return _RETRIED.search(self.states) is not None

    def count_open(self) -> dict[int, int]:
        """How many chunks of each lane of this round have no result."""
        found = dict(enumerate(self.round.lanes.counts, start=1))
        for each in self.settled.values():
            found[each.key.lane] -= 1
        return found

    def list_open(self) -> Iterator[tuple[ResultKey, Chunk]]:
        """The chunks of this round without a result."""
        for number, chunk in self._chunks.items():
            if number not in self.settled:
                yield ResultKey(*self.round.lanes.locate(number)), chunk

    def is_new(self, key: ResultKey) -> bool:
        """Whether a result is the first of a chunk of this round, and the one that counts."""
        try:
            number = self.round.lanes.find(key.lane, key.chunk)
        except ValueError:
            return False
        counts = not self._counted or self._counted.get((key.lane, key.chunk)) == key.attempt
        return number not in self.settled and counts

    def close(self, key: ResultKey) -> None:
        """Takes a chunk whose result cannot be read: its items stay pending."""
        number = self.round.lanes.find(key.lane, key.chunk)
        self.settled[number] = Settled(key, "", 0, 0, 0)

    def add(self, key: ResultKey, result: ChunkResult) -> None:
        """Takes the result of a chunk. Raises BadDocument, and takes nothing of it then."""
        number = self.round.lanes.find(key.lane, key.chunk)
        chunk = self._chunks[number]
        if (result.lane, result.chunk) != (key.lane, key.chunk):
            raise BadDocument(f"it is of chunk {result.chunk} of lane {result.lane}")
        found = bytearray(chunk.items)
        failures: list[tuple[int, ItemOutcome]] = []
        for item in result.items:
            at = item.line - chunk.first_line
            if not 0 <= at < chunk.items:
                raise BadDocument(f"line {item.line} is not one of the chunk's")
            if not found[at]:
                found[at] = _judge_outcome(item)
                failures += [(at, item)] if item.state is ItemState.FAILED else []
        self._store(number, chunk, found, failures)
        done = found.count(DONE)
        self.done, self.failed = self.done + done, self.failed + len(failures)
        number_of_round = self.round.number
        described = [(item, describe_failure(item, number_of_round)) for _, item in failures]
        self._recorder.add(result, done, described)
        if number_of_round == 1 and not result.sealed:
            seconds = sum(item.seconds for item in result.items)
            worker = find_worker(result.process)
            self.meter.add(worker, len(result.items), chunk.size_bytes, seconds)
        self.settled[number] = Settled(key, result.process, result.attempt, done, len(failures))
        if failures:
            self._failed_results.append((self.round.number, key))

    def account(self) -> Accounts:
        """What is known of the items now."""
        failures = [self._failures[line] for line in sorted(self._failures)]
        return Accounts(
            done=self.done,
            failed=self.failed,
            open_chunks=self.open_chunks,
            failures=tuple(failures),
            stealing=self.round.lanes.exclusive if self._all else True,
            rounds=len(self._all),
        )

    def list_outcomes(self) -> dict[int, Outcome]:
        """The chunks of the plan that have a result, by number, as the report shows them."""
        if not self._all:
            return {}
        chunks = {chunk.number: chunk for chunk in self._all[0].chunks}
        return {
            number: self._describe_chunk(chunks[number], each)
            for number, each in self._first.items()
        }

    def match_lines(self, wanted: int) -> Iterator[int]:
        """For each line: whether its state is `wanted` (PENDING, DONE, FAILED). Makes no copy."""
        matches = bytes(word == wanted for word in _WORDS)
        return map(matches.__getitem__, self.states)

    def list_failed_results(self) -> Iterator[tuple[int, ResultKey, Chunk, Sequence[int]]]:
        """The results with failed items: round, key, chunk, and lines of the run's index."""
        order = [
            (number, self._starts[number - 1][self._find(number, key)], key)
            for number, key in self._failed_results
        ]
        for number, start, key in sorted(order, key=lambda each: (each[1], each[0])):
            chunk = self._all[number - 1].chunks[self._find(number, key) - 1]
            yield number, key, chunk, self._list_chunk(number, start, chunk.items)

    def is_last_word(self, line: int, number: int) -> bool:
        """Whether no later round processed the item on this line of the run's index."""
        return max(1, self._rounds[line] if self._rounds else 1) == number

    def _find(self, number: int, key: ResultKey) -> int:
        return self._all[number - 1].lanes.find(key.lane, key.chunk)

    def _describe_chunk(self, chunk: Chunk, settled: Settled) -> Outcome:
        part = self.states[chunk.start : chunk.stop].translate(_WORDS)
        done, pending = part.count(DONE), part.count(PENDING)
        text = f"{done} done, {len(part) - done - pending} failed"
        text += f", {pending} pending" if pending else ""
        return Outcome(chunk, State.SETTLED, settled.attempt, settled.process, text)

    def _find_starts(self, round_: Round) -> Iterator[tuple[int, int]]:
        if round_.number == 1:
            yield from ((chunk.number, chunk.start) for chunk in round_.chunks)
            return
        lines = (found.start() for found in _match_rounds(round_.number).finditer(self._rounds))
        at = 0
        for chunk in sorted(round_.chunks, key=lambda chunk: chunk.start):
            line = next(islice(lines, chunk.start - at, None))
            at = chunk.start + 1
            yield chunk.number, line

    def _list_chunk(self, number: int, start: int, items: int) -> Sequence[int]:
        """The lines of the run's index of a chunk that starts at one of them."""
        if number == 1:
            return range(start, start + items)
        lines = _match_rounds(number).finditer(self._rounds, start)
        return [found.start() for found in islice(lines, items)]

    def _store(
        self, number: int, chunk: Chunk, found: bytearray, failures: list[tuple[int, ItemOutcome]]
    ) -> None:
        lines = self._list_chunk(self.round.number, self._starts[-1][number], chunk.items)
        if isinstance(lines, range):
            self.states[lines.start : lines.stop] = found
        else:
            for line, state in zip(lines, found, strict=True):
                self.states[line] = _take_state(self.states[line], state)
        for at, item in failures:
            line = lines[at]
            if len(self._failures) < MOST_FAILURES:
                self._failures[line] = describe_failure(item, self.round.number)


def _take_state(before: int, state: int) -> int:
    """The state after another round. An item that vanishes twice is not retried again."""
    if not before & _VANISHED_BEFORE:
        return state
    return FINAL if state == VANISHED else state | _VANISHED_BEFORE


def _judge_outcome(item: ItemOutcome) -> int:
    if item.state is ItemState.FAILED:
        return _FATES.get(item.kind, FAILED)
    return _STATES[item.state]


def _match_rounds(number: int) -> re.Pattern[bytes]:
    """Matches lines that this round or a later one processed."""
    return re.compile(b"[\\x%02x-\\xff]" % number, re.DOTALL)


def describe_failure(item: ItemOutcome, number: int = 1) -> ItemFailure:
    """Describes a failed item for the report. It was also tried in every earlier round."""
    tries = item.tries + number - 1
    reason = clean_text(item.reason) or item.kind or "the worker gave no reason"
    return ItemFailure(item.key, reason, item.kind, tries, item.stderr)
