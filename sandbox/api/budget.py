# SPDX-License-Identifier: Apache-2.0
"""Turns requests into the Kubernetes calls they cost, and those into waiting.

The manager's Kubernetes client makes 5 calls a second, 10 at once after a rest, for all endpoints
together. A call that is over the budget waits its turn; nothing is refused.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

CALLS_PER_S = 5.0
BURST = 10

# Kubernetes calls of one request, by method and route; listing jobs costs more for each job.
COSTS = {
    "POST /job/{service}": 4,  # the service's ConfigMap, two secrets, the job
    "GET /system/logs/{service}": 3,
    "DELETE /system/logs/{service}": 3,
    "GET /system/logs/{service}/{job}": 3,
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


class Budget:
    """A token bucket in which callers queue; a call's place in it is fixed when it is made."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._paid_until = 0.0

    async def spend(self, calls: int) -> None:
        """Make the calls one after the other; those of other requests come in between."""
        for _ in range(calls):
            now = self._clock()
            self._paid_until = max(self._paid_until, now - BURST / CALLS_PER_S) + 1 / CALLS_PER_S
            if (wait_s := self._paid_until - now) > 0:
                await self._sleep(wait_s)


class Unlimited(Budget):
    """No budget at all: the default."""

    async def spend(self, calls: int) -> None:
        return
