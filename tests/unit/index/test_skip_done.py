# SPDX-License-Identifier: Apache-2.0
"""Items whose output exists are told apart, in little memory, and no others."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.index.skip_done import PIECES, DoneFilter, KeySet, _choose_piece
from coordinator.model.object_columns import ObjectColumns
from coordinator.model.selection import Outputs

KEYS = st.lists(st.binary(min_size=1, max_size=8), unique=True)


@given(KEYS, st.sets(st.integers(0, 40)))
def test_exactly_those_without_output_go_on(keys: list[bytes], made: set[int]) -> None:
    outputs = Outputs("in/", "out/", strip=".jpg", suffix=".json")
    items = [b"in/" + key + b".jpg" for key in keys]
    existing = [b"out/" + key + b".json" for i, key in enumerate(keys) if i in made]
    skipped: list[bytes] = []

    def skip(done: Sequence[bytes], reason: str) -> None:
        assert "skip_done" in reason
        skipped.extend(done)

    stage = DoneFilter(outputs, [ObjectColumns(existing, None)], skip)
    batches = [ObjectColumns(items[i : i + 3], None) for i in range(0, len(items), 3)]
    to_do = [key for batch in stage.drop_done(batches) for key in batch.keys]
    assert to_do == [item for i, item in enumerate(items) if i not in made]
    assert skipped == [item for i, item in enumerate(items) if i in made]


@pytest.mark.parametrize(
    ("item", "output"),
    [
        (b"in/a.jpg", b"out/a.json"),
        (b"in/x/a.jpg", b"out/x/a.json"),
        (b"in/a.png", b"out/a.png.json"),
        (b"in/a.jpg.jpg", b"out/a.jpg.json"),
    ],
)
def test_the_mapping(item: bytes, output: bytes) -> None:
    assert Outputs("in/", "out/", ".jpg", ".json").key(item) == output


def test_an_output_costs_less_than_ten_bytes() -> None:
    starts = range(0, 10**6, 1000)
    batches = (ObjectColumns([b"out/%d" % (i + j) for j in range(1000)], None) for i in starts)
    found = KeySet(batches)
    pieces = sum(map(sys.getsizeof, found._pieces))
    assert pieces < 10 * 10**6
    assert b"out/999999" in found
    assert b"out/1000000" not in found


def test_the_piece_has_bits_that_the_stored_hash_does_not() -> None:
    keys = [b"out/%d" % i for i in range(10_000)]
    same = sum(
        _choose_piece(key) in {hash(key) % PIECES, hash(key) >> 52 & PIECES - 1} for key in keys
    )
    assert same < 100
    assert len({_choose_piece(key) for key in keys}) > PIECES / 2
