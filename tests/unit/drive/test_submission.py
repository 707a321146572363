# SPDX-License-Identifier: Apache-2.0
"""Submission: what each answer means, what is repeated, and what an interruption leaves."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from coordinator.drive import submission
from coordinator.drive.submission import Clock, Pace, Post, Spacing, Steps
from coordinator.model.run import Invocation, Reply, Sent, State, Verdict
from tests.unit import make

AT_ONCE = Pace(workers=3, delays_s=(0.0, 0.0))
REAL = Clock(time.monotonic, threading.Event.wait)


def submit(
    count: int, post: Post, pace: Pace, clock: Clock = REAL, *, repeat_lost: bool = False
) -> tuple[Sent, ...]:
    return submission.submit(
        make.invocations(count),
        post,
        repeat_lost=repeat_lost,
        pace=pace,
        clock=clock,
        steps=Steps(),
    )


class Manager:
    """Answers from a script per invocation, its last answer again and again; counts requests."""

    def __init__(self, script: dict[int, list[Verdict]] | None = None) -> None:
        self._script = script or {}
        self._lock = threading.Lock()
        self.asked: list[int] = []

    def post(self, invocation: Invocation) -> Reply:
        with self._lock:
            tries = self.asked.count(invocation.number)
            self.asked.append(invocation.number)
        verdicts = self._script.get(invocation.number, [Verdict.ACCEPTED])
        verdict = verdicts[min(tries, len(verdicts) - 1)]
        return Reply(verdict, f"said {verdict}")


def invoked(manager: Manager, count: int = 1) -> tuple[Sent, ...]:
    return submit(count, manager.post, AT_ONCE)


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        (Verdict.ACCEPTED, State.INVOKED),
        (Verdict.UNCERTAIN, State.UNCERTAIN),
        (Verdict.REFUSED, State.FAILED),
        (Verdict.STALE_TOKEN, State.FAILED),
        (Verdict.BUSY, State.FAILED),
    ],
)
def test_the_last_answer_decides_the_state(verdict: Verdict, state: State) -> None:
    assert invoked(Manager({1: [verdict]}))[0].state is state


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.BUSY])
def test_only_a_busy_manager_is_asked_again_where_jobs_have_no_names(verdict: Verdict) -> None:
    manager = Manager({1: [verdict, Verdict.ACCEPTED]})
    invoked(manager)
    assert manager.asked == [1]


def submit_named(manager: Manager, count: int = 1, workers: int = 3) -> tuple[Sent, ...]:
    """Where jobs have names, on a clock of its own, with the delays of a real run."""
    pace = Pace(workers=workers)
    return submit(count, manager.post, pace, VirtualClock().clock, repeat_lost=True)


def test_where_jobs_have_names_a_lost_answer_is_asked_for_until_it_is_proven() -> None:
    lost = [Verdict.UNCERTAIN, Verdict.BUSY, Verdict.UNCERTAIN, Verdict.ACCEPTED]
    (outcome,) = submit_named(Manager({1: lost}))
    assert (outcome.state, outcome.attempts) == (State.INVOKED, 4)


@pytest.mark.parametrize("later", [v for v in Verdict if v is not Verdict.ACCEPTED])
def test_no_later_answer_but_an_acceptance_settles_a_lost_one(later: Verdict) -> None:
    (outcome,) = submit_named(Manager({1: [Verdict.UNCERTAIN, later]}))
    assert outcome.state is State.UNCERTAIN


def test_the_delays_grow_to_a_minute_and_end_after_ten() -> None:
    delays_s = Pace().delays_s
    assert list(delays_s) == sorted(delays_s)
    assert delays_s[-1] == 60
    assert 600 <= sum(delays_s) < 660


def test_when_nothing_is_proven_for_so_long_the_others_are_not_sent() -> None:
    manager = Manager({number: [Verdict.BUSY] for number in range(2, 100)})
    outcomes = submit_named(manager, 99, workers=1)
    assert set(manager.asked) == {1, 2}
    assert [outcome.state for outcome in outcomes[:3]] == [
        State.INVOKED,
        State.FAILED,
        State.FAILED,
    ]
    assert outcomes[2].detail == "not sent, because OSCAR proved no invocation for 603 s"


def test_an_invocation_that_is_never_proven_stops_no_other() -> None:
    others_asked = threading.Event()
    manager = Manager({2: [Verdict.UNCERTAIN]})

    def post(invocation: Invocation) -> Reply:
        if invocation.number == 2:
            others_asked.wait(timeout=30)
        answer = manager.post(invocation)
        if len(manager.asked) >= 19:
            others_asked.set()
        return answer

    outcomes = submit(20, post, AT_ONCE, repeat_lost=True)
    assert [
        outcome.invocation.number for outcome in outcomes if outcome.state is State.UNCERTAIN
    ] == [2]
    assert sum(outcome.state is State.INVOKED for outcome in outcomes) == 19


def test_a_busy_manager_is_asked_until_it_accepts() -> None:
    (outcome,) = invoked(Manager({1: [Verdict.BUSY, Verdict.BUSY, Verdict.ACCEPTED]}))
    assert (outcome.state, outcome.attempts) == (State.INVOKED, 3)


def test_a_manager_that_stays_busy_is_asked_once_and_after_each_delay() -> None:
    (outcome,) = invoked(Manager({1: [Verdict.BUSY]}))
    assert (outcome.state, outcome.attempts) == (State.FAILED, 1 + len(AT_ONCE.delays_s))


def test_outcomes_are_in_the_order_of_the_invocations() -> None:
    outcomes = invoked(Manager({5: [Verdict.REFUSED]}), 20)
    assert [outcome.invocation for outcome in outcomes] == list(make.invocations(20))


def test_what_was_said_last_is_kept() -> None:
    (outcome,) = invoked(Manager())
    assert outcome.detail == "said accepted"


def test_when_the_first_invocation_is_refused_no_other_is_sent() -> None:
    manager = Manager({1: [Verdict.REFUSED]})
    outcomes = invoked(manager, 5)
    assert manager.asked == [1]
    assert [outcome.state for outcome in outcomes] == [State.FAILED] * 5


def test_a_later_refusal_stops_nothing() -> None:
    outcomes = invoked(Manager({2: [Verdict.REFUSED]}), 4)
    states = [outcome.state for outcome in outcomes]
    assert states == [State.INVOKED, State.FAILED, State.INVOKED, State.INVOKED]


def test_no_invocations_make_no_outcomes() -> None:
    assert invoked(Manager(), 0) == ()


def test_the_first_invocation_goes_alone_and_then_as_many_as_there_are_workers() -> None:
    """Invocations 2 to 4 wait for each other: a fourth request at the same time would be seen."""
    barrier, lock = threading.Barrier(3), threading.Lock()
    at_work, most = 0, [0]

    def post(invocation: Invocation) -> Reply:
        nonlocal at_work
        with lock:
            at_work += 1
            most.append(at_work)
        if invocation.number > 1:
            barrier.wait(timeout=30)
        with lock:
            at_work -= 1
        return Reply(Verdict.ACCEPTED)

    submit(7, post, AT_ONCE)
    assert most[1] == 1
    assert max(most) == 3


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt here, whatever started the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupted_at(
    number: int, verdict: Verdict, pace: Pace, *, repeat_lost: bool = False
) -> tuple[Sent, ...]:
    """The outcomes of 20 invocations when Ctrl-C comes while one of them is being answered."""
    main = threading.main_thread().ident
    assert main is not None

    def post(invocation: Invocation) -> Reply:
        if invocation.number == number:
            signal.pthread_kill(main, signal.SIGINT)
            # A request on its way: long enough for the interruption to be noticed.
            threading.Event().wait(0.2)
            return Reply(verdict)
        return Reply(Verdict.ACCEPTED)

    return submit(20, post, pace, repeat_lost=repeat_lost)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("number", [1, 3])
def test_after_ctrl_c_unsent_invocations_are_pending_and_none_is_lost(number: int) -> None:
    outcomes = interrupted_at(number, Verdict.ACCEPTED, Pace(workers=1))
    states = [outcome.state for outcome in outcomes]
    assert states == [State.INVOKED] * number + [State.PENDING] * (20 - number)


@pytest.mark.usefixtures("ctrl_c")
def test_after_ctrl_c_a_busy_one_is_pending_because_it_created_nothing() -> None:
    outcomes = interrupted_at(1, Verdict.BUSY, Pace(workers=1, delays_s=(60.0,)))
    assert {outcome.state for outcome in outcomes} == {State.PENDING}


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("repeat_lost", [False, True])
def test_after_ctrl_c_a_lost_answer_stays_uncertain(repeat_lost: bool) -> None:
    pace = Pace(workers=1, delays_s=(60.0,))
    outcomes = interrupted_at(1, Verdict.UNCERTAIN, pace, repeat_lost=repeat_lost)
    assert outcomes[0].state is State.UNCERTAIN


class VirtualClock:
    """Time that passes only where somebody waits for it."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.waits: list[float] = []

    def wait(self, stop: threading.Event, delay_s: float) -> bool:
        self.waits.append(delay_s)
        self.now_s += delay_s
        return stop.is_set()

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now_s, self.wait)


