# SPDX-License-Identifier: Apache-2.0
"""Items, the index of them, and chunks of the index.

Lines of the index are counted from 0 and ranges are half-open; only `Chunk.first_line` and
`last_line` count from 1, as users and invocations do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

# The number of largest items that a plan keeps for the report.
KEPT_LARGEST = 20


@dataclass(frozen=True, slots=True)
class Item:
    """One object of the data bucket that is to be processed."""

    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """An object that was listed and cannot be an item."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Bin:
    """A bar of a histogram: the number of values from half of the bound to below it."""

    below: float
    count: int


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Where an index can be cut; three columns of equal length, rising, the last item included."""

    lines: Sequence[int] = ()
    """Items up to each checkpoint."""
    sizes: Sequence[int] = ()
    """Bytes of these items."""
    offsets: Sequence[int] = ()
    """Bytes of their lines in the index."""


@dataclass(frozen=True, slots=True)
class Index:
    """What is known of an index; the index itself is an object in the state bucket."""

    items: int
    size_bytes: int
    """Bytes of all items."""
    text_bytes: int = 0
    """Bytes of the index itself."""
    sha256: str = ""
    """Of the index as it was written; empty where it was only counted (a dry run)."""
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    skipped: tuple[Skipped, ...] = ()
    """The first skipped objects; `skipped_count` counts them all."""
    skipped_count: int = 0
    control_keys: int = 0
    """How many items have control characters in their keys; mounts show these differently."""
    largest: tuple[Item, ...] = ()
    """The 1,000 largest items, largest first; of equals the first listed."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many listed objects are no items, by the rule (`bucket.exclude`) that says so."""
    sizes: tuple[Bin, ...] = ()
    """How many items have how many bytes; empty where sizes are not known."""

    @property
    def listed(self) -> int:
        """How many objects the storage listed, or a manifest named."""
        return self.items + self.skipped_count + sum(self.left_out.values())

    def count_objects(self, done: int, failed: int) -> dict[str, int]:
        """All listed objects by what became of them; `listed` is always the sum of the others."""
        return {
            "listed": self.listed,
            "done": done,
            "failed": failed,
            "pending": self.items - done - failed,
            "skipped": self.skipped_count,
            "left_out": sum(self.left_out.values()),
        }

    def without_working_values(self) -> Index:
        """The index without what only planning needs: so a plan keeps it."""
        largest = self.largest[:KEPT_LARGEST] if self.sizes else ()
        return replace(self, checkpoints=Checkpoints(), control_keys=0, largest=largest)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Index lines `start` (included, from 0) to `stop` (excluded): one invocation's work."""

    number: int
    start: int
    stop: int
    size_bytes: int
    """Bytes of its items."""
    offset: int
    """Where its lines start in the index, in bytes."""
    length_bytes: int
    """Bytes of its lines."""

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
