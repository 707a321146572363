# SPDX-License-Identifier: Apache-2.0
"""Rounds of a pull run: round 1 is the whole run, later ones hold the items that are retried."""

from __future__ import annotations

from dataclasses import dataclass

from ..items import Chunk
from .lanes import Lanes


@dataclass(frozen=True, slots=True)
class IndexObject:
    """The index of a round: its key behind its bucket, its size and its digest."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Round:
    """The chunks of one round and their lanes. Its lines are those of its own index."""

    number: int
    index: IndexObject
    lanes: Lanes
    chunks: tuple[Chunk, ...]

    @property
    def items(self) -> int:
        return sum(chunk.items for chunk in self.chunks)
