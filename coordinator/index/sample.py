# SPDX-License-Identifier: Apache-2.0
"""Chooses a few items, spread evenly over a listing of unknown length, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest

from ..model.object_columns import ObjectColumns

NAME = "oscar-batch try"
"""What the items that are not chosen are left out by."""
# Items that are kept for every one that is chosen in the end: so many steps the spread has.
_KEPT = 64


class Sample:
    """A spread of items; `left_out` counts the others."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.left_out = 0

    def choose(self, batches: Iterable[ObjectColumns]) -> Iterator[ObjectColumns]:
        """The chosen items in one batch, in their order; the first and about the last are in it."""
        kept: list[tuple[bytes, int | None]] = []
        stride, total = 1, 0
        for batch in batches:
            for key, size in zip_longest(batch.keys, batch.sizes or ()):
                if total % stride == 0:
                    kept.append((key, size))
                total += 1
                if len(kept) > self._count * _KEPT:
                    kept = kept[::2]
                    stride *= 2
        chosen = [kept[position] for position in spread(len(kept), self._count)]
        self.left_out = total - len(chosen)
        if chosen:
            sizes = [size for _, size in chosen if size is not None]
            keys = [key for key, _ in chosen]
            yield ObjectColumns(keys, sizes if len(sizes) == len(keys) else None)


def spread(total: int, count: int) -> list[int]:
    """So many positions of a sequence, evenly spread, the first and the last among them."""
    if total <= count:
        return list(range(total))
    if count == 1:
        return [0]
    return [number * (total - 1) // (count - 1) for number in range(count)]
