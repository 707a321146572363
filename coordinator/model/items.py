# SPDX-License-Identifier: Apache-2.0
"""Items, the index of them, and chunks of the index.

Lines of the index are counted from 0 and ranges are half-open; only `Chunk.first_line` and
`last_line` count from 1, as users and invocations do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Item:
    """One object of the data bucket."""

    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """An object that was listed and cannot be an item."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Index:
    """What is known of the written index: its length, and where the bytes lie.

    `cumulated_bytes[i]` is the size of the first `min((i + 1) * stride, items)` items; so the
    index of 10^7 items costs a bounded amount of memory.
    """

    items: int
    size_bytes: int
    cumulated_bytes: Sequence[int]
    stride: int
    skipped: tuple[Skipped, ...] = ()
    """The first skipped objects; `skipped_count` counts them all."""
    skipped_count: int = 0
    largest: tuple[Item, ...] = ()
    """The 1,000 largest items, largest first; of equals the first listed."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many listed objects are no items, by the rule (`bucket.exclude`) that says so."""

    @property
    def listed(self) -> int:
        return self.items + self.skipped_count


@dataclass(frozen=True, slots=True)
class Chunk:
    """Index lines `start` (included, from 0) to `stop` (excluded): one invocation's work."""

    number: int
    start: int
    stop: int
    size_bytes: int

    @property
    def items(self) -> int:
        return self.stop - self.start

    @property
    def first_line(self) -> int:
        """The first index line, counted from 1."""
        return self.start + 1

    @property
    def last_line(self) -> int:
        """The last index line, counted from 1 and included."""
        return self.stop
