# SPDX-License-Identifier: Apache-2.0
"""Chunks: every line in exactly one, and the heaviest as light as can be."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.model.items import Chunk, Index, Item
from coordinator.model.planning import ChunkRules, Cost, Strategy
from coordinator.model.service import Folder
from coordinator.plan import strategies
from coordinator.plan.choose import choose_chunks, find_oversized
from coordinator.plan.simulate import SlotPool, simulate_queue
from coordinator.plan.workload import Workload
from tests.unit import make

SIZES = st.lists(st.integers(min_value=0, max_value=1000), max_size=120)
SLOTS = st.integers(min_value=1, max_value=50)
LIMITS = st.integers(min_value=2, max_value=32)


def balanced(index: Index, slots: int) -> tuple[Chunk, ...]:
    return strategies.cut_balanced(Workload.from_index(index, Cost()), slots)


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
    assert len(balanced(index, slots)) == min(slots, len(index.checkpoints.lines))


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


TENS = ChunkRules(chunk_items=10)
GIB = 2**30
KNOWN = Cost(startup_s=30.0, seconds_per_item=1.0, source="the test")


def test_without_known_times_there_is_no_estimate_and_one_chunk_per_slot() -> None:
    chunks, choice = choose_chunks(make.index([1] * 100), 4, ChunkRules(), Cost())
    assert (len(chunks), choice.strategy, choice.estimate) == (4, Strategy.BALANCED, None)
    assert [candidate.estimate for candidate in choice.candidates] == [None]
    assert "no time of an item is known" in choice.reason


def test_even_slots_get_one_chunk_each() -> None:
    chunks, choice = choose_chunks(
        make.index([1] * 4000), 4, ChunkRules(), replace(KNOWN, speeds=(1.0,))
    )
    assert (len(chunks), choice.strategy) == (4, Strategy.BALANCED)


def test_uneven_slots_get_more_and_smaller_chunks_which_the_report_can_explain() -> None:
    cost = replace(KNOWN, speeds=(0.4, 0.7, 1.0))
    chunks, choice = choose_chunks(make.index([1] * 40_000), 8, ChunkRules(), cost)
    assert choice.strategy is Strategy.FACTORING
    assert len(chunks) > 8
    assert f"{len(chunks) - 8} chunks wait as pending pods" in choice.reason
    assert "faster than the next candidate" in choice.reason or "within 1%" in choice.reason
    assert choice.estimate in [candidate.estimate for candidate in choice.candidates]


def test_slots_of_unknown_evenness_get_smaller_chunks_only_where_even_ones_lose_little() -> None:
    index = make.index([1] * 40_000)
    known = replace(KNOWN, seconds_per_item=20.0)
    chunks, long = choose_chunks(index, 8, ChunkRules(), known)
    assert len(chunks) > 8
    assert "speeds of 0.6 to 1.4 are assumed" in long.reason
    _, estimate = choose_chunks(index, 8, ChunkRules(), replace(known, speeds=(1.0,)))
    assert estimate.strategy is Strategy.BALANCED
    assert long.estimate
    assert estimate.estimate
    assert long.estimate.low_s <= estimate.estimate.expected_s * 1.01
    # A twentieth of the work: more chunks would be faster on uneven slots, but not on even ones.
    chunks, held = choose_chunks(index, 8, ChunkRules(), KNOWN)
    assert len(chunks) == 8
    assert "a faster one would be too slow if the slots are even" in held.reason
    # Here every further start-up would cost even slots more than it could gain.
    chunks, short = choose_chunks(
        make.index([1] * 800), 8, ChunkRules(), replace(KNOWN, startup_s=120.0)
    )
    assert (len(chunks), short.strategy) == (8, Strategy.BALANCED)


@given(SIZES, SLOTS, st.floats(0, 200), st.floats(0, 1e-2))
def test_on_even_slots_auto_is_never_much_slower_than_equal_counts(
    sizes: list[int], slots: int, startup_s: float, per_byte: float
) -> None:
    index = make.index(sizes)
    cost = Cost(startup_s, 1.0, per_byte, source="the test")
    work = Workload.from_index(index, cost)
    even = SlotPool([1.0] * slots, startup_s)
    equal = work.estimate_equal_seconds(slots)
    if equal:
        taken = simulate_queue(
            work.estimate_seconds(choose_chunks(index, slots, ChunkRules(), cost)[0]), even
        )
        assert taken <= simulate_queue(equal, even) * 1.01


def test_a_start_up_that_eats_the_gain_keeps_one_chunk_per_slot() -> None:
    cost = replace(KNOWN, startup_s=120.0, speeds=(0.4, 0.7, 1.0))
    chunks, choice = choose_chunks(make.index([1] * 800), 8, ChunkRules(), cost)
    assert (len(chunks), choice.strategy) == (8, Strategy.BALANCED)


def test_an_unknown_start_up_is_in_no_estimate_and_said() -> None:
    cost = replace(KNOWN, startup_s=None, speeds=(0.4, 1.0))
    _, choice = choose_chunks(make.index([1] * 4000), 4, ChunkRules(), cost)
    assert len(choice.candidates) == 1
    assert "the start-up time is not known" in choice.reason


def test_an_estimate_without_a_start_up_says_so_whatever_the_strategy() -> None:
    cost = replace(KNOWN, startup_s=None)
    _, choice = choose_chunks(make.index([1] * 100, rules=TENS), 4, TENS, cost)
    assert choice.estimate
    assert "the estimate does not include it" in choice.reason
    _, choice = choose_chunks(make.index([1] * 100, rules=TENS), 4, TENS, KNOWN)
    assert "without" not in choice.reason


@given(SIZES, SLOTS, st.floats(0, 100), st.sampled_from([(), (1.0,), (0.5, 1.0, 1.5)]))
def test_an_estimate_lies_in_its_spread(
    sizes: list[int], slots: int, startup_s: float, speeds: tuple[float, ...]
) -> None:
    cost = Cost(startup_s, 1.0, 0.001, speeds, "the test")
    _, choice = choose_chunks(make.index(sizes), slots, ChunkRules(), cost)
    for estimate in (choice.estimate, *(candidate.estimate for candidate in choice.candidates)):
        if estimate is not None:
            assert estimate.low_s <= estimate.expected_s * (1 + 1e-9)
            assert estimate.expected_s <= estimate.high_s * (1 + 1e-9)


@pytest.mark.parametrize(
    ("cutting", "strategy", "count"),
    [
        pytest.param(ChunkRules(chunk_items=10), Strategy.FIXED, 10, id="chunk_items mean fixed"),
        pytest.param(ChunkRules(chunk_bytes=5), Strategy.FIXED, 20, id="chunk_bytes mean fixed"),
        pytest.param(ChunkRules(Strategy.BALANCED), Strategy.BALANCED, 4, id="balanced"),
        pytest.param(ChunkRules(min_chunk_items=60), Strategy.BALANCED, 1, id="a least number"),
    ],
)
def test_what_the_config_asks_for_is_done(
    cutting: ChunkRules, strategy: Strategy, count: int
) -> None:
    chunks, choice = choose_chunks(make.index([1] * 100, rules=cutting), 4, cutting, Cost())
    assert (len(chunks), choice.strategy) == (count, strategy)


def test_nothing_to_cut_is_no_error() -> None:
    assert choose_chunks(make.index([]), 4, ChunkRules(), KNOWN)[0] == ()
    assert choose_chunks(make.index([1]), 0, ChunkRules(), KNOWN)[0] == ()


@pytest.mark.parametrize(
    ("scratch_bytes", "mount", "expected"),
    [
        pytest.param(0, None, ["two", "huge"], id="memory"),
        pytest.param(GIB // 2, None, ["one", "two", "huge"], id="disk"),
        pytest.param(GIB // 2, Folder("data", ""), ["two", "huge"], id="a mount needs no disk"),
    ],
)
def test_items_that_an_invocation_can_hardly_hold_are_listed(
    scratch_bytes: int, mount: Folder | None, expected: list[str]
) -> None:
    sizes = {"small": 1, "one": GIB, "two": GIB + 1, "huge": 9 * GIB}
    largest = tuple(Item(key, size) for key, size in sizes.items())
    service = replace(make.service(mount=mount), scratch_bytes=scratch_bytes)
    found = find_oversized(replace(make.index([1]), largest=largest), service)
    assert [item.key for item in found] == expected