def test_no_more_requests_leave_in_a_second_than_the_pace_allows() -> None:
    virtual, sent_at = VirtualClock(), []

    def post(invocation: Invocation) -> Reply:
        sent_at.append(virtual.now_s)
        return Reply(Verdict.ACCEPTED)

    pace = Pace(workers=1, posts_per_s=2.5)
    submit(6, post, pace, virtual.clock)
    assert sent_at == pytest.approx([0.0, 0.4, 0.8, 1.2, 1.6, 2.0])


def test_a_busy_manager_is_asked_after_the_delays_of_the_pace() -> None:
    virtual = VirtualClock()
    manager, pace = Manager({1: [Verdict.BUSY]}), Pace(delays_s=(1.0, 2.0, 4.0))
    submit(1, manager.post, pace, virtual.clock)
    assert [wait for wait in virtual.waits if wait] == [1.0, 2.0, 4.0]


def test_the_steps_around_a_request_come_in_their_order() -> None:
    happened: list[str] = []

    def post(invocation: Invocation) -> Reply:
        happened.append(f"post {invocation.number}")
        verdict = Verdict.BUSY if len(happened) < 4 else Verdict.ACCEPTED
        return Reply(verdict)

    steps = Steps(
        before_post=lambda sent: happened.append(f"before {sent.number}"),
        after_answer=lambda sent, reply: happened.append(f"after {sent.number}: {reply.verdict}"),
        on_sent=lambda outcome: happened.append(f"outcome {outcome.state}"),
    )
    virtual = VirtualClock()
    submission.submit(
        make.invocations(1),
        post,
        repeat_lost=False,
        pace=Pace(),
        clock=virtual.clock,
        steps=steps,
    )
    assert happened == [
        "before 1",
        "post 1",
        "after 1: busy",
        "before 1",
        "post 1",
        "after 1: accepted",
        "outcome invoked",
    ]


