# SPDX-License-Identifier: Apache-2.0
"""Plan → outcomes: every chunk's invocation is posted, a few at a time; retry is data.

The first chunk goes alone: what refuses it (a wrong token, an invalid label of the service) would
refuse all, and then nothing has been started. A request is repeated only where it certainly
created nothing. Next: `report`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Condition, Event

from ..model.items import Chunk
from ..model.run import Outcome, Reply, State, Verdict

log = logging.getLogger(__name__)

Post = Callable[[Chunk, int], tuple[str, Reply]]
"""Invokes the service for a chunk and the attempt's number: the job's name, and the answer."""

_STATES = {
    Verdict.ACCEPTED: State.INVOKED,
    Verdict.UNCERTAIN: State.UNCERTAIN,
    Verdict.BUSY: State.FAILED,
    Verdict.STALE_TOKEN: State.FAILED,
    Verdict.REFUSED: State.FAILED,
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How submission behaves in time."""

    workers: int = 3
    """In flight at once. The manager sustains one or two a second; more only queue up there."""
    delays_s: Sequence[float] = (1.0, 2.0, 4.0, 8.0, 16.0)
    """Before each repetition of what found the manager busy or unreachable."""


def submit_chunks(chunks: Sequence[Chunk], post: Post, pace: Pace) -> tuple[Outcome, ...]:
    """One outcome per chunk, in their order. After Ctrl-C the chunks not sent stay pending."""
    stop, calm = Event(), Condition()
    outcomes = [Outcome(chunk) for chunk in chunks]
    places, on_the_way = range(len(chunks)), set[int]()

    # Ctrl-C may come while the pool starts a thread, and the pool then knows neither the thread
    # nor its future. So what is on its way, and what became of it, is kept here.
    def invoke(place: int) -> None:
        with calm:
            if stop.is_set():
                return
            on_the_way.add(place)
        try:
            outcomes[place] = _invoke(chunks[place], post, pace, stop)
        finally:
            with calm:
                on_the_way.remove(place)
                calm.notify()

    with ThreadPoolExecutor(pace.workers) as pool:
        try:
            list(pool.map(invoke, places[:1]))
            if not _refused(outcomes):
                list(pool.map(invoke, places[1:]))
        except KeyboardInterrupt:
            log.warning("interrupted: waiting for the invocations on their way")
            stop.set()
    with calm:
        calm.wait_for(lambda: not on_the_way)
    if _refused(outcomes):
        detail = "not sent, because the first chunk was refused"
        outcomes[1:] = [Outcome(chunk, State.FAILED, detail=detail) for chunk in chunks[1:]]
    return tuple(outcomes)


def _refused(outcomes: Sequence[Outcome]) -> bool:
    """Whether the first chunk was refused, and so no other has been sent."""
    return bool(outcomes) and outcomes[0].state is State.FAILED


def _invoke(chunk: Chunk, post: Post, pace: Pace, stop: Event) -> Outcome:
    outcome = Outcome(chunk)
    for delay_s in (0.0, *pace.delays_s):
        if stop.wait(delay_s):  # what was tried so far has certainly created nothing
            return replace(outcome, state=State.PENDING)
        job, reply = post(chunk, 1)
        outcome = outcome.attempt(_STATES[reply.verdict], job=job, detail=reply.detail)
        if reply.verdict is not Verdict.BUSY:
            break
        log.warning("chunk %d: try %d: %s", chunk.number, outcome.attempts, reply.detail)
    log.info("chunk %d: %s %s", chunk.number, outcome.state, outcome.detail)
    return outcome
