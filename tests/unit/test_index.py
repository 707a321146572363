"""Index lines and checkpoints: nothing lost, nothing doubled, memory bounded."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.index import MAX_SKIPPED_SHOWN, IndexBuilder
from coordinator.model import Item
from tests.unit import make

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
ITEMS = st.lists(st.builds(Item, KEYS, st.integers(min_value=0, max_value=2**40)))


def never(_key: str) -> bool:
    return False


@given(ITEMS)
def test_lines_and_skipped_are_the_objects_in_their_order(items: list[Item]) -> None:
    builder = IndexBuilder(never)
    lines = b"".join(builder.lines(items)).decode().split("\n")[:-1]
    skipped = [skipped.key for skipped in builder.index().skipped]
    objects = [item.key for item in items if not item.key.endswith("/")]
    fit = [key for key in objects if not {"\n", "\r"} & set(key)]
    assert (lines, skipped) == (fit, [key for key in objects if key not in fit])


@given(ITEMS)
def test_listed_is_the_sum_of_items_and_skipped(items: list[Item]) -> None:
    index = make.indexed(items)
    assert index.listed == sum(not item.key.endswith("/") for item in items)


SIZES = st.lists(st.integers(min_value=0, max_value=10**6), max_size=200)
LIMITS = st.integers(min_value=1, max_value=40)


@given(SIZES, LIMITS)
def test_checkpoints_are_exact_whatever_the_limit(sizes: list[int], limit: int) -> None:
    index = make.index(sizes, limit=limit)
    sums = list(accumulate(sizes))
    places = [min((i + 1) * index.stride, len(sizes)) for i in range(len(index.cumulated_bytes))]
    assert list(index.cumulated_bytes) == [sums[place - 1] for place in places]


@given(SIZES, LIMITS)
def test_the_last_checkpoint_is_the_whole(sizes: list[int], limit: int) -> None:
    index = make.index(sizes, limit=limit)
    assert (index.items, index.size_bytes) == (len(sizes), sum(sizes))
    assert len(index.cumulated_bytes) == -(-len(sizes) // index.stride)


@given(SIZES, LIMITS)
def test_there_are_at_most_limit_checkpoints(sizes: list[int], limit: int) -> None:
    assert len(make.index(sizes, limit=limit).cumulated_bytes) <= limit


@given(SIZES, LIMITS)
def test_strides_are_powers_of_two(sizes: list[int], limit: int) -> None:
    stride = make.index(sizes, limit=limit).stride
    assert stride & (stride - 1) == 0


@pytest.mark.parametrize(
    "key",
    ["a b", "x\ty", "#1", "%2F", "a+b", "'\"", "Straße/ü", "日本/語.JPG", "\u2028", "k" * 1024],
)
def test_a_difficult_key_is_one_line(key: str) -> None:
    assert list(IndexBuilder(never).lines([Item(key, 1)])) == [key.encode() + b"\n"]


@pytest.mark.parametrize(
    ("key", "reason"),
    [("a\nb", "line break"), ("a\rb", "line break"), ("\ud800", "not valid Unicode")],
)
def test_a_key_that_no_line_can_hold_is_skipped_with_its_reason(key: str, reason: str) -> None:
    (skipped,) = make.indexed([Item(key, 1)]).skipped
    assert skipped.key == key
    assert reason in skipped.reason


def test_folder_markers_are_no_items() -> None:
    assert make.indexed([Item("input/", 0), Item("input/a/", 0)]).listed == 0


def test_ignored_keys_leave_no_trace() -> None:
    builder = IndexBuilder(lambda key: key.startswith(".oscar-batch/"))
    lines = list(builder.lines([Item(".oscar-batch/x/index.txt", 9), Item("a", 1)]))
    assert (lines, builder.index().listed, builder.index().size_bytes) == ([b"a\n"], 1, 1)


def test_skipped_objects_beyond_those_shown_are_still_counted() -> None:
    index = make.indexed([Item(f"\n{i}", 1) for i in range(MAX_SKIPPED_SHOWN + 5)])
    assert (len(index.skipped), index.skipped_count) == (MAX_SKIPPED_SHOWN, MAX_SKIPPED_SHOWN + 5)


def test_no_objects_make_an_empty_index() -> None:
    index = make.indexed([])
    assert (index.items, index.size_bytes, list(index.cumulated_bytes)) == (0, 0, [])
