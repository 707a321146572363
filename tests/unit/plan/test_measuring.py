# SPDX-License-Identifier: Apache-2.0
"""What the chunks of a run say of the cost of an item."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.plan.measuring import Meter

CHUNKS = st.lists(st.tuples(st.integers(1, 1_000), st.integers(0, 10**9)), min_size=3, max_size=30)


@given(CHUNKS, st.floats(0.001, 100), st.floats(0, 1e-6))
def test_rates_that_explain_every_chunk_are_found(
    chunks: list[tuple[int, int]], each: float, per_byte: float
) -> None:
    meter = Meter()
    for number, (items, size) in enumerate(chunks):
        meter.add(f"w{number % 3}", items, size, each * items + per_byte * size)
    cost = meter.measure([2.0, 4.0])
    assert cost
    assert cost.startup_s == 3.0
    for items, size in chunks:
        found = cost.seconds_per_item * items + cost.seconds_per_byte * size
        told_apart = len({size / items for items, size in chunks}) > 1
        if told_apart and per_byte == 0:
            assert found == pytest.approx(each * items, rel=1e-3)
    assert cost.seconds_per_item >= 0
    assert cost.seconds_per_byte >= 0


def test_both_rates_and_the_speeds_of_workers() -> None:
    meter = Meter()
    for worker, speed in (("slow", 0.5), ("fast", 1.5)):
        for items, size in ((10, 10**6), (20, 10**8), (5, 10**9)):
            meter.add(worker, items, size, (0.2 * items + 1e-8 * size) / speed)
    cost = meter.measure([])
    assert cost
    assert cost.startup_s is None
    assert cost.seconds_per_byte / cost.seconds_per_item == pytest.approx(5e-8, rel=1e-6)
    assert cost.speeds == pytest.approx((0.5, 1.5))


def test_bytes_alone_or_items_alone_where_that_explains_more() -> None:
    by_bytes, by_items = Meter(), Meter()
    for items, size in ((10, 1_000), (10, 2_000), (10, 9_000)):
        by_bytes.add("w", items, size, size / 1_000 - 0.5)
        by_items.add("w", items, size, 5.0)
    cost = by_bytes.measure([])
    assert cost
    assert (cost.seconds_per_item, cost.seconds_per_byte > 0) == (0.0, True)
    cost = by_items.measure([])
    assert cost
    assert cost.seconds_per_item == pytest.approx(0.5)
    assert cost.seconds_per_byte == pytest.approx(0, abs=1e-9)


def test_too_little_is_nothing() -> None:
    meter = Meter()
    assert meter.measure([1.0]) is None
    meter.add("w", 0, 10, 1.0)
    meter.add("w", 10, 10, 0.0)
    meter.add("w", 10, 10, float("nan"))
    meter.add("w", 10, 10, 1.0)
    assert meter.measure([1.0]) is None
