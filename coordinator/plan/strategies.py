# SPDX-License-Identifier: Apache-2.0
"""Where to cut a workload: one function for each strategy.

`balanced` gives every slot one chunk so that all end together, `factoring` hands out ever smaller
ones, `fixed` follows the config, `pull` makes many small ones for workers to claim. All ranges
are contiguous, none is empty, together they hold every item once. Cuts lie on checkpoints: beyond
65,536 items a chunk ends at most one stride beside the best line.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..model.items import Chunk
from .simulate import CLAIM_S, SlotPool, compute_lower_bound, predict_submission_s
from .workload import Workload

# Beyond so many chunks the limit is searched to one part in 4,096 only.
_EXACT_CHUNKS = 1_000
# A worker takes its own lane front to back, also a slow one late in the run. So a chunk to pull is
# a small part of what a slot would have to do of all that is left ...
_PULL_PARTS = 32
# ... but worth its claim: 20 s, unless that were more than a quarter of it ...
_PULL_WORTH_S, _PULL_MOST_PARTS = 20.0, 4
# ... and never so small that claims cost more than the end is uneven by: half a chunk on a slot of
# a quarter of the mean speed. Of n seconds for each slot that is the root of CLAIM_S * n / 2. Where
# no time is known it is this part of what a slot has to do.
_PULL_UNKNOWN_PARTS = 64
# More items would make the result of a chunk too large to be read in bounded memory.
_PULL_ITEMS = 1_000


def cut_balanced(
    work: Workload, slots: int, *, pace: float = 1.0, least_items: int = 1
) -> tuple[Chunk, ...]:
    """At most `slots` chunks that end as early as a cut into contiguous ranges allows.

    Where times are known, a chunk that is invoked later gets less, because invocations leave one
    after the other; a slot whose invocation would come too late gets none. A `pace` below 1 is
    for slots that may be so slow: chunks are lighter and more in number.
    """
    count = min(slots, len(work.weights))
    if count < 1:
        return ()
    late = [work.weigh(pace * predict_submission_s(n)) if work.timed else 0 for n in range(count)]
    limit = _find_earliest_limit(work, late)
    positions: list[int] = []
    position = done = 0
    for number in range(count):
        # As much as the limit allows, but one checkpoint for each chunk that is still to come.
        last = len(work.weights) - 1
        spare = 0 if work.timed else count - number - 1
        reached = work.next_position(done, limit - late[number], position)
        positions.append(min(reached, last - spare))
        position, done = positions[-1] + 1, work.weights[positions[-1]]
        if position > last:
            break
    return work.cut_at(work.merge_small(positions, least_items))


def cut_factoring(
    work: Workload, slots: int, floor_s: float, *, first: float = 0.5, least_items: int = 1
) -> tuple[Chunk, ...]:
    """Batches of one chunk per slot, each batch half of the work that is left, down to a floor.

    The first batch takes the share `first`. Without known times the floor is a 64th of what one
    slot has to do.
    """
    floor = work.weigh(floor_s) if work.timed else work.total // (64 * slots)
    return _cut_greedily(work, _make_halving(work, slots, max(1, floor), first), least_items)


def cut_for_pull(work: Workload, slots: int, least_items: int = 1) -> tuple[Chunk, ...]:
    """Chunks in the order in which to claim them: the heaviest first, ever smaller ones after it.

    An item heavier than its chunk should be is a chunk alone, as far as checkpoints allow.
    """
    least = max(1, work.total // (_PULL_UNKNOWN_PARTS * slots))
    if work.timed:
        least = work.weigh(math.sqrt(CLAIM_S * work.total_s / slots / 2))

    def size(number: int, left: int) -> int:
        most = left // (_PULL_MOST_PARTS * slots)
        worth = work.weigh(_PULL_WORTH_S) if work.timed else least
        return max(left // (_PULL_PARTS * slots), worth if worth <= most else least, 1)

    return order_heaviest(work, _cut_greedily(work, size, least_items, _PULL_ITEMS))


def order_heaviest(work: Workload, chunks: Sequence[Chunk]) -> tuple[Chunk, ...]:
    """The same chunks, numbered anew: the heaviest first."""
    seconds = work.estimate_seconds(chunks)
    order = sorted(range(len(chunks)), key=lambda i: -seconds[i])
    return tuple(replace(chunks[i], number=n) for n, i in enumerate(order, start=1))


def deal_lanes(chunks: Sequence[Chunk], slots: int) -> tuple[tuple[int, ...], tuple[Chunk, ...]]:
    """One lane for each slot that gets a chunk: the chunks of each, and all in their order.

    Chunks are dealt out one by one, so that in every lane they are in the order in which they came.
    """
    lanes = [chunks[first::slots] for first in range(min(slots, len(chunks)))]
    dealt = (chunk for lane in lanes for chunk in lane)
    numbered = (replace(chunk, number=number) for number, chunk in enumerate(dealt, start=1))
    return tuple(map(len, lanes)), tuple(numbered)


def cut_fixed(work: Workload) -> tuple[Chunk, ...]:
    """A chunk up to every checkpoint: they lie where chunks of the config's size end."""
    return work.cut_at(range(len(work.ends)))


