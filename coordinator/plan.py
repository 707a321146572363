"""Index + slots → chunks: the work of each invocation, cut by bytes.

`balanced` gives every slot one chunk, and cuts the listing so that the largest chunk is as small
as a cut into contiguous ranges allows. Next: `payload`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from coordinator.model import Chunk, Index


def balanced(index: Index, slots: int) -> tuple[Chunk, ...]:
    """At most `slots` contiguous chunks, none empty, the heaviest as light as possible.

    An item weighs its bytes plus one, so that empty objects count too. Cuts lie on the index's
    checkpoints: beyond 65,536 items a cut is off its best place by one stride at the most.
    """
    ends = _ends(index)
    weights = [index.cumulated_bytes[i] + end for i, end in enumerate(ends)]
    count = min(slots, len(weights))
    if not count:
        return ()
    limit = _lightest(weights, count)
    chunks: list[Chunk] = []
    start = done = bytes_before = 0
    for number in range(1, count + 1):
        # As much as the limit allows, but one checkpoint for each chunk that is still to come.
        position = min(bisect_right(weights, done + limit), len(weights) - (count - number))
        stop, bytes_until = ends[position - 1], index.cumulated_bytes[position - 1]
        chunks.append(Chunk(number, start, stop, bytes_until - bytes_before))
        start, done, bytes_before = stop, weights[position - 1], bytes_until
    return tuple(chunks)


def _ends(index: Index) -> list[int]:
    """The number of items up to each checkpoint."""
    return [min((i + 1) * index.stride, index.items) for i in range(len(index.cumulated_bytes))]


def _lightest(cumulated: Sequence[int], count: int) -> int:
    """The least limit under which `count` contiguous ranges hold everything, by bisection."""
    low, high = max(1, -(-cumulated[-1] // count)), cumulated[-1]
    while low < high:
        middle = (low + high) // 2
        if _ranges_within(cumulated, middle, count):
            high = middle
        else:
            low = middle + 1
    return low


def _ranges_within(cumulated: Sequence[int], limit: int, count: int) -> bool:
    done = position = 0
    for _ in range(count):
        reached = bisect_right(cumulated, done + limit, lo=position)
        if reached == position:  # one checkpoint alone is heavier than the limit
            return False
        if reached == len(cumulated):
            return True
        position, done = reached, cumulated[reached - 1]
    return False
