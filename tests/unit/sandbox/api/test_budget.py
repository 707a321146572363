# SPDX-License-Identifier: Apache-2.0
"""The manager's Kubernetes calls: a burst, a rate, and two budgets."""

import asyncio

import pytest

from sandbox.api.budget import SUBMIT, Budget, Cost, find_cost
from sandbox.cluster.profiles import V37, V41


class Time:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def measure(self, budget: Budget, *costs: Cost) -> float:
        """The time that these requests take, one after the other."""
        before = self.now
        for cost in costs:
            asyncio.run(budget.spend(cost))
        return self.now - before


@pytest.mark.parametrize(("calls", "took_s"), [(1, 0), (10, 0), (11, 0.2), (15, 1.0), (73, 12.6)])
@pytest.mark.parametrize("kind", ["core", "batch"])
def test_ten_at_once_then_five_a_second(calls: int, took_s: float, kind: str) -> None:
    time = Time()
    budget = Budget(lambda: time.now, time.sleep)
    assert time.measure(budget, Cost(**{kind: calls})) == pytest.approx(took_s)


def test_the_batch_api_has_a_budget_of_its_own() -> None:
    time = Time()
    budget = Budget(lambda: time.now, time.sleep)
    assert time.measure(budget, Cost(10), Cost(0, 10)) == pytest.approx(0)
    assert time.measure(budget, Cost(0, 1)) == pytest.approx(0.2)
    assert time.measure(budget, Cost(1)) == pytest.approx(0), "a call came back meanwhile"


@pytest.mark.parametrize(("post_calls", "rate"), [(V41.post_calls, 2.5), (V37.post_calls, 1.25)])
def test_the_pace_of_submissions_is_that_of_the_release(post_calls: int, rate: float) -> None:
    time = Time()
    budget = Budget(lambda: time.now, time.sleep)
    one = find_cost(SUBMIT, post_calls)
    time.measure(budget, *[one] * 5)
    assert 100 / time.measure(budget, *[one] * 100) == pytest.approx(rate)


def test_idle_time_refills_the_budget_up_to_the_burst() -> None:
    time = Time()
    budget = Budget(lambda: time.now, time.sleep)
    time.measure(budget, Cost(10))
    time.now += 1
    assert time.measure(budget, Cost(6)) == pytest.approx(0.2), "five were back"
    time.now += 3600
    assert time.measure(budget, Cost(11)) == pytest.approx(0.2)
