# SPDX-License-Identifier: Apache-2.0
"""Simulates how long a run takes, from the costs of its chunks and a pool of slots.

A heap orders the slots by the time at which they are free. OSCAR's manager takes 1.5
invocations a second after a burst of 3. More jobs than slots wait as pending pods. Every
invocation pays its start-up. Chunks are given as seconds on a slot of speed 1, not as items, so
a million items on 512 slots take milliseconds. Deterministic: noise comes from a seed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace

# What OSCAR's manager sustains: client-go's default of 5 calls a second, 3 to 5 calls a job.
POSTS_PER_S = 1.5
BURST = 3
# One claim of a pulling worker: a conditional PUT.
CLAIM_S = 0.05


@dataclass(frozen=True, slots=True)
class SlotPool:
    """The slots and habits of a cluster."""

    speeds: Sequence[float]
    """One per slot: seconds of work done in a second."""
    startup_s: float = 0.0
    posts_per_s: float = POSTS_PER_S
    burst: int = BURST
    noise: float = 0.0
    """Relative spread (log-normal) of each invocation's duration."""
    failures: float = 0.0
    """Share of invocations that die at a random moment and are sent again."""
    seed: int = 0


def predict_submission_s(
    number: int, posts_per_s: float = POSTS_PER_S, burst: int = BURST
) -> float:
    """When invocation `number` (from 0) reaches the cluster."""
    return max(0, number + 1 - burst) / posts_per_s


def simulate_queue(seconds: Iterable[float], pool: SlotPool) -> float:
    """The time until the last chunk is done, where every chunk is an invocation of its own."""
    if pool.noise or pool.failures:
        return _simulate_disturbed(seconds, pool)
    free = [(0.0, slot, speed) for slot, speed in enumerate(pool.speeds)]
    between, startup_s = 1 / pool.posts_per_s, pool.startup_s
    sent = -between * (pool.burst - 1)
    ended = 0.0
    for cost in seconds:
        at, slot, speed = free[0]
        end = (at if at > sent else sent if sent > 0 else 0.0) + startup_s + cost / speed
        heapreplace(free, (end, slot, speed))
        sent += between
        if end > ended:
            ended = end
    return ended


def simulate_pull(seconds: Iterable[float], pool: SlotPool, claim_s: float = CLAIM_S) -> float:
    """The time until the last chunk is done, where one worker per slot claims them in order."""
    noise = random.Random(pool.seed)  # noqa: S311 (a simulation)
    workers = [
        (
            predict_submission_s(n, pool.posts_per_s, pool.burst)
            + pool.startup_s * _draw_factor(noise, pool.noise),
            n,
            speed,
        )
        for n, speed in enumerate(pool.speeds)
    ]
    heapify(workers)
    ended = 0.0
    for cost in seconds:
        at, number, speed = workers[0]
        end = at + claim_s + cost / speed * _draw_factor(noise, pool.noise)
        heapreplace(workers, (end, number, speed))
        ended = max(ended, end)
    return ended


def compute_lower_bound(work_s: float, largest_s: float, pool: SlotPool) -> float:
    """A time that no schedule of indivisible items can beat.

    The larger of two: the start-up and the largest item on the fastest slot; and the least C with
    sum over slots k of speed_k * max(0, C - submitted_k - start-up) >= all the work. Slot k is
    where the cluster places invocation k, which nobody else can choose.
    """
    rate = before = 0.0
    end = math.inf
    for number, speed in enumerate(pool.speeds):
        ready = predict_submission_s(number, pool.posts_per_s, pool.burst) + pool.startup_s
        if end <= ready:
            break
        rate += speed
        before += speed * ready
        end = (work_s + before) / rate
    return max(end, pool.startup_s + largest_s / max(pool.speeds))


def spread_speeds(speeds: Sequence[float], slots: int, seed: int) -> list[float]:
    """So many slots with speeds spread like these, of mean 1, in an order of chance."""
    drawn = [speeds[slot * len(speeds) // slots] for slot in range(slots)]
    mean = sum(drawn) / slots
    drawn = [speed / mean for speed in drawn]
    random.Random(seed).shuffle(drawn)  # noqa: S311 (a simulation)
    return drawn


def _simulate_disturbed(seconds: Iterable[float], pool: SlotPool) -> float:
    """`simulate_queue` with noise and failures; what fails is sent again, behind the queue."""
    noise = random.Random(pool.seed)  # noqa: S311 (a simulation)
    queue = [
        (predict_submission_s(i, pool.posts_per_s, pool.burst), i, cost)
        for i, cost in enumerate(seconds)
    ]
    free = [(0.0, slot, speed) for slot, speed in enumerate(pool.speeds)]
    ended = 0.0
    heapify(queue)
    while queue:
        sent, number, cost = heappop(queue)
        at, slot, speed = free[0]
        duration = (pool.startup_s + cost / speed) * _draw_factor(noise, pool.noise)
        if noise.random() < pool.failures:
            end = max(at, sent) + duration * noise.random()
            heappush(queue, (end, number, cost))
        else:
            end = max(at, sent) + duration
        heapreplace(free, (end, slot, speed))
        ended = max(ended, end)
    return ended


def _draw_factor(noise: random.Random, spread: float) -> float:
    """A log-normal factor of mean 1 and this relative standard deviation."""
    if not spread:
        return 1.0
    sigma = math.sqrt(math.log(1 + spread * spread))
    return noise.lognormvariate(-sigma * sigma / 2, sigma)
