"""Chunks: every line in exactly one, and the heaviest as light as can be."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.model import Chunk
from coordinator.plan import balanced
from tests.unit import make

SIZES = st.lists(st.integers(min_value=0, max_value=1000), max_size=120)
SLOTS = st.integers(min_value=1, max_value=50)
LIMITS = st.integers(min_value=2, max_value=32)


def weight(sizes: list[int], chunk: Chunk) -> int:
    return sum(sizes[chunk.start : chunk.stop]) + chunk.items


@given(SIZES, SLOTS, LIMITS)
def test_chunks_cover_every_line_exactly_once(sizes: list[int], slots: int, limit: int) -> None:
    chunks = balanced(make.index(sizes, limit=limit), slots)
    assert [line for c in chunks for line in range(c.start, c.stop)] == list(range(len(sizes)))


@given(SIZES, SLOTS, LIMITS)
def test_no_chunk_is_empty(sizes: list[int], slots: int, limit: int) -> None:
    assert all(chunk.items > 0 for chunk in balanced(make.index(sizes, limit=limit), slots))


@given(SIZES, SLOTS, LIMITS)
def test_every_slot_gets_a_chunk_as_far_as_checkpoints_go(
    sizes: list[int], slots: int, limit: int
) -> None:
    index = make.index(sizes, limit=limit)
    assert len(balanced(index, slots)) == min(slots, len(index.cumulated_bytes))


@given(SIZES, SLOTS, LIMITS)
def test_the_size_of_a_chunk_is_that_of_its_items(sizes: list[int], slots: int, limit: int) -> None:
    for chunk in balanced(make.index(sizes, limit=limit), slots):
        assert chunk.size_bytes == sum(sizes[chunk.start : chunk.stop])


@given(SIZES, SLOTS)
def test_chunks_are_numbered_from_one(sizes: list[int], slots: int) -> None:
    chunks = balanced(make.index(sizes), slots)
    assert [chunk.number for chunk in chunks] == list(range(1, len(chunks) + 1))


@given(
    st.lists(st.integers(min_value=0, max_value=20), min_size=1, max_size=9),
    st.integers(min_value=1, max_value=9),
)
def test_the_heaviest_chunk_is_as_light_as_any_cut_allows(sizes: list[int], slots: int) -> None:
    count = min(slots, len(sizes))
    cuts = combinations(range(1, len(sizes)), count - 1)
    best = min(_heaviest(sizes, [0, *cut, len(sizes)]) for cut in cuts)
    assert max(weight(sizes, chunk) for chunk in balanced(make.index(sizes), slots)) == best


def _heaviest(sizes: list[int], edges: list[int]) -> int:
    return max(sum(sizes[start:stop]) + stop - start for start, stop in pairwise(edges))


@pytest.mark.parametrize(
    ("sizes", "slots", "ranges"),
    [
        pytest.param([5] * 97, 3, [(1, 33), (34, 66), (67, 97)], id="97 equal files on 3 slots"),
        pytest.param([0] * 4, 2, [(1, 2), (3, 4)], id="only empty files"),
        pytest.param([1, 1, 1000, 1, 1], 3, [(1, 2), (3, 3), (4, 5)], id="one giant"),
        pytest.param([7], 10, [(1, 1)], id="one item"),
        pytest.param([7, 7], 5, [(1, 1), (2, 2)], id="more slots than items"),
        pytest.param([], 5, [], id="no items"),
        pytest.param([1, 2, 3], 1, [(1, 3)], id="one slot"),
    ],
)
def test_ranges_are_counted_from_one_and_include_both_ends(
    sizes: list[int], slots: int, ranges: list[tuple[int, int]]
) -> None:
    chunks = balanced(make.index(sizes), slots)
    assert [(chunk.first_line, chunk.last_line) for chunk in chunks] == ranges


def test_no_slots_make_no_chunks() -> None:
    assert balanced(make.index([1, 2]), 0) == ()
