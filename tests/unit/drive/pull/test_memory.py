# SPDX-License-Identifier: Apache-2.0
"""Following a run takes the memory of one result, and a byte for every item."""

from __future__ import annotations

import tracemalloc

from bench.follow import ITEMS, follow

MIB = 1024 * 1024


def test_a_hundred_thousand_items_are_followed_in_a_few_megabytes() -> None:
    follow(100)  # what is loaded once
    tracemalloc.start()
    try:
        bucket, layout = follow(100)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert bucket.written == {
        layout.done: 100 * (ITEMS - 1),
        layout.failed: 100,
        layout.failed_table: 101,
        layout.pending: 0,
        layout.skipped: 0,
    }
    assert peak < 6 * MIB
