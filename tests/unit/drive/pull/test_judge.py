# SPDX-License-Identifier: Apache-2.0
"""What is known of a worker from its beats, and which lanes get one more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from coordinator.drive.pull.workers.judge import (
    Seen,
    Sighting,
    Situation,
    choose_lanes,
    judge_process,
    judge_worker,
)
from coordinator.model.pull.documents import Beat, BeatState
from coordinator.model.pull.findings import WorkerState
from coordinator.model.pull.lanes import Timing
from coordinator.model.run import State

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TIMING = Timing()


def seen(
    *,
    age_s: float = 5,
    looked_s: float = 60,
    state: str = "working",
    signal: int | None = None,
    since: str = "",
) -> Sighting:
    beat = Beat("0001-00001-aa", BeatState(state), signal=signal, since=since)
    return Sighting(beat, NOW - timedelta(seconds=age_s), NOW - timedelta(seconds=looked_s))


@pytest.mark.parametrize(
    ("sighting", "known"),
    [
        pytest.param(seen(), "working", id="a fresh beat"),
        pytest.param(seen(age_s=120), "working", id="as old as may be"),
        pytest.param(seen(age_s=121), "gone", id="older, in two looks"),
        pytest.param(seen(age_s=121, looked_s=44), "working", id="older, in looks too close"),
        pytest.param(seen(age_s=121, looked_s=45), "gone", id="older, in looks far enough apart"),
        pytest.param(seen(age_s=500, looked_s=-45), "working", id="a failed call in between"),
        pytest.param(seen(state="waiting"), "working", id="waits for others"),
        pytest.param(seen(state="ended"), "ended", id="says so"),
        pytest.param(seen(state="ended", signal=9), "working", id="its shell starts it again"),
        pytest.param(seen(state="ended", signal=9, age_s=121), "ended", id="its shell did not"),
    ],
)
def test_a_process_is_judged_by_its_beat(sighting: Sighting, known: str) -> None:
    assert judge_process(sighting, NOW, TIMING) == known


KILLED = seen(age_s=20, state="ended", signal=9, since="12:00")


@pytest.mark.parametrize(
    ("sightings", "posted_s", "known"),
    [
        pytest.param([], 900, "waiting", id="no beat yet"),
        pytest.param([], 901, "never seen", id="no beat in time"),
        pytest.param([seen(age_s=500), seen()], 901, "working", id="one process lives"),
        pytest.param([seen(state="ended"), seen(age_s=500)], 901, "ended", id="one ended"),
        pytest.param([seen(age_s=500)], 901, "gone", id="gone"),
        pytest.param([KILLED], 901, "working", id="its shell starts it again"),
        pytest.param([KILLED, seen(state="ended")], 901, "ended", id="the next one ended"),
        pytest.param(
            [KILLED, seen(age_s=20, state="ended", since="12:01")], 901, "ended",
            id="in the same second",
        ),
        pytest.param([KILLED, seen(age_s=500, state="ended")], 901, "working", id="the last one"),
        pytest.param([KILLED, seen(age_s=500)], 901, "working", id="of two that were killed"),
    ],
)  # fmt: skip
def test_a_worker_is_as_alive_as_its_processes(
    sightings: list[Sighting], posted_s: float, known: str
) -> None:
    posted = NOW - timedelta(seconds=posted_s)
    assert judge_worker(sightings, posted, NOW, TIMING, 900) == known


UNCERTAIN = Seen(1, State.UNCERTAIN, WorkerState.NEVER_SEEN)


@pytest.mark.parametrize(
    ("workers", "open_chunks", "exclusive", "chosen"),
    [
        pytest.param([UNCERTAIN], 3, True, [1], id="a lost answer and no beat"),
        pytest.param([UNCERTAIN], 0, True, [], id="others did its chunks"),
        pytest.param(
            [Seen(1, State.UNCERTAIN, WorkerState.WAITING)], 3, True, [], id="it may still come"
        ),
        pytest.param(
            [Seen(1, State.INVOKED, WorkerState.GONE)], 3, True, [], id="others repair its lane"
        ),
        pytest.param(
            [Seen(1, State.INVOKED, WorkerState.GONE)], 3, False, [1], id="nobody else may"
        ),
        pytest.param(
            [Seen(1, State.INVOKED, WorkerState.WORKING)], 3, False, [], id="it is at work"
        ),
        pytest.param(
            [Seen(1, State.INVOKED, WorkerState.GONE), Seen(1, State.INVOKED, WorkerState.WORKING)],
            3,
            False,
            [],
            id="another one is at work",
        ),
        pytest.param(
            [Seen(1, State.UNCERTAIN, WorkerState.GONE)], 3, True, [], id="it came, and is gone"
        ),
        pytest.param(
            [UNCERTAIN, Seen(1, State.INVOKED, WorkerState.GONE)], 3, True, [], id="the newest came"
        ),
        pytest.param([UNCERTAIN] * 3, 3, False, [1], id="three were not enough"),
        pytest.param([UNCERTAIN] * 4, 3, False, [], id="enough is enough"),
        pytest.param(
            [UNCERTAIN, Seen(1, State.INVOKED, WorkerState.WORKING)], 3, True, [], id="posted again"
        ),
    ],
)
def test_a_lane_gets_one_more_worker_where_nobody_else_helps(
    workers: list[Seen], open_chunks: int, exclusive: bool, chosen: list[int]
) -> None:
    situation = Situation(workers, {1: open_chunks}, exclusive)
    assert choose_lanes(situation, 0) == chosen
