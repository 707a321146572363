# SPDX-License-Identifier: Apache-2.0
"""Index lines and checkpoints: nothing lost, nothing doubled, memory bounded."""

from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.index.builder import MAX_SKIPPED_SHOWN, IndexBuilder
from coordinator.model.items import Checkpoints, Index, Item
from coordinator.model.object_columns import ObjectColumns
from coordinator.model.planning import ChunkRules
from tests.unit import make

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
ITEMS = st.lists(st.builds(Item, KEYS, st.integers(min_value=0, max_value=2**40)))


@given(ITEMS, st.integers(min_value=1, max_value=9))
def test_lines_and_skipped_are_the_items_in_their_order(items: list[Item], batch: int) -> None:
    builder = IndexBuilder()
    lines = b"".join(builder.build_lines(make.batches(items, batch))).decode().split("\n")[:-1]
    skipped = [skipped.key for skipped in builder.index().skipped]
    keys = [item.key for item in items]
    fit = [key for key in keys if not {"\n", "\r"} & set(key) and not key.endswith("/")]
    assert (lines, skipped) == (fit, [key for key in keys if key not in fit])


@given(ITEMS)
def test_listed_is_the_sum_of_items_and_skipped(items: list[Item]) -> None:
    assert make.indexed(items).listed == len(items)


@given(ITEMS, st.integers(min_value=1, max_value=5))
def test_the_largest_items_are_kept_apart(items: list[Item], most: int) -> None:
    builder = IndexBuilder(most=most)
    for _ in builder.build_lines(make.batches(items)):
        continue
    skipped = {skipped.key for skipped in builder.index().skipped}
    fit = [item for item in items if item.key not in skipped]
    expected = sorted(fit, key=lambda item: -item.size_bytes)[:most]
    assert list(builder.index().largest) == expected


def test_items_of_unknown_size_count_and_weigh_nothing() -> None:
    builder = IndexBuilder()
    assert list(builder.build_lines([ObjectColumns([b"a", b"b"], None)])) == [b"a\nb\n"]
    assert (builder.index().items, builder.index().size_bytes) == (2, 0)


SIZES = st.lists(st.integers(min_value=0, max_value=10**6), max_size=200)
LIMITS = st.integers(min_value=1, max_value=40)


def check(index: Index, sizes: list[int]) -> Checkpoints:
    """The checkpoints, whose bytes and offsets are compared with those of the items."""
    sums = [0, *accumulate(sizes)]
    lines = [f"data/{i}\n" for i in range(len(sizes))]
    offsets = [0, *accumulate(map(len, lines))]
    points = index.checkpoints
    assert list(points.sizes) == [sums[line] for line in points.lines]
    assert list(points.offsets) == [offsets[line] for line in points.lines]
    assert (index.items, index.size_bytes) == (len(sizes), sums[-1])
    assert index.text_bytes == offsets[-1]
    assert list(points.lines[-1:]) == [len(sizes)][: len(sizes)]
    return points


@given(SIZES, LIMITS)
def test_checkpoints_lie_at_a_distance_that_is_a_power_of_two(sizes: list[int], limit: int) -> None:
    lines = list(check(make.index(sizes, limit=limit), sizes).lines)
    strides = {after - before for before, after in pairwise([0, *lines[:-1]])}
    assert len(strides) <= 1
    assert all(stride & (stride - 1) == 0 for stride in strides)


@given(SIZES, LIMITS)
def test_there_are_at_most_limit_checkpoints(sizes: list[int], limit: int) -> None:
    assert len(make.index(sizes, limit=limit).checkpoints.lines) <= limit


def cut_one_by_one(sizes: list[int], rules: ChunkRules) -> list[int]:
    """Where chunks of a fixed size end, found the simple way."""
    ends: list[int] = []
    items = size_bytes = 0
    for line, size in enumerate(sizes):
        too_many = rules.chunk_items is not None and items + 1 > rules.chunk_items
        too_large = rules.chunk_bytes is not None and size_bytes + size > rules.chunk_bytes
        if items and (too_many or too_large):
            ends.append(line)
            items = size_bytes = 0
        items, size_bytes = items + 1, size_bytes + size
    return [*ends, len(sizes)] if sizes else []


@given(
    st.lists(st.integers(0, 30), max_size=100),
    st.one_of(st.none(), st.integers(1, 40)),
    st.one_of(st.none(), st.integers(1, 200)),
)
def test_checkpoints_of_a_fixed_size_are_the_ends_of_its_chunks(
    sizes: list[int], chunk_items: int | None, chunk_bytes: int | None
) -> None:
    rules = ChunkRules(chunk_items=chunk_items, chunk_bytes=chunk_bytes)
    points = check(make.index(sizes, rules=rules), sizes)
    if rules.fixed:
        assert list(points.lines) == cut_one_by_one(sizes, rules)


@pytest.mark.parametrize(
    "key",
    ["a b", "x\ty", "#1", "%2F", "a+b", "'\"", "Straße/ü", "日本/語.JPG", "\u2028", "k" * 1024],
)
def test_a_difficult_key_is_one_line(key: str) -> None:
    assert list(IndexBuilder().build_lines([ObjectColumns([key.encode()], [1])])) == [
        key.encode() + b"\n"
    ]


@pytest.mark.parametrize(
    ("key", "shown", "reason"),
    [
        (b"a\nb", "a\nb", "line break"),
        (b"a\rb", "a\rb", "line break"),
        (b"a\xff", "a\\xff", "not valid Unicode"),
        (b"a/", "a/", "ends with /"),
    ],
)
def test_a_key_that_no_line_can_hold_is_skipped_with_its_reason(
    key: bytes, shown: str, reason: str
) -> None:
    builder = IndexBuilder()
    assert list(builder.build_lines([ObjectColumns([b"a", key, b"b"], [1, 2, 4])])) == [b"a\nb\n"]
    (skipped,) = builder.index().skipped
    assert skipped.key == shown
    assert reason in skipped.reason
    assert builder.index().size_bytes == 5


def test_keys_with_control_characters_are_items_and_are_counted() -> None:
    keys = [b"a", b"t\tb", "\u2409".encode(), b"\x01", b"l\nf", b"c\rr", b"\x7f", "\x85".encode()]
    index = make.indexed([Item(key.decode(), 1) for key in keys])
    assert (index.items, index.skipped_count, index.control_keys) == (6, 2, 3)


def test_skipped_objects_beyond_those_shown_are_still_counted() -> None:
    index = make.indexed([Item(f"\n{i}", 1) for i in range(MAX_SKIPPED_SHOWN + 5)])
    assert (len(index.skipped), index.skipped_count) == (MAX_SKIPPED_SHOWN, MAX_SKIPPED_SHOWN + 5)


def test_no_objects_make_an_empty_index() -> None:
    index = make.indexed([])
    assert (index.items, index.size_bytes, list(index.checkpoints.lines)) == (0, 0, [])
