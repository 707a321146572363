# SPDX-License-Identifier: Apache-2.0
"""The manager's Kubernetes calls: a burst, a rate, and one queue for all."""

import asyncio

import pytest

from sandbox.api.budget import Budget


class Time:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("calls", "took_s"), [(1, 0), (10, 0), (11, 0.2), (15, 1.0), (73, 12.6)])
def test_ten_at_once_then_five_a_second(calls: int, took_s: float) -> None:
    time = Time()
    asyncio.run(Budget(lambda: time.now, time.sleep).spend(calls))
    assert time.now - 1000 == pytest.approx(took_s)


def test_idle_time_refills_the_budget_up_to_the_burst() -> None:
    time = Time()
    budget = Budget(lambda: time.now, time.sleep)
    asyncio.run(budget.spend(10))
    time.now += 1
    before = time.now
    asyncio.run(budget.spend(6))
    assert time.now - before == pytest.approx(0.2), "five were back"
    time.now += 3600
    before = time.now
    asyncio.run(budget.spend(11))
    assert time.now - before == pytest.approx(0.2)
