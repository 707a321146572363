# SPDX-License-Identifier: Apache-2.0
"""The history of a run, from its results, for the pictures of the report. All lists are bounded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..items import Bin
from .findings import ItemFailure

# The most bars of a timeline. If there are more chunks, successive chunks of a process share a bar.
MOST_SPANS = 20_000
# The number of different failure reasons that are kept, and of examples for each.
MOST_REASONS, MOST_EXAMPLES = 100, 3
MOST_SLOWEST = 20


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which a process worked on one chunk, or on several one after the other."""

    worker: str
    started_at: datetime
    """By the clock of the worker's node."""
    finished_at: datetime
    round: int
    lane: int
    chunk: int
    """The first of its chunks, counted within the lane."""
    chunks: int = 1
    attempt: int = 1
    done: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """The items that failed for one reason."""

    reason: str
    kind: str
    count: int
    examples: tuple[ItemFailure, ...] = ()
    """The first of them."""


@dataclass(frozen=True, slots=True)
class SlowItem:
    """An item that took long."""

    seconds: float
    round: int
    line: int
    """Of the index of its round, from 1."""
    worker: str
    key: str = ""
    """Empty where it was not looked up."""


@dataclass(frozen=True, slots=True)
class History:
    """The history of a run, from its results."""

    spans: tuple[Span, ...] = ()
    groups: tuple[FailureGroup, ...] = ()
    """The most frequent reason first."""
    ungrouped: int = 0
    """Failed items with other reasons than these."""
    slowest: tuple[SlowItem, ...] = ()
    """The slowest first."""
    seconds: tuple[Bin, ...] = ()
    """How many items took how long."""
