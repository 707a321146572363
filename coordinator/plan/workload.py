# SPDX-License-Identifier: Apache-2.0
"""The work of an index: how much there is up to each checkpoint.

Work is counted in whole numbers, which bisection needs: microseconds where times are known, else
bytes. Every item weighs one more, so that empty objects count too. An index of 10^7 items is
65,536 points here.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..model.items import Chunk, Index
from ..model.planning import Cost

_PER_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Workload:
    """The work of an index, cumulated at its checkpoints."""

    ends: Sequence[int]
    """Items up to each checkpoint."""
    sizes: Sequence[int]
    """Bytes up to each checkpoint."""
    offsets: Sequence[int]
    """Bytes of the index up to each checkpoint."""
    weights: Sequence[int]
    """Work up to each checkpoint, strictly rising."""
    timed: bool

    @classmethod
    def from_index(cls, index: Index, cost: Cost) -> Workload:
        """The workload under a cost; without known times, by bytes."""
        points = index.checkpoints
        ends, sizes, offsets = points.lines, points.sizes, points.offsets
        if not cost.timed:
            weights = [size + end for size, end in zip(sizes, ends, strict=True)]
            return cls(ends, sizes, offsets, weights, timed=False)
        each, per_byte = (
            rate * _PER_SECOND for rate in (cost.seconds_per_item, cost.seconds_per_byte)
        )
        weights = [
            round(each * end + per_byte * size) + end for end, size in zip(ends, sizes, strict=True)
        ]
        return cls(ends, sizes, offsets, weights, timed=True)

    @property
    def total(self) -> int:
        return self.weights[-1] if self.weights else 0

    @property
    def total_s(self) -> float:
        """All the work in seconds of one slot."""
        return self.total / _PER_SECOND

    def weigh(self, seconds: float) -> int:
        """The work of so many seconds."""
        return round(seconds * _PER_SECOND)

    def cut_at(self, positions: Iterable[int]) -> tuple[Chunk, ...]:
        """Chunks that end at these checkpoints (rising, the last one included)."""
        chunks: list[Chunk] = []
        start = size = offset = 0
        for number, position in enumerate(positions, start=1):
            stop, sizes, offsets = self.ends[position], self.sizes[position], self.offsets[position]
            chunks.append(Chunk(number, start, stop, sizes - size, offset, offsets - offset))
            start, size, offset = stop, sizes, offsets
        return tuple(chunks)

    def merge_small(self, positions: Sequence[int], least_items: int) -> list[int]:
        """The positions without those that would leave a chunk with too few items."""
        if least_items <= 1:
            return list(positions)
        kept: list[int] = []
        start = 0
        for position in positions:
            if self.ends[position] - start >= least_items:
                kept.append(position)
                start = self.ends[position]
        last = len(self.ends) - 1
        if not kept:
            return [last] if self.ends else []
        kept[-1] = last
        return kept

    def estimate_seconds(self, chunks: Sequence[Chunk]) -> list[float]:
        """The time of each chunk on a slot of mean speed; every chunk ends at a checkpoint."""
        return [
            (self._find_weight(c.stop) - self._find_weight(c.start)) / _PER_SECOND for c in chunks
        ]

    def estimate_equal_seconds(self, slots: int) -> list[float]:
        """The time of each of at most `slots` ranges of equally many items."""
        items = self.ends[-1] if self.ends else 0
        step = -(-items // slots) or 1
        weights = [self._find_weight(line) for line in (*range(0, items, step), items)]
        return [(after - before) / _PER_SECOND for before, after in pairwise(weights)]

    def next_position(self, done: int, weight: int, position: int) -> int:
        """The last checkpoint within `weight` beyond `done`, but not before `position`."""
        return max(position, bisect_right(self.weights, done + weight, lo=position) - 1)

    def _find_weight(self, line: int) -> int:
        """The work before a line; between two checkpoints it is interpolated."""
        position = bisect_left(self.ends, line)
        if line == 0 or self.ends[position] == line:
            return self.weights[position] if line else 0
        start, before = (
            (self.ends[position - 1], self.weights[position - 1]) if position else (0, 0)
        )
        share = (line - start) / (self.ends[position] - start)
        return before + int((self.weights[position] - before) * share)
