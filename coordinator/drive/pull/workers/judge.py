# SPDX-License-Identifier: Apache-2.0
"""What is known of a worker, from its beats and the storage's clock; who is invoked again. Pure.

A process is gone if its beat shows the same time in two looks that are far enough apart, and that
time is old: the rules of docs/protocol.md. A process that died by a signal has a shell that starts
it again, so its worker is not over at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ....model.pull.documents import Beat, BeatState
from ....model.pull.findings import WorkerState
from ....model.pull.lanes import Timing
from ....model.run import State

# So many workers may be invoked without any new result: an item that kills the pod of its worker
# is isolated after five.
MOST_IDLE_POSTS = 16
# A lane of a run without stealing gets no more workers than this.
MOST_POSTS = 4
# The waits before workers are invoked again and again without a new result between.
_BACKOFF_S = (0.0, 0.0, 15.0, 30.0, 60.0, 120.0, 300.0)


@dataclass(frozen=True, slots=True)
class Sighting:
    """The beat of a process as the looks at the run folder showed it."""

    beat: Beat
    modified: datetime
    """By the storage's clock."""
    first_look: datetime
    """The first look without a failed call behind it that showed this time."""


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
    """What is known of a worker: one of its processes at work is enough."""
    states = {judge_process(each, now, timing) for each in sightings}
    for state in (WorkerState.WORKING, WorkerState.ENDED, WorkerState.GONE):
        if state in states:
            return state
    late = now - posted > timedelta(seconds=pending_timeout_s)
    return WorkerState.NEVER_SEEN if late else WorkerState.WAITING


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker: its lane, what its answer proved, and what is known of it."""

    lane: int
    invocation: State
    state: WorkerState


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of a round when it is decided whether to invoke more workers."""

    workers: Sequence[Seen]
    """Those of this round."""
    open_chunks: Mapping[int, int]
    """What each lane has without a result."""
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
        """Workers of which nothing has been seen: their pods may wait for a node."""
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
        """Whether the capacity matters now: more workers would have work to do.

        Pods that wait say that the cluster is full, or hides what it lacks: no more are sent.
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
    else:  # all are lost: after those that replace them achieved nothing, one at a time
        wanted = 1 if situation.idle_posts else len(open_lanes)
    count = min(free_slots, wanted) if situation.wants_slots() else 0
    fullest = sorted(open_lanes, key=lambda lane: (-situation.open_chunks[lane], lane))
    return list(dict.fromkeys([*again, *fullest[:count]]))


def compute_backoff_s(idle_posts: int) -> float:
    """The wait between two times that workers are invoked without a new result between."""
    return _BACKOFF_S[min(idle_posts, len(_BACKOFF_S) - 1)]


def _is_deserted(situation: Situation, lane: int) -> bool:
    """Whether a lane needs another worker, whatever the capacity."""
    mine = [worker for worker in situation.workers if worker.lane == lane]
    if not mine:  # the coordinator that began the round ended before it came to this lane
        return True
    if len(mine) >= MOST_POSTS or not all(worker.state.over for worker in mine):
        return False
    last = mine[-1]
    lost = last.state is WorkerState.NEVER_SEEN and last.invocation is State.UNCERTAIN
    return lost or not situation.exclusive
