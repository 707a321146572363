# SPDX-License-Identifier: Apache-2.0
"""Keeps a window of invocations in flight, and finds out which items have ended.

A look at the outputs of the items in flight costs OSCAR nothing, so that is done often. The list of
jobs is a hint for the rest, and costs OSCAR a call and many seconds for every 70 jobs. It is read
when nothing can be sent, and on average no more than one call is made in `Pauses.call_s`. Releases
that do not name jobs as asked tell only how many are active: then the oldest items in flight are
taken for the ended ones.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import islice

from ...model.cluster import UNTIMED, JobList, JobTimes, Phase
from ...model.errors import BatchError, ClusterError
from ...model.run import Invocation, Sent, State
from .judge import LineState, Output, judge_item
from .ledger import ItemLedger
from .order import Entry

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pauses:
    """The times of a run in event mode, in seconds."""

    look_s: float = 2.0
    """Between two looks at the outputs."""
    call_s: float = 30.0
    """At least so much for every call that lists jobs."""
    start_s: float = 900.0
    """If no job runs and none has started for so long, no more is waited for."""


@dataclass(slots=True)
class Flight:
    """An item whose invocation was sent."""

    entry: Entry
    job: str
    sent_s: float
    stamp: str | None
    """Of the output that was there before."""
    lane: int
    """From 1; no two flights have the same at the same time."""
    phase: Phase | None = Phase.PENDING
    seen: bool = False
    """Whether a list had its job."""
    guessed: bool = False
    """Whether it may be another job that ended."""
    times: JobTimes = UNTIMED
    """When its job started and ended, as far as a list had it."""


@dataclass(frozen=True, slots=True)
class Ports:
    """What a window needs of the world."""

    make: Callable[[Entry], Invocation]
    """Raises ValueError for an item that cannot be invoked."""
    send: Callable[[Sequence[Invocation]], Sequence[Sent]]
    find_stamp: Callable[[str], str | None] | None
    """What changes whenever the output of an item is written; None if there is no output. None
    instead of a function where the config does not say what the outputs are."""
    list_jobs: Callable[[], JobList]
    now_s: Callable[[], float]
    wait: Callable[[float], object]
    note_end: Callable[[Flight, LineState, str], None] = lambda flight, state, reason: None
    """Gets every flight that has ended, what became of its item, and why."""
    show: Callable[[int], None] = lambda in_flight: None
    """Shows how far the run is, after every look at so many items in flight."""


@dataclass(slots=True)
class Window:
    """Sends items and follows them until all have ended."""

    size: int
    ports: Ports
    ledger: ItemLedger
    named: bool
    """Whether jobs have the names that were asked for."""
    mount: bool
    """Whether the service has a mount, with which the phase of a job says nothing."""
    pauses: Pauses = field(default_factory=Pauses)
    refused: str = ""
    """Why OSCAR refused an invocation; nothing is sent after that."""
    waiting: int = 0
    """Jobs that OSCAR lists and that did not start in time; nothing is sent after that either."""
    _flights: list[Flight] = field(default_factory=list)
    """In the order in which they were sent."""
    _lanes: list[int] = field(default_factory=list)
    """A heap of the lanes that flights have left."""
    _next_list_s: float = 0.0

    def run(self, entries: Iterator[Entry]) -> None:
        """Sends all entries; returns when every one that was sent has ended."""
        self._next_list_s = self.ports.now_s() + self.pauses.call_s
        while True:
            batch = (
                []
                if self.refused or self.waiting
                else list(islice(entries, max(0, self.size - len(self._flights))))
            )
            if batch:
                self._send(batch)
            elif not self._flights:
                return
            self.ports.wait(self.pauses.look_s)
            in_flight = len(self._flights)
            self._look()
            self.ports.show(in_flight)

    def find_obstacle(self) -> str:
        """Why the run cannot go on now, and the same config continues it; empty if it can."""
        if self.refused:
            return f"OSCAR refused an invocation: {self.refused}"
        if not self.waiting:
            return ""
        return (
            f"{self.waiting} jobs have not started (the cluster is full, or lacks what they need), "
            "and will do their items if they do: drop the same config again to continue the run, "
            "or end it with `oscar-batch cancel`"
        )

    def adopt(self, entry: Entry, sent: Sent) -> None:
        """Follows an item whose invocation an earlier coordinator sent."""
        lost = sent.state is State.UNCERTAIN
        self.ledger.record(entry.line, LineState.UNPROVEN if lost else LineState.SENT)
        stamp = self._find_stamp(entry)
        self._add(entry, sent.invocation.job, self.ports.now_s(), stamp)

    def _add(self, entry: Entry, job: str, sent_s: float, stamp: str | None) -> None:
        lane = heappop(self._lanes) if self._lanes else len(self._flights) + 1
        self._flights.append(Flight(entry, job, sent_s, stamp, lane))

    def _send(self, batch: Sequence[Entry]) -> None:
        made: list[tuple[Entry, Invocation, str | None]] = []
        for entry in batch:
            try:
                made.append((entry, self.ports.make(entry), self._find_stamp(entry)))
            except ValueError as error:
                self.ledger.record(entry.line, LineState.FAILED, str(error))
        answers = self.ports.send([invocation for _, invocation, _ in made])
        sent_s = self.ports.now_s()
        for (entry, invocation, stamp), sent in zip(made, answers, strict=True):
            if sent.state in {State.INVOKED, State.UNCERTAIN}:
                lost = sent.state is State.UNCERTAIN
                self.ledger.record(entry.line, LineState.UNPROVEN if lost else LineState.SENT)
                self._add(entry, invocation.job, sent_s, stamp)
            elif sent.state is State.FAILED:
                self.refused = self.refused or sent.detail
        if any(sent.state is State.PENDING for sent in answers):
            raise KeyboardInterrupt  # it came while requests were sent

    def _find_stamp(self, entry: Entry) -> str | None:
        return self.ports.find_stamp(entry.key) if self.ports.find_stamp else None

    def _look(self) -> None:
        """Takes the items that have ended out of the window."""
        now_s = self.ports.now_s()
        # Younger items may well have ended by themselves before a list would be of use.
        waited_s = now_s - self._flights[0].sent_s if self._flights else 0.0
        if now_s >= self._next_list_s and waited_s >= self.pauses.call_s:
            self._note_phases(self._list_jobs())
        self._flights = [flight for flight in self._flights if not self._settle(flight)]
        if self._flights and self._is_stuck(now_s):
            for flight in self._flights:
                if not flight.seen:  # else its job may still do it, and nobody else should
                    self.ledger.record(flight.entry.line, LineState.PENDING)
            self.waiting = sum(flight.seen for flight in self._flights)
            log.warning("%d jobs have not started: not waited for", len(self._flights))
            self._flights = []

    def _list_jobs(self) -> JobList | None:
        jobs = None
        try:
            jobs = self.ports.list_jobs()
        except ClusterError as error:
            log.warning("%s", error)
        self._next_list_s = self.ports.now_s() + self.pauses.call_s * (jobs.calls if jobs else 1)
        return jobs

    def _note_phases(self, jobs: JobList | None) -> None:
        if jobs is None:
            return
        if self.named:
            self._note_named(jobs)
            return
        active = jobs.count_active()
        running = any(phase is Phase.RUNNING for phase in jobs.phases.values())
        for flight in self._flights:
            flight.phase = Phase.RUNNING if running else Phase.PENDING
        for flight in self._flights[: max(0, len(self._flights) - active)]:
            flight.phase, flight.guessed = Phase.SUCCEEDED, active > 0
        for flight in self._flights[max(0, len(self._flights) - active) :]:
            flight.seen = True

    def _note_named(self, jobs: JobList) -> None:
        """A job that is not listed is gone only if such jobs are listed at all.

        To users of OIDC, OSCAR does not list what was invoked with the token of a service.
        """
        listed = any(flight.job in jobs.phases for flight in self._flights)
        for flight in self._flights:
            if flight.job in jobs.phases:
                flight.phase, flight.seen = jobs.phases[flight.job], True
                flight.times = jobs.times.get(flight.job, UNTIMED)
            elif listed or flight.seen:
                flight.phase = None

    def _settle(self, flight: Flight) -> bool:
        """Whether the item of a flight has ended; records what became of it."""
        try:
            output = self._look_at_output(flight)
        except BatchError as error:  # of the storage: it is looked at again
            log.warning("%s", error)
            return False
        judged = judge_item(flight.phase, output, mount=self.mount)
        if judged is None:
            return False
        state, reason = judged
        if state is LineState.FAILED and flight.guessed:
            state, reason = LineState.UNCONFIRMED, ""
        self.ledger.record(flight.entry.line, state, reason)
        heappush(self._lanes, flight.lane)
        self.ports.note_end(flight, state, reason)
        return True

    def _look_at_output(self, flight: Flight) -> Output:
        if self.ports.find_stamp is None:
            return Output.UNKNOWN
        stamp = self.ports.find_stamp(flight.entry.key)
        if stamp is None:
            return Output.NONE
        return Output.OLD if stamp == flight.stamp else Output.NEW

    def _is_stuck(self, now_s: float) -> bool:
        """Whether no job runs and none has started for so long that none will."""
        return all(
            flight.phase is Phase.PENDING and now_s - flight.sent_s > self.pauses.start_s
            for flight in self._flights
        )
