# SPDX-License-Identifier: Apache-2.0
"""Sends the invocations of a run, a few at a time, and returns what became of each.

The first one is sent alone: if it is refused (a wrong token, an invalid label), all would be
refused, and nothing has started. A request is sent again if it certainly created nothing. It is
also sent again if its answer was lost and OSCAR names jobs as asked: a second request with the same
name starts no second job, and its answer proves the first. What became of an invocation is reported
when it is known, from the thread that posted.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Condition, Event, Lock

from ..model.run import Invocation, Reply, Sent, State, Verdict
from ..storage.retry import retry

log = logging.getLogger(__name__)

Post = Callable[[Invocation], Reply]
"""Sends an invocation to the service once."""

_STATES = {
    Verdict.ACCEPTED: State.INVOKED,
    Verdict.UNCERTAIN: State.UNCERTAIN,
    Verdict.BUSY: State.FAILED,
    Verdict.STALE_TOKEN: State.FAILED,
    Verdict.REFUSED: State.FAILED,
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast requests are sent, and when they are repeated."""

    workers: int = 3
    """Requests at the same time. OSCAR's manager sustains one or two a second; more only wait."""
    posts_per_s: float = math.inf
    """No more requests than this are sent in a second."""
    burst: int = 1
    """This many requests may be sent at once before `posts_per_s` applies."""
    delays_s: Sequence[float] = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, *(9 * (60.0,)))
    """The waits before an invocation without proof is sent again: ten minutes in all."""


