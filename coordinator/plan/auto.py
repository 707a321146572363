# SPDX-License-Identifier: Apache-2.0
"""Chooses the chunks that are fastest in a simulation.

Every candidate is simulated on pools of slots. An earlier run or the config may say how uneven
the slots are. Where neither does, one pool has even slots and others have slots as uneven as is
usual; then a candidate must not lose much on the even ones. Where no time is known, nothing is
simulated and no time is estimated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from statistics import fmean

from ..model.items import Chunk, Index
from ..model.planning import Candidate, Choice, Cost, Estimate, Strategy
from . import strategies
from .simulate import SlotPool, simulate_queue, spread_speeds
from .workload import Workload

# Uneven pools that each candidate is tried in, as far as so many invocations in all allow.
_POOLS = 5
_MOST_EVENTS = 100_000
# Chunks of all candidates together, about.
_MOST_CHUNKS = 30_000
# With more slots than this, submission takes an hour and longer: only `balanced` is tried.
_MOST_SLOTS = 5_000
# How slow a slot may be for the chunks of a balanced candidate, where slots may be uneven.
_PACES = (0.75, 0.5, 0.25)
# A candidate with more invocations must be faster by more than the first share. It must be faster
# than one chunk per slot by more than the second, because that time depends least on assumptions.
_WORTH, _WORTH_MORE = 0.01, 0.05
# How unevenly slots may run where it is not known; and what smaller chunks, which pay off on uneven
# slots, may cost on even ones: against `balanced`, and against chunks of equal counts.
_ASSUMED_SPEEDS = (0.6, 0.8, 1.0, 1.2, 1.4)
_HEDGE, _HEDGE_EQUAL = 0.15, 0.01

Simulate = Callable[[Sequence[float], SlotPool], float]
_Cut = tuple[Strategy, tuple[Chunk, ...]]


def choose_fastest(
    index: Index, slots: int, cost: Cost, least_items: int = 1
) -> tuple[tuple[Chunk, ...], Choice]:
    """The chunks of the fastest candidate, the one with the fewest invocations among equals."""
    work = Workload.from_index(index, cost)
    even = strategies.cut_balanced(work, slots, least_items=least_items)
    if not cost.timed:
        reason = "no time of an item is known: one chunk per slot, by bytes, and no estimate"
        candidates = (Candidate(Strategy.BALANCED, len(even), None),)
        return even, Choice(Strategy.BALANCED, reason, cost, None, candidates)
    cuts: list[_Cut] = [(Strategy.BALANCED, even)]
    if cost.startup_s is not None and slots <= _MOST_SLOTS:
        cuts += _limit_candidates(_cut_smaller(work, slots, len(even), least_items, cost))
    times = _simulate_all([work.estimate_seconds(chunks) for _, chunks in cuts], slots, cost)
    expected = [fmean(each) for each in times]
    limit_s = _compute_limit_s(work, slots, cost, times[0][0])
    fit = [0, *(i for i in range(1, len(cuts)) if times[i][0] <= limit_s)]
    winner = _choose_winner(cuts, expected, fit)
    tried = tuple(
        Candidate(strategy, len(chunks), Estimate(fmean(each), min(each), max(each)))
        for (strategy, chunks), each in zip(cuts, times, strict=True)
    )
    strategy, chunks = cuts[winner]
    reason = _explain_choice(winner, expected, fit, cost)
    return chunks, Choice(strategy, reason, cost, tried[winner].estimate, tried)


def estimate_time(
    work: Workload,
    chunks: tuple[Chunk, ...],
    slots: int,
    cost: Cost,
    simulate: Simulate = simulate_queue,
) -> Estimate:
    """The time of a cut that was asked for."""
    times = _simulate_all([work.estimate_seconds(chunks)], slots, cost, simulate)[0]
    return Estimate(fmean(times), min(times), max(times))


def _limit_candidates(cuts: Iterator[_Cut]) -> Iterator[_Cut]:
    """As many of the cuts as can be tried in a fraction of a second."""
    chunks = 0
    for cut in cuts:
        yield cut
        chunks += len(cut[1])
        if chunks > _MOST_CHUNKS:
            return


def _cut_smaller(
    work: Workload, slots: int, used: int, least_items: int, cost: Cost
) -> Iterator[_Cut]:
    """Cuts into more chunks: they pay start-up more often and even out the end.

    `used` slots are those whose invocation comes in time when all is even.
    """
    for pace in _PACES if _may_be_uneven(cost) and used > 1 else ():
        chunks = strategies.cut_balanced(work, slots, pace=pace, least_items=least_items)
        yield Strategy.BALANCED, chunks
    share_s = work.total_s / used
    # Chunks below a 64th of a slot's work cost more start-up time than they gain.
    floors = {max(cost.startup_s or 0.0, share_s / part) for part in (64, 16, 6, 3)}
    for floor_s, first in product(sorted(floors, reverse=True), (0.7, 0.5, 0.35)):
        if floor_s <= share_s * (1 - first):
            chunks = strategies.cut_factoring(
                work, used, floor_s, first=first, least_items=least_items
            )
            yield Strategy.FACTORING, chunks


def _may_be_uneven(cost: Cost) -> bool:
    return len(set(cost.speeds)) != 1


def _simulate_all(
    cuts: Sequence[Sequence[float]], slots: int, cost: Cost, simulate: Simulate = simulate_queue
) -> list[list[float]]:
    """The make-span of each cut in every pool."""
    slots = min(slots, max(map(len, cuts)))
    startup_s = cost.startup_s or 0.0
    pools = []
    if len(set(cost.speeds)) < 2:  # they are even, or may be
        pools = [SlotPool([1.0] * slots, startup_s)]
    if _may_be_uneven(cost):
        speeds = cost.speeds or _ASSUMED_SPEEDS
        most = max(1, min(_POOLS, _MOST_EVENTS // sum(map(len, cuts))))
        pools += [SlotPool(spread_speeds(speeds, slots, seed), startup_s) for seed in range(most)]
    return [[simulate(seconds, pool) for pool in pools] for seconds in cuts]


def _compute_limit_s(work: Workload, slots: int, cost: Cost, balanced_s: float) -> float:
    """What a candidate may take on even slots, where it is not known whether the slots are even."""
    if cost.speeds or slots > _MOST_SLOTS:
        return math.inf
    equal_s = simulate_queue(
        work.estimate_equal_seconds(slots), SlotPool([1.0] * slots, cost.startup_s or 0.0)
    )
    return min(balanced_s * (1 + _HEDGE), equal_s * (1 + _HEDGE_EQUAL))


def _choose_winner(cuts: Sequence[_Cut], expected: Sequence[float], fit: Sequence[int]) -> int:
    best = min(expected[i] for i in fit)
    if expected[0] <= best * (1 + _WORTH_MORE):
        return 0
    worthy = [i for i in fit if expected[i] <= best * (1 + _WORTH)]
    return min(worthy, key=lambda i: (len(cuts[i][1]), expected[i]))


def _explain_choice(winner: int, expected: Sequence[float], fit: Sequence[int], cost: Cost) -> str:
    text = f"simulated with the times of {cost.source}"
    if cost.startup_s is None:
        return (
            f"{text}; the start-up time is not known: estimates do not include it, and no "
            "candidate pays it more than once per slot"
        )
    if not cost.speeds:
        low, high = _ASSUMED_SPEEDS[0], _ASSUMED_SPEEDS[-1]
        text += f", on even slots and on uneven ones (speeds of {low:g} to {high:g} are assumed)"
    others = [time for i, time in enumerate(expected) if i != winner]
    if not others:
        return text
    gain = min(others) / expected[winner] - 1
    if gain >= _WORTH / 2:
        return f"{text}: {gain:.0%} faster than the next candidate"
    if min(expected) < min(expected[i] for i in fit):
        return f"{text}: a faster one would be too slow if the slots are even"
    if winner == 0 and min(expected) < expected[0]:
        return f"{text}: no other is faster by more than {_WORTH_MORE:.0%}"
    return f"{text}: as fast as the next candidate within {_WORTH:.0%}"
