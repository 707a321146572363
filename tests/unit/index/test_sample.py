# SPDX-License-Identifier: Apache-2.0
"""A few items, spread over a listing whose length is not known before its end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coordinator.index.sample import Sample, spread
from coordinator.model.items import Item
from tests.unit import make


def choose(total: int, count: int, batch: int = 7) -> tuple[list[int], int]:
    items = [Item(str(number), number) for number in range(total)]
    sample = Sample(count)
    found = [
        size for chosen in sample.choose(make.batches(items, batch)) for size in chosen.sizes or ()
    ]
    return found, sample.left_out


@given(st.integers(0, 3000), st.integers(1, 9), st.integers(1, 50))
def test_so_many_items_are_chosen_in_their_order_and_the_others_counted(
    total: int, count: int, batch: int
) -> None:
    found, left_out = choose(total, count, batch)
    assert len(found) == min(total, count)
    assert found == sorted(set(found))
    assert left_out == total - len(found)


@given(st.integers(3, 3000))
def test_they_are_spread_over_the_whole_listing(total: int) -> None:
    first, middle, last = choose(total, 3)[0]
    assert first == 0
    assert abs(middle - total / 2) <= total / 32 + 1
    assert last >= total * 31 / 32 - 1


def test_positions_are_even_and_include_both_ends() -> None:
    assert spread(11, 3) == [0, 5, 10]
    assert spread(2, 3) == [0, 1]
    assert spread(5, 1) == [0]
    assert spread(0, 3) == []