class Spacing:
    """Spaces requests in time. All threads that send requests of a run share one."""

    def __init__(self, pace: Pace) -> None:
        self._between_s, self._burst = 1 / pace.posts_per_s, pace.burst
        self._due_s, self._lock = -math.inf, Lock()

    def reserve(self, now_s: float) -> float:
        """Reserves the next request; returns the wait in seconds before it may be sent."""
        with self._lock:
            self._due_s = max(self._due_s, now_s)
            delay_s = self._due_s - now_s - (self._burst - 1) * self._between_s
            self._due_s += self._between_s
            return max(0.0, delay_s)


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of a submission; a test passes a virtual one."""

    now_s: Callable[[], float]
    wait: Callable[[Event, float], bool]
    """Waits for the event, at most so many seconds; returns whether it is set."""


@dataclass(frozen=True, slots=True)
class Steps:
    """What is done around every request, in the thread that sends it."""

    before_post: Callable[[Invocation], None] = lambda invocation: None
    """If it raises, this request and all later ones are not sent, and the error is raised."""
    after_answer: Callable[[Invocation, Reply], None] = lambda invocation, reply: None
    on_sent: Callable[[Sent], None] = lambda sent: None
    on_progress: Callable[[int, int], None] = lambda settled, whole: None
    """How many invocations have an answer, and of how many; in the thread that submits."""


class _Unproven(Exception):
    """OSCAR was busy, or its answer was lost and jobs have names: the invocation is sent again."""


class _Stopped(Exception):
    """The submission was stopped while an invocation waited."""


def submit(
    invocations: Sequence[Invocation],
    post: Post,
    *,
    repeat_lost: bool,
    pace: Pace,
    clock: Clock,
    steps: Steps,
    spacing: Spacing | None = None,
) -> tuple[Sent, ...]:
    """What became of each invocation, in their order. After Ctrl-C those not sent stay pending.

    `repeat_lost`: a request whose answer was lost is sent again, which is right only where the
    cluster names jobs.
    """
    repeated = {Verdict.BUSY, Verdict.UNCERTAIN} if repeat_lost else {Verdict.BUSY}
    spacing = spacing or Spacing(pace)
    return _Submission(post, repeated, pace, clock, steps, spacing).run(invocations)


class _Submission:
    def __init__(
        self,
        post: Post,
        repeated: Set[Verdict],
        pace: Pace,
        clock: Clock,
        steps: Steps,
        spacing: Spacing,
    ) -> None:
        self._spacing = spacing
        self._post, self._pace, self._clock, self._steps = post, pace, clock, steps
        self._repeated = repeated
        self._stop, self._silent = Event(), Event()
        self._proofs = 0
        self._settled: dict[int, Sent] = {}
        # Ctrl-C may come while the pool starts a thread, and then the pool knows neither the
        # thread nor its future. So what is being posted is counted here.
        self._posting, self._changed = 0, Condition()

    def run(self, invocations: Sequence[Invocation]) -> tuple[Sent, ...]:
        pool = ThreadPoolExecutor(self._pace.workers)
        try:
            self._submit_all(pool, invocations)
            pool.shutdown()
            with self._changed:
                self._changed.wait_for(lambda: not self._posting)
        except BaseException:
            # A second Ctrl-C: what was sent is not waited for, and nothing more is sent.
            self._stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        if self._is_refused(invocations):
            self._settle_unsent(invocations, "not sent, because the first invocation was refused")
        elif self._silent.is_set() and not self._stop.is_set():
            waited_s = sum(self._pace.delays_s)
            detail = f"not sent, because OSCAR proved no invocation for {waited_s:.0f} s"
            self._settle_unsent(invocations, detail)
        return tuple(self._settled.get(each.number, Sent(each)) for each in invocations)

    def _submit_all(self, pool: ThreadPoolExecutor, invocations: Sequence[Invocation]) -> None:
        try:
            list(pool.map(self._submit, invocations[:1]))
            if not self._is_refused(invocations):
                for _ in pool.map(self._submit, invocations[1:]):
                    self._steps.on_progress(len(self._settled), len(invocations))
        except KeyboardInterrupt:
            self._stop.set()
            log.warning("interrupted: waiting for the answers to the requests that were sent")

    def _is_refused(self, invocations: Sequence[Invocation]) -> bool:
        """Whether the first invocation was refused, and so no other was sent."""
        first = self._settled.get(invocations[0].number) if invocations else None
        return first is not None and first.state is State.FAILED

    def _settle_unsent(self, invocations: Sequence[Invocation], detail: str) -> None:
        for each in invocations:
            if each.number not in self._settled:
                self._settle(Sent(each, State.FAILED, detail=detail))

    def _submit(self, invocation: Invocation) -> None:
        with self._changed:
            if self._stop.is_set() or self._silent.is_set():
                return
            self._posting += 1
        try:
            self._post_until_answered(invocation)
        except BaseException:
            self._stop.set()
            raise
        finally:
            with self._changed:
                self._posting -= 1
                self._changed.notify()

    def _settle(self, sent: Sent) -> None:
        self._settled[sent.invocation.number] = sent
        self._steps.on_sent(sent)
        if sent.attempts:
            # There may be millions, and OSCAR keeps the log of a job in its memory.
            level = logging.DEBUG if sent.state is State.INVOKED else logging.INFO
            log.log(level, "%s: %s %s", sent.invocation.name, sent.state, sent.detail)

    def _post_until_answered(self, invocation: Invocation) -> None:
        sent, proofs = Sent(invocation), self._proofs

        def post(number: int) -> None:
            nonlocal sent
            self._wait_for_turn()
            self._steps.before_post(invocation)
            # Stays true should anything fail between the request and the record of its answer.
            before, sent = sent, replace(sent, state=State.UNCERTAIN)
            reply = self._post(invocation)
            sent = before.with_attempt(_judge_state(before.state, reply.verdict), reply.detail)
            self._steps.after_answer(invocation, reply)
            if reply.verdict in self._repeated:
                log.warning("%s: request %d: %s", invocation.name, number, reply.detail)
                raise _Unproven
            self._proofs += 1

        try:
            retry(
                post,
                delays_s=self._pace.delays_s,
                repeatable=lambda error: isinstance(error, _Unproven),
                sleep=self._sleep,
            )
        except _Unproven:
            if self._proofs == proofs:
                self._silent.set()
        except _Stopped:
            if sent.state is not State.UNCERTAIN:  # it has certainly created nothing
                sent = replace(sent, state=State.PENDING)
        finally:
            self._settle(sent)

    def _wait_for_turn(self) -> None:
        """Waits until the pace allows one more request."""
        self._sleep(self._spacing.reserve(self._clock.now_s()))

    def _sleep(self, delay_s: float) -> None:
        if self._clock.wait(self._stop, delay_s):
            raise _Stopped


def _judge_state(before: State, verdict: Verdict) -> State:
    """The state after one more answer: only an acceptance settles a request that was lost."""
    if before is State.UNCERTAIN and verdict is not Verdict.ACCEPTED:
        return State.UNCERTAIN
    return _STATES[verdict]
