# SPDX-License-Identifier: Apache-2.0
"""Items whose output exists are told apart, in little memory, and no others."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.index.skip_done import (
    PIECES,
    DoneFilter,
    KeySet,
    _choose_piece,
    locate_outputs,
)
from coordinator.model.errors import ConfigError
from coordinator.model.object_columns import ObjectColumns
from coordinator.model.selection import Outputs
from coordinator.model.service import Folder
from tests.unit import make

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


DATA = Folder("data", "in/")
RESULTS = Folder("results", "out/")


@pytest.mark.parametrize(
    ("given", "located"),
    [
        (Outputs("in/", "x/"), Outputs("in/", "x/", bucket="data")),
        (Outputs("in/", "x/", bucket="b"), Outputs("in/", "x/", bucket="b")),
        (Outputs("in/", "", of_service=True), Outputs("in/", "out/", bucket="results")),
        (Outputs("in/", "in/", suffix=".x"), Outputs("in/", "in/", suffix=".x", bucket="data")),
    ],
    ids=["the data bucket", "its own", "the service's", "beside the items"],
)
def test_the_place_of_the_outputs(given: Outputs, located: Outputs) -> None:
    service = make.service(outputs=(RESULTS,))
    assert locate_outputs(given, service, DATA, "run.verify") == located


@pytest.mark.parametrize("outputs", [(), (RESULTS, Folder("more", ""))], ids=len)
def test_outputs_of_a_service_that_has_not_one_folder_for_them(outputs: tuple[Folder, ...]) -> None:
    asked = Outputs("in/", "", of_service=True)
    with pytest.raises(ConfigError, match=r"run\.verify: .*name the bucket and the prefix"):
        locate_outputs(asked, make.service(outputs=outputs), DATA, "run.verify")


@pytest.mark.parametrize(
    "asked",
    [
        Outputs("in/", "in/"),
        Outputs("in/", "in/", ".jpg", ".jpg"),
        Outputs("in/", "", of_service=True),
    ],
)
def test_an_item_is_not_taken_for_its_own_output(asked: Outputs) -> None:
    with pytest.raises(ConfigError, match="would make every item its own output"):
        locate_outputs(asked, make.service(outputs=(DATA,)), DATA, "bucket.skip_done")


def test_without_skip_done_there_is_nothing_to_locate() -> None:
    assert locate_outputs(None, make.service(), DATA, "run.verify") is None
