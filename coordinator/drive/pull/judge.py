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

from ...model.pull.documents import Beat, BeatState
from ...model.pull.findings import WorkerState
from ...model.pull.lanes import Timing
from ...model.run import State

# A lane gets no more workers than this.
MOST_POSTS = 4


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


def choose_lanes(
    workers: Sequence[Seen], open_chunks: Mapping[int, int], *, exclusive: bool
) -> list[int]:
    """The lanes that get one more worker; `open_chunks` is what each lane has without a result.

    Where a lost answer may mean that no job exists, its lane is posted again. Where workers repair
    nothing, the coordinator alone gives the lanes of lost workers to new ones.
    """
    chosen = []
    for lane, count in open_chunks.items():
        mine = [worker for worker in workers if worker.lane == lane]
        if not count or len(mine) >= MOST_POSTS or not all(w.state.over for w in mine):
            continue
        unproven = any(
            worker.state is WorkerState.NEVER_SEEN and worker.invocation is State.UNCERTAIN
            for worker in mine[-1:]
        )
        if unproven or not exclusive:
            chosen.append(lane)
    return chosen
