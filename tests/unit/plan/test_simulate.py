# SPDX-License-Identifier: Apache-2.0
"""The simulator against pools small enough to work out by hand, and its bound against all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.plan.simulate import (
    SlotPool,
    compute_lower_bound,
    predict_submission_s,
    simulate_pull,
    simulate_queue,
    spread_speeds,
)

SECONDS = st.lists(st.floats(0.01, 1000), min_size=1, max_size=60)
WORLDS = st.builds(
    SlotPool,
    speeds=st.lists(st.floats(0.2, 5), min_size=1, max_size=20),
    startup_s=st.floats(0, 200),
)


@pytest.mark.parametrize(
    ("seconds", "pool", "expected"),
    [
        pytest.param([10], SlotPool([1.0], 5), 15, id="one chunk"),
        pytest.param([10], SlotPool([2.0], 5), 10, id="a fast slot starts no faster"),
        pytest.param([10, 10], SlotPool([1.0], 5), 30, id="every invocation starts up"),
        pytest.param([10, 1, 1], SlotPool([1.0, 1.0]), 10, id="the free slot takes the next"),
        pytest.param([1] * 4, SlotPool([1.0] * 4), 1 + 1 / 1.5, id="the fourth comes later"),
        pytest.param([1] * 6, SlotPool([1.0] * 6), 1 + 3 / 1.5, id="and the sixth later still"),
        pytest.param([], SlotPool([1.0]), 0, id="nothing to do"),
    ],
)
def test_make_spans_that_can_be_worked_out(
    seconds: list[float], pool: SlotPool, expected: float
) -> None:
    assert simulate_queue(seconds, pool) == pytest.approx(expected)


def test_pulling_starts_up_once_a_worker() -> None:
    assert simulate_pull([10, 10, 10], SlotPool([1.0], 5), claim_s=1) == pytest.approx(5 + 3 * 11)


def test_pulling_gives_a_fast_worker_more() -> None:
    assert simulate_pull([1] * 3, SlotPool([2.0, 1.0]), claim_s=0) == pytest.approx(1)


@given(SECONDS, WORLDS)
def test_no_run_beats_the_lower_bound(seconds: list[float], pool: SlotPool) -> None:
    bound = compute_lower_bound(sum(seconds), max(seconds), pool)
    assert simulate_queue(seconds, pool) >= bound * (1 - 1e-9)
    assert simulate_pull(seconds, pool) >= bound * (1 - 1e-9)


@pytest.mark.parametrize(
    ("work_s", "largest_s", "pool", "expected"),
    [
        pytest.param(100, 1, SlotPool([1.0] * 2, 5), 55, id="work and start-up"),
        pytest.param(100, 90, SlotPool([1.0] * 2, 5), 95, id="the largest item"),
        pytest.param(90, 1, SlotPool([1.0, 2.0], 5), 35, id="uneven slots"),
        # 3 of them at once, the fourth after 2/3 s: 4 C - 2/3 = 10.
        pytest.param(10, 0, SlotPool([1.0] * 4), (10 + 2 / 3) / 4, id="submission"),
        pytest.param(0.5, 0, SlotPool([1.0] * 99), 0.5 / 3, id="most slots come too late"),
    ],
)
def test_lower_bounds_that_can_be_worked_out(
    work_s: float, largest_s: float, pool: SlotPool, expected: float
) -> None:
    assert compute_lower_bound(work_s, largest_s, pool) == pytest.approx(expected)


def test_noise_and_failures_come_from_the_seed() -> None:
    def span(seed: int, failures: float) -> float:
        return simulate_queue(
            [10.0] * 50, SlotPool([1.0] * 8, 5, noise=0.2, failures=failures, seed=seed)
        )

    assert span(1, 0.2) == span(1, 0.2) != span(2, 0.2)
    assert span(1, 0.3) > span(1, 0.0)


def test_without_disturbance_the_disturbed_way_gives_the_same() -> None:
    seconds = [float(n % 7 + 1) for n in range(100)]
    calm = simulate_queue(seconds, SlotPool([1.0, 0.5, 2.0], 3))
    assert simulate_queue(seconds, SlotPool([1.0, 0.5, 2.0], 3, noise=1e-12)) == pytest.approx(calm)


@pytest.mark.parametrize("slots", [1, 2, 3, 7, 512])
def test_placed_speeds_have_mean_one_and_depend_on_the_seed_alone(slots: int) -> None:
    speeds = spread_speeds((0.4, 0.7, 1.0), slots, seed=5)
    assert len(speeds) == slots
    assert sum(speeds) == pytest.approx(slots)
    assert speeds == spread_speeds((0.4, 0.7, 1.0), slots, seed=5)


def test_three_invocations_leave_at_once_and_then_three_in_two_seconds() -> None:
    assert [predict_submission_s(n) for n in (0, 2, 3, 5)] == pytest.approx([0, 0, 2 / 3, 2])