class Broken(Exception):
    """What a step raises in these tests."""


def outcomes_of(post: Post, steps: Steps, count: int = 3) -> list[Sent]:
    """The outcomes that were reported before a step raised."""
    found: list[Sent] = []
    watched = replace(steps, on_sent=found.append)
    with pytest.raises(Broken):
        submission.submit(
            make.invocations(count),
            post,
            repeat_lost=False,
            pace=Pace(workers=1),
            clock=VirtualClock().clock,
            steps=watched,
        )
    return found


def test_a_request_is_not_sent_if_the_step_before_it_fails() -> None:
    manager = Manager()

    def before_post(invocation: Invocation) -> None:
        if invocation.number == 2:
            raise Broken

    found = outcomes_of(manager.post, Steps(before_post=before_post))
    assert manager.asked == [1]
    assert [outcome.state for outcome in found] == [State.INVOKED, State.PENDING]


def test_an_answer_is_kept_if_the_step_after_it_fails() -> None:
    def after_answer(invocation: Invocation, reply: Reply) -> None:
        raise Broken

    (found,) = outcomes_of(Manager().post, Steps(after_answer=after_answer))
    assert found.state is State.INVOKED


def test_a_request_that_fails_in_an_unknown_way_may_have_created_a_job() -> None:
    def post(invocation: Invocation) -> Reply:
        raise Broken

    (found,) = outcomes_of(post, Steps())
    assert found.state is State.UNCERTAIN


def test_a_burst_leaves_at_once_and_then_the_pace_counts_for_all_submissions_of_a_run() -> None:
    spacing = Spacing(Pace(posts_per_s=2.0, burst=3))
    assert [spacing.reserve(0.0) for _ in range(5)] == [0.0, 0.0, 0.0, 0.5, 1.0]
    assert spacing.reserve(1.0) == 0.5
    assert [spacing.reserve(100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_what_was_accepted_is_no_line_of_the_log_and_all_else_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("INFO"):
        submit(5, Manager({3: [Verdict.UNCERTAIN], 4: [Verdict.REFUSED]}).post, AT_ONCE)
    lines = sorted(message.partition(":")[0] for message in caplog.messages)
    assert lines == ["chunk 3", "chunk 4"]


def test_how_many_are_settled_is_said_in_the_thread_that_submits() -> None:
    said: list[tuple[int, int]] = []
    threads: set[int] = set()

    def note(settled: int, whole: int) -> None:
        said.append((settled, whole))
        threads.add(threading.get_ident())

    submission.submit(
        make.invocations(20),
        Manager().post,
        repeat_lost=False,
        pace=AT_ONCE,
        clock=REAL,
        steps=Steps(on_progress=note),
    )
    assert said[-1] == (20, 20)
    assert said == sorted(said)
    assert threads == {threading.get_ident()}
