# SPDX-License-Identifier: Apache-2.0
"""Index + slots + cost → chunks, and why they were cut so.

A strategy that the config names is taken; `auto` lets `simulate` try the candidates on what is
known of times and takes the fastest, the one with the fewest invocations among equals. Where
nothing is known there are no times to compare and none are told: then every slot gets one chunk,
by bytes. Called by `batch` and, for saved indexes, by `__main__`. Next: `payload`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from statistics import fmean

from coordinator import simulate, strategies
from coordinator.model import Candidate, Choice, Chunk, Cost, Cutting, Estimate, Index, Strategy
from coordinator.workload import Workload

# Worlds that each candidate is tried in, as far as so many invocations in all allow.
_WORLDS = 5
_MOST_EVENTS = 100_000
# Chunks of all candidates together, about.
_MOST_CHUNKS = 30_000
# With more slots than this, submission takes an hour and longer: only `balanced` is tried.
_MOST_SLOTS = 5_000
# How slow a slot may be for the chunks of a balanced candidate, where slots are uneven.
_PACES = (0.75, 0.5, 0.25)
# A candidate with more invocations must be faster by more than this share; to leave one chunk per
# slot, whose time depends least on what is assumed of the slots, by more than the second.
_WORTH, _WORTH_MORE = 0.01, 0.05
_EVEN = (1.0,)
# How unevenly slots may run where no run has measured it; for the spread of estimates only.
_ASSUMED_SPEEDS = (0.7, 1.0, 1.3)

_Cut = tuple[Strategy, tuple[Chunk, ...]]


def chosen(
    index: Index, slots: int, cutting: Cutting, cost: Cost
) -> tuple[tuple[Chunk, ...], Choice]:
    """The chunks under what the config asks for, and how they came about."""
    if slots < 1 or not index.items:
        return (), Choice(Strategy.BALANCED, "there is nothing to cut", cost)
    work = Workload.of(index, cost)
    if cutting.strategy is Strategy.AUTO and not (cutting.chunk_items or cutting.chunk_bytes):
        return _by_simulation(work, slots, cutting, cost)
    strategy = cutting.strategy
    reason = "plan.strategy says so"
    if strategy is Strategy.AUTO:
        strategy, reason = Strategy.FIXED, "plan.chunk_items or plan.chunk_bytes says so"
    chunks = _cut(strategy, index, work, slots, cutting, cost)
    estimate = _estimate(work, strategy, chunks, slots, cost)
    return chunks, Choice(strategy, _with_queue(reason, chunks, slots, strategy), cost, estimate)


def balanced(index: Index, slots: int, cost: Cost | None = None) -> tuple[Chunk, ...]:
    """One chunk per slot, all ending together; without a cost, of equal bytes."""
    return strategies.balanced(Workload.of(index, cost or Cost()), slots)


def _cut(
    strategy: Strategy, index: Index, work: Workload, slots: int, cutting: Cutting, cost: Cost
) -> tuple[Chunk, ...]:
    least = cutting.min_chunk_items
    if strategy is Strategy.FIXED:
        return strategies.fixed(
            index, work, chunk_items=cutting.chunk_items, chunk_bytes=cutting.chunk_bytes
        )
    if strategy is Strategy.FACTORING:
        return strategies.factoring(work, slots, cost.startup_s or 0.0, least_items=least)
    if strategy is Strategy.PULL:
        return strategies.pull(work, slots, least)
    return strategies.balanced(work, slots, least_items=least)


def _by_simulation(
    work: Workload, slots: int, cutting: Cutting, cost: Cost
) -> tuple[tuple[Chunk, ...], Choice]:
    even = strategies.balanced(work, slots, least_items=cutting.min_chunk_items)
    if not cost.timed:
        reason = "no time of an item is known: one chunk per slot, by bytes, and no estimate"
        candidates = (Candidate(Strategy.BALANCED, len(even), None),)
        return even, Choice(Strategy.BALANCED, reason, cost, None, candidates)
    cuts: list[_Cut] = [(Strategy.BALANCED, even)]
    if cost.startup_s is not None and slots <= _MOST_SLOTS:
        cuts += _affordable(_smaller(work, slots, len(even), cutting.min_chunk_items, cost))
    budget = _MOST_EVENTS // len(cuts)
    times = [_times(work.seconds(chunks), slots, cost, budget) for _, chunks in cuts]
    expected = [fmean(each) for each in times]
    best = min(expected)
    worthy = [i for i, time in enumerate(expected) if time <= best * (1 + _WORTH)]
    winner = min(worthy, key=lambda i: (len(cuts[i][1]), expected[i]))
    if expected[0] <= best * (1 + _WORTH_MORE):
        winner = 0
    tried = tuple(
        Candidate(strategy, len(chunks), _spread_out(each, work.seconds(chunks), slots, cost))
        for (strategy, chunks), each in zip(cuts, times, strict=True)
    )
    strategy, chunks = cuts[winner]
    reason = _with_queue(_why(winner, expected, cost), chunks, slots, strategy)
    return chunks, Choice(strategy, reason, cost, tried[winner].estimate, tried)


def _affordable(cuts: Iterator[_Cut]) -> Iterator[_Cut]:
    """As many of the cuts as can be tried in a fraction of a second."""
    chunks = 0
    for cut in cuts:
        yield cut
        chunks += len(cut[1])
        if chunks > _MOST_CHUNKS:
            return


def _smaller(work: Workload, slots: int, used: int, least_items: int, cost: Cost) -> Iterator[_Cut]:
    """Cuts into more chunks: they pay start-up more often and even out the end.

    `used` slots are those whose invocation comes in time when all is even.
    """
    for pace in _PACES if _uneven(cost) and used > 1 else ():
        chunks = strategies.balanced(work, slots, pace=pace, least_items=least_items)
        yield Strategy.BALANCED, chunks
    share_s = work.total_s / used
    # A floor below a 64th of a slot's work gains nothing that another start-up does not cost.
    floors = {max(cost.startup_s or 0.0, share_s / part) for part in (64, 16, 6, 3)}
    for floor_s, first in product(sorted(floors, reverse=True), (0.7, 0.5, 0.35)):
        if floor_s <= share_s * (1 - first):
            chunks = strategies.factoring(work, used, floor_s, first=first, least_items=least_items)
            yield Strategy.FACTORING, chunks


def _uneven(cost: Cost) -> bool:
    return len(set(cost.speeds)) > 1


def _times(seconds: list[float], slots: int, cost: Cost, budget: int) -> list[float]:
    """The make-span of chunks in several worlds as uneven as measured; in one if all is even."""
    slots = min(slots, len(seconds))
    worlds = min(_WORLDS, max(1, budget // len(seconds))) if _uneven(cost) else 1
    return [
        simulate.make_span(seconds, _world(slots, cost.speeds or _EVEN, cost, seed))
        for seed in range(worlds)
    ]


def _world(slots: int, speeds: Sequence[float], cost: Cost, seed: int) -> simulate.World:
    return simulate.World(simulate.placed(speeds, slots, seed), startup_s=cost.startup_s or 0.0)


def _spread_out(times: list[float], seconds: list[float], slots: int, cost: Cost) -> Estimate:
    """An estimate of these times; where no unevenness is measured, one is assumed for its end."""
    low, high = min(times), max(times)
    if not cost.speeds:
        world = _world(min(slots, len(seconds)), _ASSUMED_SPEEDS, cost, 0)
        high = max(high, simulate.make_span(seconds, world))
    return Estimate(fmean(times), low, high)


def _estimate(
    work: Workload, strategy: Strategy, chunks: tuple[Chunk, ...], slots: int, cost: Cost
) -> Estimate | None:
    """The time of a cut that was asked for; None if nothing is known or workers pull."""
    if not cost.timed or strategy is Strategy.PULL:
        return None
    seconds = work.seconds(chunks)
    return _spread_out(_times(seconds, slots, cost, _MOST_EVENTS), seconds, slots, cost)


def _why(winner: int, times: list[float], cost: Cost) -> str:
    text = f"simulated with the times of {cost.source}"
    if cost.startup_s is None:
        return (
            f"{text}; the start-up is not known: no estimate has it, and no candidate pays it "
            "more than once per slot"
        )
    if not cost.speeds:
        text += ", all slots equally fast for want of a measurement"
    others = [time for i, time in enumerate(times) if i != winner]
    if not others:
        return text
    gain = min(others) / times[winner] - 1
    rivals = "the next candidate"
    if gain < 0:
        return f"{text}: as fast as {rivals} within 1 %, with fewer invocations"
    return f"{text}: {gain:.0%} faster than {rivals}" if gain >= 0.005 else f"{text}: the fastest"


def _with_queue(reason: str, chunks: tuple[Chunk, ...], slots: int, strategy: Strategy) -> str:
    if strategy is Strategy.PULL or len(chunks) <= slots:
        return reason
    waiting = len(chunks) - slots
    who = (
        "1 chunk waits as a pending pod"
        if waiting == 1
        else f"{waiting} chunks wait as pending pods"
    )
    return f"{reason}; {who} until a slot is free"
