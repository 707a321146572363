# SPDX-License-Identifier: Apache-2.0
"""Keeps the workers of a round: the states of their invocations, and their beats."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ....model.pull.findings import Worker, WorkerState
from ....model.pull.lanes import Timing, find_worker
from ....model.run import Sent, State
from ...post_notes import find_invoked_worker
from ...progress import describe_sent
from ..history import read_moment
from ..looks import Looks
from .hints import JobHints
from .judge import Seen, Sighting, judge_worker

# After this time without a sign of life, a worker is looked for in OSCAR's list of jobs.
_OVERDUE_S = 60.0


@dataclass(slots=True)
class _Posted:
    """A worker that was invoked."""

    sent: Sent
    since: datetime | None = None
    """When the first look after the invocation was, by the storage's clock."""
    state: WorkerState = WorkerState.WAITING


class Roster:
    """All workers of one round, by name."""

    def __init__(self, looks: Looks, hints: JobHints, timing: Timing, late_s: float) -> None:
        """After `late_s` without a sign of life, a worker counts as never started."""
        self._looks, self._hints, self._timing, self._late_s = looks, hints, timing, late_s
        self._posted: dict[str, _Posted] = {}

    def __bool__(self) -> bool:
        return bool(self._posted)

    def add(self, sent: Iterable[Sent]) -> None:
        """Adds workers whose invocations were sent."""
        for each in sent:
            self._posted[find_invoked_worker(each.invocation)] = _Posted(each)

    def judge(self, now: datetime) -> None:
        """Updates the state of every worker from the last look."""
        for name, posted in self._posted.items():
            posted.since = posted.since or now
            seen = self._find_sightings(name)
            started = posted.sent.state in {State.INVOKED, State.UNCERTAIN}
            ended = self._hints.has_ended(posted.sent.invocation.job)
            posted.state = WorkerState.NEVER_SEEN
            if seen or (started and not ended):
                posted.state = judge_worker(seen, posted.since, now, self._timing, self._late_s)

    def list_seen(self) -> list[Seen]:
        """Every worker, with what decisions need."""
        return [
            Seen(each.sent.invocation.lane, each.sent.state, each.state)
            for each in self._posted.values()
        ]

    def list_overdue(self, now: datetime) -> list[str]:
        """The jobs of workers that should have given a sign of life."""
        late = timedelta(seconds=min(_OVERDUE_S, self._late_s / 2))
        return [
            posted.sent.invocation.job
            for posted in self._posted.values()
            if posted.state is WorkerState.WAITING and posted.since and now - posted.since > late
        ]

    def list_workers(self) -> tuple[Worker, ...]:
        """The workers as a report shows them."""
        return tuple(self._describe(name, posted) for name, posted in self._posted.items())

    def were_refused(self) -> bool:
        """Whether there are invocations, and none of them can have started a worker."""
        states = {posted.sent.state for posted in self._posted.values()}
        return bool(states) and not states & {State.INVOKED, State.UNCERTAIN}

    def were_interrupted(self) -> bool:
        """Whether Ctrl-C came while invocations were sent."""
        return any(posted.sent.state is State.PENDING for posted in self._posted.values())

    def describe(self) -> str:
        """How many there are of each state."""
        states = [posted.state for posted in self._posted.values()]
        counts = ((state, states.count(state)) for state in WorkerState)
        return ", ".join(f"{count} {state}" for state, count in counts if count)

    def _find_sightings(self, worker: str) -> list[Sighting]:
        sightings = self._looks.sightings
        return [each for process, each in sightings.items() if find_worker(process) == worker]

    def _describe(self, name: str, posted: _Posted) -> Worker:
        seen = self._find_sightings(name)
        beats = [each.beat for each in seen]
        last = beats[-1] if beats else None
        hint = self._hints.explain(posted.sent.invocation.job)
        return replace(
            describe_sent(posted.sent),
            state=posted.state,
            chunks=sum(beat.chunks for beat in beats),
            done=sum(beat.done for beat in beats),
            failed=sum(beat.failed for beat in beats),
            startup_s=last.startup_s if last else None,
            node=last.node if last else "",
            detail=(last.why if last else hint) or posted.sent.detail,
            started_at=min(filter(None, (read_moment(beat.since) for beat in beats)), default=None),
            seen_at=max((each.modified for each in seen), default=None),
        )
