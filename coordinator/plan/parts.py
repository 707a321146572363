# SPDX-License-Identifier: Apache-2.0
"""Cuts an index into parts for event mode, in which every item has an invocation of its own.

A part is what is read, ordered and accounted for together. Up to 1,000 items each is a part; beyond
that the parts have about equal bytes, so that a very large item is in a part of its own.
"""

from __future__ import annotations

from ..model.items import Chunk, Index
from ..model.planning import Cost
from .strategies import cut_balanced
from .workload import Workload

MOST_PARTS = 1_000


def cut_parts(index: Index) -> tuple[Chunk, ...]:
    """At most 1,000 parts, in the order of their lines."""
    work = Workload.from_index(index, Cost())
    if len(work.ends) <= MOST_PARTS:
        return work.cut_at(range(len(work.ends)))
    return cut_balanced(work, MOST_PARTS)