def _make_halving(
    work: Workload, slots: int, floor: int, first: float = 0.5
) -> Callable[[int, int], int]:
    """The weight of chunk `number` when `left` is left: half of its share, `floor` at the least."""
    end_s = compute_lower_bound(work.total_s, 0.0, SlotPool([1.0] * slots)) if work.timed else 0.0
    batch = 0

    def size(number: int, left: int) -> int:
        nonlocal batch
        if number < slots and work.timed:
            return max(floor, work.weigh((end_s - predict_submission_s(number)) * first))
        if number % slots == 0:
            batch = int(left / slots * (0.5 if number else first))
        return max(floor, batch)

    return size


def _cut_greedily(
    work: Workload, size: Callable[[int, int], int], least_items: int, most_items: int | None = None
) -> tuple[Chunk, ...]:
    """Cuts from the front, each chunk as heavy as `size` says and no heavier."""
    positions: list[int] = []
    position = done = items = 0
    while position < len(work.weights):
        weight = size(len(positions), work.total - done)
        reached = work.next_position(done, weight, position)
        if most_items:
            fitting = bisect_right(work.ends, items + most_items, lo=position) - 1
            reached = max(position, min(reached, fitting))
        positions.append(reached)
        position, done, items = reached + 1, work.weights[reached], work.ends[reached]
    return work.cut_at(work.merge_small(positions, least_items))


def _find_earliest_limit(work: Workload, late: Sequence[int]) -> int:
    """The least limit under which ranges of `limit - late` each hold everything, by bisection."""
    weights = work.weights
    heaviest = max(b - a for a, b in zip((0, *weights[:-1]), weights, strict=True))
    low = max(1, _compute_fluid_limit(work.total, late))
    # Each range is short of its limit by less than the heaviest checkpoint.
    high = low + heaviest
    while high - low > (0 if len(late) <= _EXACT_CHUNKS else low >> 12):
        middle = (low + high) // 2
        if _limit_suffices(weights, middle, late):
            high = middle
        else:
            low = middle + 1
    return high


def _compute_fluid_limit(total: int, late: Sequence[int]) -> int:
    """The least limit if work could be cut anywhere: sum of max(0, limit - late) >= total."""
    before = 0
    limit = total
    for number, delay in enumerate(late, start=1):
        if limit <= delay:
            break
        before += delay
        limit = -(-(total + before) // number)
    return limit


def _limit_suffices(cumulated: Sequence[int], limit: int, late: Sequence[int]) -> bool:
    done = position = 0
    for delay in late:
        reached = bisect_right(cumulated, done + limit - delay, lo=position)
        if reached == len(cumulated):
            return True
        if reached == position:  # one checkpoint alone is heavier than the limit
            return False
        position, done = reached, cumulated[reached - 1]
    return False
