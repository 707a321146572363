# SPDX-License-Identifier: Apache-2.0
"""What is known of a round as a whole, and which lanes get workers: decision by decision."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from coordinator.drive.pull.workers.judge import (
    MOST_IDLE_POSTS,
    Seen,
    Situation,
    choose_lanes,
    compute_backoff_s,
)
from coordinator.model.pull.findings import WorkerState
from coordinator.model.run import State

WORKING, WAITING = WorkerState.WORKING, WorkerState.WAITING
ENDED, GONE, NEVER_SEEN = WorkerState.ENDED, WorkerState.GONE, WorkerState.NEVER_SEEN
LANES = {1: 2, 2: 5, 3: 0, 4: 5}


def situate(
    *states: WorkerState,
    open_chunks: Mapping[int, int] = LANES,
    exclusive: bool = True,
    idle_posts: int = 0,
    unclaimed: int = 0,
) -> Situation:
    """A worker for every lane in turn, in these states."""
    workers = [Seen(1 + n % 4, State.INVOKED, state) for n, state in enumerate(states)]
    return Situation(workers, open_chunks, exclusive, idle_posts, unclaimed)


@pytest.mark.parametrize(
    ("open_chunks", "over"), [({}, True), ({1: 0, 2: 0}, True), ({1: 0, 2: 1}, False)]
)
def test_a_round_is_over_when_every_chunk_has_a_result(
    open_chunks: dict[int, int], over: bool
) -> None:
    assert situate(WORKING, open_chunks=open_chunks).is_over is over


@pytest.mark.parametrize(
    ("states", "living", "waiting", "seen"),
    [
        ([], 0, 0, False),
        ([WORKING, WORKING, GONE], 2, 0, True),
        ([WAITING, WAITING], 2, 2, False),
        ([NEVER_SEEN, WAITING], 1, 1, False),
        ([NEVER_SEEN, ENDED], 0, 0, True),
    ],
)
def test_workers_are_counted_by_what_is_known_of_them(
    states: list[WorkerState], living: int, waiting: int, seen: bool
) -> None:
    found = situate(*states)
    assert (found.living, found.waiting, found.were_seen) == (living, waiting, seen)


@pytest.mark.parametrize(
    ("state", "idle_posts", "hopeless"),
    [
        (GONE, MOST_IDLE_POSTS, True),
        (GONE, MOST_IDLE_POSTS - 1, False),
        (WORKING, MOST_IDLE_POSTS, False),
    ],
)
def test_a_round_is_hopeless_when_all_are_lost_again_and_again(
    state: WorkerState, idle_posts: int, hopeless: bool
) -> None:
    assert situate(state, idle_posts=idle_posts).is_hopeless is hopeless


@pytest.mark.parametrize(
    ("found", "wants"),
    [
        pytest.param(situate(WORKING, unclaimed=1), True, id="there is work for one more"),
        pytest.param(situate(WORKING), False, id="every chunk is claimed"),
        pytest.param(situate(WORKING, unclaimed=1, exclusive=False), False, id="lanes are kept"),
        pytest.param(situate(WORKING, WAITING, unclaimed=1), False, id="a pod waits"),
        pytest.param(situate(WORKING, NEVER_SEEN, unclaimed=1), False, id="a pod never came"),
        pytest.param(situate(GONE), True, id="all are lost"),
        pytest.param(situate(GONE, idle_posts=MOST_IDLE_POSTS), False, id="and it is hopeless"),
        pytest.param(situate(GONE, open_chunks={1: 0}), False, id="it is over"),
        pytest.param(situate(unclaimed=1), False, id="the round begins"),
    ],
)
def test_when_the_capacity_matters(found: Situation, wants: bool) -> None:
    assert found.wants_slots() is wants


@pytest.mark.parametrize(
    ("found", "free_slots", "lanes"),
    [
        pytest.param(situate(), 0, [1, 2, 4], id="a round begins: one for each lane"),
        pytest.param(situate(WORKING, GONE, GONE, GONE), 9, [], id="others do the rest"),
        pytest.param(
            situate(WORKING, GONE, GONE, GONE, unclaimed=2), 9, [2, 4], id="as many as chunks"
        ),
        pytest.param(
            situate(WORKING, GONE, GONE, GONE, unclaimed=9), 1, [2], id="as many as free slots"
        ),
        pytest.param(
            situate(GONE, GONE, GONE, GONE), 9, [2, 4, 1], id="all are lost: the fullest first"
        ),
        pytest.param(situate(GONE, GONE, GONE, GONE), 2, [2, 4], id="but no more than fit"),
        pytest.param(
            situate(GONE, GONE, GONE, GONE, idle_posts=1), 9, [2], id="then one at a time"
        ),
        pytest.param(
            situate(GONE, GONE, GONE, GONE, exclusive=False), 0, [1, 2, 4], id="lanes are kept"
        ),
        pytest.param(
            situate(WORKING, GONE, GONE, WAITING, unclaimed=2), 9, [], id="a pod waits for a node"
        ),
        pytest.param(situate(WORKING), 0, [2, 4], id="a lane that was never posted"),
        pytest.param(situate(WORKING, unclaimed=9), 9, [2, 4, 1], id="each lane once"),
    ],
)
def test_which_lanes_get_one_more_worker(
    found: Situation, free_slots: int, lanes: list[int]
) -> None:
    assert choose_lanes(found, free_slots) == lanes


def test_a_lane_that_is_kept_gets_no_fifth_worker_however_many_slots_are_free() -> None:
    lost = [Seen(1, State.INVOKED, GONE)] * 4
    assert choose_lanes(Situation(lost[:3], {1: 3}, exclusive=False), 9) == [1]
    assert choose_lanes(Situation(lost, {1: 3}, exclusive=False), 9) == []


def test_the_wait_grows_while_nothing_new_comes() -> None:
    waits = [compute_backoff_s(posts) for posts in range(9)]
    assert waits == [0.0, 0.0, 15.0, 30.0, 60.0, 120.0, 300.0, 300.0, 300.0]
