# SPDX-License-Identifier: Apache-2.0
"""How many Kubernetes calls a request costs, and how long it waits for them.

The manager's Kubernetes client makes 5 calls a second, 10 at once after a rest, for all endpoints
together. Calls to the batch API (jobs) have a budget of their own, as large as that of all other
calls. A call over the budget waits for its turn; nothing is refused.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

CALLS_PER_S = 5.0
BURST = 10
SUBMIT = "POST /job/{service}"

# Core calls of one request, by method and route; listing jobs costs more for each job. Those of a
# submission differ between releases.
COSTS = {
    "GET /system/logs/{service}": 3,
    "DELETE /system/logs/{service}": 3,
    "GET /system/logs/{service}/{job}": 4,
    "DELETE /system/logs/{service}/{job}": 3,
    "GET /system/services": 1,
    "GET /system/services/{service}": 1,
    "GET /system/services/{service}/auth": 1,
    "POST /system/services": 6,
    "PUT /system/services": 4,
    "DELETE /system/services/{service}": 6,
    "GET /system/status": 6,  # nodes, metrics, pods, deployment, jobs, pods of the services
    "GET /system/logs": 2,
    "GET /system/info": 1,
}


@dataclass(frozen=True, slots=True)
class Cost:
    """The Kubernetes calls of a request, by the budget that they take from."""

    core: int = 0
    batch: int = 0


def find_cost(route: str, post_calls: int) -> Cost:
    """The cost of a request to this route, in a release where a submission costs so much."""
    return Cost(post_calls, 1) if route == SUBMIT else Cost(COSTS.get(route, 0))


class _Bucket:
    """A token bucket in which callers queue; a call's place in it is fixed when it is made."""

    def __init__(self) -> None:
        self._paid_until = 0.0

    def reserve(self, now: float) -> float:
        """Take a call, and return how long it has to wait."""
        earliest = max(self._paid_until, now - BURST / CALLS_PER_S)
        self._paid_until = earliest + 1 / CALLS_PER_S
        return max(0.0, self._paid_until - now)


class Budget:
    """The two budgets of the manager."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._core = _Bucket()
        self._batch = _Bucket()

    async def spend(self, cost: Cost) -> None:
        """Make the calls one after the other; those of other requests come in between."""
        for bucket, calls in ((self._core, cost.core), (self._batch, cost.batch)):
            for _ in range(calls):
                if (wait_s := bucket.reserve(self._clock())) > 0:
                    await self._sleep(wait_s)


class Unlimited(Budget):
    """No budget at all: the default."""

    async def spend(self, cost: Cost) -> None:
        return
