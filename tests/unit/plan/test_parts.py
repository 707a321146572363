# SPDX-License-Identifier: Apache-2.0
"""The parts of an index in event mode: every line once, and a very large item alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coordinator.plan.parts import MOST_PARTS, cut_parts
from tests.unit import make


@given(st.lists(st.integers(0, 10**9), max_size=50))
def test_few_items_are_a_part_each(sizes: list[int]) -> None:
    parts = cut_parts(make.index(sizes))
    assert [(part.start, part.stop, part.size_bytes) for part in parts] == [
        (line, line + 1, size) for line, size in enumerate(sizes)
    ]


@given(st.integers(MOST_PARTS + 1, 3000), st.integers(0, 10**6))
def test_many_items_are_in_few_parts_that_hold_every_line_once(count: int, size: int) -> None:
    parts = cut_parts(make.index([size] * count))
    assert len(parts) <= MOST_PARTS
    assert [part.start for part in parts] == [0, *[part.stop for part in parts[:-1]]]
    assert parts[-1].stop == count


def test_a_very_large_item_among_many_leads() -> None:
    sizes = [1000] * 5000
    sizes[1234] = 10**9
    parts = cut_parts(make.index(sizes))
    largest = max(parts, key=lambda part: part.size_bytes / part.items)
    assert (largest.start <= 1234 < largest.stop, largest.items) == (True, 1)
