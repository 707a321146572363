# SPDX-License-Identifier: Apache-2.0
"""Collects results of chunks, one by one, into the history of a run. Bounded memory. Pure."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import zip_longest
from math import frexp, inf

from ...model.items import Bin
from ...model.pull.documents import ChunkResult, ItemOutcome, ItemState
from ...model.pull.findings import ItemFailure
from ...model.pull.history import (
    MOST_EXAMPLES,
    MOST_REASONS,
    MOST_SLOWEST,
    MOST_SPANS,
    FailureGroup,
    History,
    SlowItem,
    Span,
)
from ...model.pull.lanes import find_worker
from ...model.selection import parse_time

# Bins end at powers of two, from a millisecond to two weeks.
_LEAST, _MOST = -10, 20

FindKey = Callable[[int, int], str]
"""The key of an item of a round and a line; empty if it is not known."""


class Recorder:
    """Collects what the report shows of the course of a run, over all its rounds."""

    def __init__(self, most: int = MOST_SPANS) -> None:
        self._most = most
        self._spans: dict[str, list[Span]] = {}
        """The spans of each process, in the order of their starts."""
        self._count = 0
        self._groups: dict[tuple[str, str], FailureGroup] = {}
        self._ungrouped = 0
        self._slowest: list[tuple[float, int, int, str, str]] = []
        """A heap of (seconds, round, line, worker, key): the first is the next to be dropped."""
        self._seconds: Counter[int] = Counter()
        self._keys: dict[tuple[int, int], str] = {}

    def add(
        self, result: ChunkResult, done: int, failures: Sequence[tuple[ItemOutcome, ItemFailure]]
    ) -> None:
        """Adds the result of a chunk that counts, and the keys of its failed items."""
        for _, failure in failures:
            self._add_failure(failure)
        if result.sealed:  # a coordinator wrote it, so its times are not those of work
            return
        self._add_span(result, done, len(failures))
        for item in result.items:
            if item.state is not ItemState.PENDING and 0 <= item.seconds < inf:
                self._seconds[min(_MOST, max(_LEAST, frexp(item.seconds)[1]))] += 1
                least = self._slowest[0][0] if len(self._slowest) == MOST_SLOWEST else -1.0
                if item.seconds > least:
                    self._add_slow(result, item)

    def make_history(self, find_key: FindKey = lambda round, line: "") -> History:
        """The history so far."""
        groups = sorted(self._groups.values(), key=lambda group: -group.count)
        return History(
            spans=tuple(span for spans in self._spans.values() for span in spans),
            groups=tuple(groups),
            ungrouped=self._ungrouped,
            slowest=tuple(
                SlowItem(seconds, number, line, worker, key or self._name(number, line, find_key))
                for seconds, number, line, worker, key in sorted(self._slowest, reverse=True)
            ),
            seconds=tuple(Bin(2.0**end, count) for end, count in sorted(self._seconds.items())),
        )

    def _name(self, number: int, line: int, find_key: FindKey) -> str:
        """The key of an item; looks it up if it is not known yet."""
        known = self._keys.get((number, line)) or find_key(number, line)
        self._keys[number, line] = known
        return known

    def _add_failure(self, failure: ItemFailure) -> None:
        name = failure.kind, failure.reason
        known = self._groups.get(name)
        if known is None and len(self._groups) == MOST_REASONS:
            self._ungrouped += 1
            return
        known = known or FailureGroup(failure.reason, failure.kind, 0)
        room = len(known.examples) < MOST_EXAMPLES
        examples = (*known.examples, failure) if room else known.examples
        self._groups[name] = replace(known, count=known.count + 1, examples=examples)

    def _add_slow(self, result: ChunkResult, item: ItemOutcome) -> None:
        worker = find_worker(result.process)
        entry = (item.seconds, result.round, item.line, worker, item.key)
        if len(self._slowest) < MOST_SLOWEST:
            heapq.heappush(self._slowest, entry)
        else:
            heapq.heapreplace(self._slowest, entry)

    def _add_span(self, result: ChunkResult, done: int, failed: int) -> None:
        started, finished = read_moment(result.started), read_moment(result.finished)
        if started is None or finished is None:
            return
        span = Span(
            worker=find_worker(result.process),
            started_at=started,
            finished_at=max(started, finished),
            round=result.round,
            lane=result.lane,
            chunk=result.chunk,
            attempt=result.attempt,
            done=done,
            failed=failed,
        )
        self.add_span(span, result.process)

    def add_span(self, span: Span, process: str) -> None:
        """Adds a time in which a process worked; successive ones are joined if there are many."""
        self._spans.setdefault(process, []).append(span)
        self._count += 1
        if self._count > self._most:
            self._merge_spans()

    def _merge_spans(self) -> None:
        """Joins every two spans of a process, which halves their number."""
        for process, spans in self._spans.items():
            spans.sort(key=lambda span: span.started_at)
            pairs = zip_longest(spans[::2], spans[1::2])
            self._spans[process] = [_merge(first, second) for first, second in pairs]
        self._count = sum(map(len, self._spans.values()))


def _merge(first: Span, second: Span | None) -> Span:
    if second is None:
        return first
    return replace(
        first,
        finished_at=max(first.finished_at, second.finished_at),
        chunks=first.chunks + second.chunks,
        attempt=max(first.attempt, second.attempt),
        done=first.done + second.done,
        failed=first.failed + second.failed,
    )


def read_moment(text: str) -> datetime | None:
    """Parses a time that a worker wrote, to whole milliseconds; None if it is not a time.

    Such times are only shown; no decision depends on them.
    """
    try:
        moment = parse_time(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
