# SPDX-License-Identifier: Apache-2.0
"""Planning: the rules for chunks, the cost of items, the strategy and why it was chosen."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

# A longer list of speeds does not improve a plan.
MOST_SPEEDS = 1_000


class Strategy(StrEnum):
    """How an index is cut into chunks."""

    AUTO = "auto"
    """The best of the others, by simulation."""
    BALANCED = "balanced"
    """One chunk per slot, all ending together."""
    FACTORING = "factoring"
    """Large chunks first, then smaller and smaller ones, each for the next free slot."""
    FIXED = "fixed"
    """As many items or bytes to a chunk as the config says."""
    PULL = "pull"
    """Many small chunks, heaviest first, which long-lived workers claim."""
    EVENT = "event"
    """An invocation for every item, the parts of the listing with the larger files first."""


@dataclass(frozen=True, slots=True)
class ChunkRules:
    """What the config says about the chunks."""

    strategy: Strategy = Strategy.AUTO
    chunk_items: int | None = None
    chunk_bytes: int | None = None
    min_chunk_items: int = 1

    @property
    def fixed(self) -> bool:
        """Whether the config fixes the size of the chunks."""
        return self.chunk_items is not None or self.chunk_bytes is not None


@dataclass(frozen=True, slots=True)
class Cost:
    """The time of an invocation, as far as it is known: start-up + items + bytes."""

    startup_s: float | None = None
    seconds_per_item: float = 0.0
    seconds_per_byte: float = 0.0
    speeds: tuple[float, ...] = ()
    """How unevenly slots run: speeds at evenly spaced ranks, slowest first; empty if unknown."""
    source: str = "nothing"
    """Where it is known from, in words."""

    @property
    def timed(self) -> bool:
        """Whether times can be estimated; otherwise only proportions, by bytes."""
        return self.seconds_per_item > 0 or self.seconds_per_byte > 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A time with its spread."""

    expected_s: float
    low_s: float
    high_s: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to cut that was considered, and how long it would take."""

    strategy: Strategy
    chunks: int
    estimate: Estimate | None
    """None where nothing is known of times."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How the chunks were cut, and why so."""

    strategy: Strategy
    reason: str
    cost: Cost = field(default_factory=Cost)
    estimate: Estimate | None = None
    candidates: tuple[Candidate, ...] = ()
