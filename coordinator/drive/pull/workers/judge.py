# SPDX-License-Identifier: Apache-2.0
"""Judges workers by their beats and the storage's clock, and chooses lanes for new ones. Pure.

A process is gone if its beat has the same, old time in two looks that are far enough apart: the
rules of docs/protocol.md. If a process dies by a signal, its shell starts another one, so its
worker is not lost at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ....model.pull.documents import Beat, BeatState
from ....model.pull.findings import WorkerState
from ....model.pull.lanes import Timing
from ....model.run import State

# The most workers that are invoked without any new result. An item that kills the pod of its worker
# is found after five.
MOST_IDLE_POSTS = 16
# A lane of a run without stealing gets no more workers than this.
MOST_POSTS = 4
# The waits between invocations of workers, as long as there is no new result.
_BACKOFF_S = (0.0, 0.0, 15.0, 30.0, 60.0, 120.0, 300.0)


@dataclass(frozen=True, slots=True)
class Sighting:
    """The beat of a process as the looks at the run folder showed it."""

    beat: Beat
    modified: datetime
    """When the beat was written, by the storage's clock."""
    first_look: datetime
    """The first look that showed this time, with no failed storage call since."""


def judge_process(sighting: Sighting, now: datetime, timing: Timing) -> WorkerState:
    """What is known of a process. `now` is the storage's clock at the last look."""
    old = now - sighting.modified > timedelta(seconds=timing.lost_after_s)
    if sighting.beat.state is BeatState.ENDED:
        restarts = sighting.beat.signal is not None
        return WorkerState.WORKING if restarts and not old else WorkerState.ENDED
    looked = now - sighting.first_look >= timedelta(seconds=timing.look_gap_s)
    return WorkerState.GONE if old and looked else WorkerState.WORKING


def judge_worker(
    sightings: Iterable[Sighting],
    posted: datetime,
    now: datetime,
    timing: Timing,
    pending_timeout_s: float,
) -> WorkerState:
    """What is known of a worker: one of its processes at work is enough.

    A process that ended by a signal is awaited again only as long as no later one was seen.
    """
    found = list(sightings)
    latest = max(((each.modified, each.beat.since) for each in found), default=None)
    states = {
        WorkerState.ENDED
        if each.beat.state is BeatState.ENDED and (each.modified, each.beat.since) != latest
        else judge_process(each, now, timing)
        for each in found
    }
    for state in (WorkerState.WORKING, WorkerState.ENDED, WorkerState.GONE):
        if state in states:
            return state
    late = now - posted > timedelta(seconds=pending_timeout_s)
    return WorkerState.NEVER_SEEN if late else WorkerState.WAITING


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker: its lane, the answer to its invocation, and its state."""

    lane: int
    invocation: State
    state: WorkerState


@dataclass(frozen=True, slots=True)
class Situation:
    """All that decides whether more workers of a round are invoked."""

    workers: Sequence[Seen]
    """The workers of this round."""
    open_chunks: Mapping[int, int]
    """The number of chunks without a result in each lane."""
    exclusive: bool
    """Whether workers take and repair chunks of other lanes."""
    idle_posts: int = 0
    """Workers that were invoked since the last new result."""
    unclaimed: int = 0
    """Chunks that no worker has claimed."""

    @property
    def is_over(self) -> bool:
        return not any(self.open_chunks.values())

    @property
    def living(self) -> int:
        return sum(not worker.state.over for worker in self.workers)

    @property
    def waiting(self) -> int:
        """The number of workers without a sign of life: their pods may wait for a node."""
        return sum(worker.state is WorkerState.WAITING for worker in self.workers)

    @property
    def were_seen(self) -> bool:
        """Whether some worker gave a sign of life."""
        return any(
            worker.state not in {WorkerState.WAITING, WorkerState.NEVER_SEEN}
            for worker in self.workers
        )

    @property
    def is_hopeless(self) -> bool:
        """Whether no worker lives, and no other one is worth an invocation.

        Those that were invoked last achieved nothing; or, where each keeps to its lane, every open
        lane has had as many as it gets.
        """
        if self.living or not self.workers:
            return False
        if self.idle_posts >= MOST_IDLE_POSTS:
            return True
        lanes = [lane for lane, count in self.open_chunks.items() if count]
        return not self.exclusive and not any(_is_deserted(self, lane) for lane in lanes)

    def wants_slots(self) -> bool:
        """Whether to ask for free slots: more workers would have work to do.

        If pods wait, the cluster is full, even if its status shows free slots: no more are sent.
        """
        if self.is_over or not self.workers or self.is_hopeless:
            return False
        if not self.living:
            return True
        lost = any(worker.state is WorkerState.NEVER_SEEN for worker in self.workers)
        return bool(self.unclaimed and self.exclusive and not self.waiting and not lost)


def choose_lanes(situation: Situation, free_slots: int) -> list[int]:
    """The lanes that get one more worker, each once; `free_slots` is what the cluster has now.

    At the start of a round every lane gets one. Where a lost answer may mean that no job exists,
    its lane is posted again. Where workers repair nothing, the coordinator alone gives the lanes of
    lost workers to new ones. Else free slots get workers while there is work for them.
    """
    open_lanes = [lane for lane, count in situation.open_chunks.items() if count]
    if not situation.workers:
        return open_lanes
    again = [lane for lane in open_lanes if _is_deserted(situation, lane)]
    if not situation.exclusive:
        return again
    if situation.living:
        wanted = situation.unclaimed
    else:  # all are lost: replace all once; if those achieve nothing, one at a time
        wanted = 1 if situation.idle_posts else len(open_lanes)
    count = min(free_slots, wanted) if situation.wants_slots() else 0
    fullest = sorted(open_lanes, key=lambda lane: (-situation.open_chunks[lane], lane))
    return list(dict.fromkeys([*again, *fullest[:count]]))


def compute_backoff_s(idle_posts: int) -> float:
    """The wait before more workers are invoked when there was no new result."""
    return _BACKOFF_S[min(idle_posts, len(_BACKOFF_S) - 1)]


def _is_deserted(situation: Situation, lane: int) -> bool:
    """Whether a lane needs another worker, whatever the capacity."""
    mine = [worker for worker in situation.workers if worker.lane == lane]
    if not mine:  # the coordinator that began the round ended before it invoked this worker
        return True
    if len(mine) >= MOST_POSTS or not all(worker.state.over for worker in mine):
        return False
    last = mine[-1]
    lost = last.state is WorkerState.NEVER_SEEN and last.invocation is State.UNCERTAIN
    return lost or not situation.exclusive
