# SPDX-License-Identifier: Apache-2.0
"""The window: never more in flight than it has room for, and few calls, on a virtual clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from coordinator.drive.jobs.judge import LineState
from coordinator.drive.jobs.ledger import ItemLedger
from coordinator.drive.jobs.order import Entry, order_items
from coordinator.drive.jobs.window import Ports, Window
from coordinator.model.cluster import JobList, Phase
from coordinator.model.errors import ClusterError, StorageError
from coordinator.model.items import Chunk
from coordinator.model.run import Invocation, Sent, State

DONE, FAILED, SENT = LineState.DONE, LineState.FAILED, LineState.SENT
PENDING, UNCONFIRMED, UNPROVEN = LineState.PENDING, LineState.UNCONFIRMED, LineState.UNPROVEN


@dataclass
class Job:
    key: str
    started_s: float
    takes_s: float
    phase: Phase = Phase.SUCCEEDED


@dataclass
class World:
    """A cluster on which every job runs at once for `takes_s`, then its output is there."""

    takes_s: float = 10.0
    size: int = 4
    named: bool = True
    verified: bool = True
    mount: bool = False
    takes: dict[str, float] = field(default_factory=dict)
    """The jobs that take another time; a negative time is one that never starts."""
    ends: dict[str, Phase] = field(default_factory=dict)
    """The jobs that end without an output."""
    answers: dict[str, State] = field(default_factory=dict)
    old: dict[str, str] = field(default_factory=dict)
    """The outputs that are there before."""
    per_page: int = 70
    clock_s: float = 0.0
    jobs: dict[str, Job] = field(default_factory=dict)
    most: int = 0
    """The most jobs that ran at the same time."""
    calls: int = 0
    broken_lists: int = 0
    hidden: bool = False
    """Whether the list shows none of the jobs."""
    wiped_s: float = 1e9
    """When all jobs are deleted."""
    broken_looks: tuple[int, ...] = ()
    """The numbers of the looks at outputs that fail."""
    looks: int = 0
    ended: list[tuple[int, float, float]] = field(default_factory=list)
    """The lane of every item that has ended, and the times of its sending and its end."""
    shown: list[int] = field(default_factory=list)

    def run(self, keys: Sequence[str]) -> list[LineState]:
        self.ledger = ItemLedger(len(keys))
        self.window = Window(self.size, self._ports(), self.ledger, self.named, self.mount)
        self.window.run(Entry(line, key) for line, key in enumerate(keys))
        return [self.ledger.read(line) for line in range(len(keys))]

    def _ports(self) -> Ports:
        return Ports(
            make=self._make,
            send=self._send,
            find_stamp=self._find_stamp if self.verified else None,
            list_jobs=self._list,
            now_s=lambda: self.clock_s,
            wait=self._wait,
            note_end=lambda flight, *_: self.ended.append(
                (flight.lane, flight.sent_s, self.clock_s)
            ),
            show=self.shown.append,
        )

    def _make(self, entry: Entry) -> Invocation:
        if entry.key == "unfit":
            raise ValueError("no object has this key")
        return Invocation(entry.line + 1, entry.key, f"job-{entry.key}", entry.key.encode())

    def _send(self, invocations: Sequence[Invocation]) -> Sequence[Sent]:
        sent = []
        for each in invocations:
            key = each.body.decode()
            state = self.answers.get(key, State.INVOKED)
            sent.append(Sent(each, state, 1, "HTTP 500" if state is State.FAILED else ""))
            if state is State.INVOKED:
                takes_s = self.takes.get(key, self.takes_s)
                name = each.job if self.named else f"random-{len(self.jobs)}"
                phase = self.ends.get(key, Phase.SUCCEEDED)
                self.jobs[name] = Job(key, self.clock_s, takes_s, phase)
        self.most = max(self.most, self._count_active())
        return sent

    def _ended(self, job: Job) -> bool:
        return 0 <= job.takes_s <= self.clock_s - job.started_s

    def _count_active(self) -> int:
        return sum(not self._ended(job) for job in self.jobs.values())

    def _find_stamp(self, key: str) -> str | None:
        self.looks += 1
        if self.looks in self.broken_looks:
            raise StorageError("down")
        made = any(
            job.key == key and self._ended(job) and key not in self.ends
            for job in self.jobs.values()
        )
        return "new" if made else self.old.get(key)

    def _list(self) -> JobList:
        if self.broken_lists:
            self.broken_lists -= 1
            self.calls += 1
            raise ClusterError("HTTP 500")
        phases = {}
        for name, job in self.jobs.items():
            begun = job.phase if self._ended(job) else Phase.RUNNING
            phases[name] = begun if job.takes_s >= 0 else Phase.PENDING
        phases = {} if self.hidden or self.clock_s > self.wiped_s else phases
        calls = 1 + len(phases) // self.per_page
        self.calls += calls
        return JobList(phases, calls)

    def _wait(self, seconds: float) -> None:
        self.clock_s += seconds


def keys(count: int) -> list[str]:
    return [f"k{number}" for number in range(count)]


@pytest.mark.parametrize("named", [True, False])
def test_all_items_are_done_and_never_more_in_flight_than_the_window(named: bool) -> None:
    world = World(named=named)
    assert world.run(keys(30)) == [DONE] * 30
    assert world.most == 4
    assert world.clock_s < 30 / 4 * 10 * 1.5


def test_two_items_in_the_same_lane_are_never_in_flight_together() -> None:
    world = World(takes={f"k{number}": 3.0 + 7 * (number % 5) for number in range(40)})
    world.run(keys(40))
    assert {lane for lane, _, _ in world.ended} == set(range(1, world.size + 1))
    for lane in range(1, world.size + 1):
        times = sorted(times for each, *times in world.ended if each == lane)
        assert all(end <= sent for (_, end), (sent, _) in pairwise(times))
    assert max(world.shown) == world.size


def test_short_items_are_followed_without_a_call() -> None:
    world = World(takes_s=5)
    assert world.run(keys(40)) == [DONE] * 40
    assert world.calls == 0


@pytest.mark.parametrize("verified", [True, False])
@pytest.mark.parametrize("per_page", [70, 3])
def test_watching_costs_two_calls_a_minute(verified: bool, per_page: int) -> None:
    world = World(takes_s=100, per_page=per_page, verified=verified)
    world.run(keys(20))
    assert 1 <= world.calls <= 2 * world.clock_s / 60 + 1 + 20 / per_page


@pytest.mark.parametrize(
    ("named", "mount", "phase", "state"),
    [
        (True, False, Phase.SUCCEEDED, UNCONFIRMED),
        (True, False, Phase.FAILED, FAILED),
        (True, True, Phase.FAILED, UNCONFIRMED),
        (False, False, Phase.FAILED, UNCONFIRMED),
    ],
)
def test_without_known_outputs_a_job_is_a_hint(
    named: bool, mount: bool, phase: Phase, state: LineState
) -> None:
    world = World(named=named, mount=mount, verified=False, ends=dict.fromkeys(keys(9), phase))
    found = world.run(keys(9))
    assert found == [state] * 9 if named else set(found) <= {UNCONFIRMED}


def test_an_item_without_its_output_failed_and_it_is_said_why() -> None:
    world = World(ends=dict.fromkeys(["k1", "k3", "k5", "k7"], Phase.SUCCEEDED))
    assert world.run(keys(9)) == [DONE, FAILED] * 4 + [DONE]
    assert world.ledger.read_reason(3).startswith("its job ended without the output that run.")


def test_where_jobs_have_no_names_no_item_fails_while_its_job_may_run() -> None:
    world = World(named=False, takes={"k0": 1000}, ends={"k5": Phase.SUCCEEDED})
    found = world.run(keys(9))
    # The oldest was taken for the one that ended; what it left is found by the last listing.
    assert found[0] is UNCONFIRMED
    assert FAILED not in found[:5]


def test_an_old_output_counts_only_when_the_job_has_ended() -> None:
    world = World(takes_s=100, old={"k0": "before"}, ends={"k0": Phase.SUCCEEDED})
    assert world.run(["k0"]) == [DONE]
    assert world.clock_s >= 100


def test_a_job_that_vanished_leaves_its_item_pending() -> None:
    world = World(answers={"k1": State.UNCERTAIN})
    assert world.run(keys(3)) == [DONE, PENDING, DONE]


def test_a_list_that_shows_none_of_the_jobs_ends_no_item() -> None:
    world = World(takes_s=100, hidden=True)
    assert world.run(keys(9)) == [DONE] * 9
    assert world.most == 4
    unknown = World(takes_s=100, hidden=True, verified=False)
    assert unknown.run(["k0"]) == [PENDING]
    assert unknown.clock_s > 900


def test_jobs_that_a_list_had_and_another_has_not_are_gone() -> None:
    world = World(takes_s=1000, wiped_s=50)
    assert world.run(keys(2)) == [PENDING, PENDING]
    assert world.clock_s < 100


def test_a_lost_answer_on_older_releases_stays_unproven_while_anything_may_run() -> None:
    world = World(named=False, answers={"k2": State.UNCERTAIN}, verified=False)
    world.run(keys(3))
    assert world.ledger.read(2) in {UNPROVEN, UNCONFIRMED}


def test_a_refusal_ends_the_sending_and_not_the_following() -> None:
    world = World(answers={"k5": State.FAILED})
    assert world.run(keys(20)) == [DONE] * 5 + [PENDING, *[DONE] * 2, *[PENDING] * 12]
    assert world.window.refused == "HTTP 500"


def test_an_item_that_cannot_be_invoked_fails_alone() -> None:
    assert World().run(["a", "unfit", "b"]) == [DONE, FAILED, DONE]


def test_jobs_that_never_start_are_given_up_when_nothing_runs() -> None:
    world = World(takes={"k1": -1, "k2": -1})
    assert world.run(keys(5)) == [DONE, SENT, SENT, DONE, DONE]
    assert 900 < world.clock_s < 1000
    assert "2 jobs have not started" in world.window.find_obstacle()


def test_queued_jobs_are_waited_for_while_another_runs() -> None:
    world = World(takes={"k0": 5000, "k1": -1})
    assert world.run(keys(3)) == [DONE, SENT, DONE]
    assert world.clock_s >= 5000


def test_a_list_or_a_look_that_fails_is_tried_again() -> None:
    world = World(takes_s=100, broken_lists=2, ends={"k0": Phase.SUCCEEDED})
    world.broken_looks = (3, 4, 7)  # the first two are before the items are sent
    assert world.run(keys(2)) == [FAILED, DONE]


def test_an_interrupt_while_sending_ends_the_run() -> None:
    world = World(answers={"k5": State.PENDING})
    with pytest.raises(KeyboardInterrupt):
        world.run(keys(9))
    assert world.ledger.read(5) is PENDING


def part(number: int, start: int, stop: int, size: int) -> Chunk:
    return Chunk(number, start, stop, size, 0, 0)


def test_the_parts_with_the_larger_files_come_first() -> None:
    parts = [part(1, 0, 2, 10), part(2, 2, 3, 100), part(3, 3, 5, 10), part(4, 5, 6, 30)]
    read = []

    def lines(of: Chunk) -> bytes:
        read.append(of.number)
        return "".join(f"é{line}\u2028\n" for line in range(of.start, of.stop)).encode()

    found = list(order_items(parts, lines))
    assert [entry.line for entry in found] == [2, 5, 0, 1, 3, 4]
    assert found[0].key == "é2\u2028"
    assert read == [2, 4, 1, 3]


def test_an_index_that_was_changed_is_not_sent() -> None:
    with pytest.raises(StorageError, match="the index was changed: part 1 has 1 lines"):
        list(order_items([part(1, 0, 2, 10)], lambda of: b"a\n"))


def test_a_ledger_counts_states_and_keeps_what_is_done() -> None:
    ledger = ItemLedger(5)
    for line, state in enumerate([DONE, FAILED, FAILED, SENT]):
        ledger.record(line, state, "why")
    ledger.record(0, FAILED, "again")
    ledger.record(1, DONE)
    assert ledger.count() == {DONE: 2, FAILED: 1, SENT: 1, PENDING: 1, UNCONFIRMED: 0, UNPROVEN: 0}
    assert ledger.count(2, 4)[FAILED] == 1
    assert [ledger.read_reason(line) for line in range(3)] == ["why", "", "why"]
    ledger.fill(3, 5, UNCONFIRMED)
    assert ledger.count()[UNCONFIRMED] == 2
    ledger.fill(0, 5, SENT)
    assert ledger.count()[DONE] == 2, "what is done stays done"


def test_a_ledger_keeps_a_bounded_number_of_reasons() -> None:
    ledger = ItemLedger(1000)
    for line in range(1000):
        ledger.record(line, FAILED, f"reason {line}")
    assert ledger.read_reason(3) == "reason 3"
    assert ledger.read_reason(999) == "see the log of its job"
