# SPDX-License-Identifier: Apache-2.0
"""The lists of items, as programs and spreadsheets read them."""

from __future__ import annotations

import csv
import io
import json

import pytest

from coordinator.model.items import Skipped
from coordinator.run.item_files import FailedItem, ItemLists, write_item_lists
from coordinator.run.layout import RunLayout
from tests.unit import make
from tests.unit.fakes import FakeBucket
from tests.unit.test_batch import load

LAYOUT = RunLayout(load().locations, make.RUN_ID)


def write(*failed: FailedItem, pending: tuple[tuple[bytes, str], ...] = ()) -> FakeBucket:
    bucket = FakeBucket()
    skipped = (Skipped("in/s", "too large"),)
    lists = ItemLists(lambda: (b"in/1", b"in/2"), lambda: failed, lambda: pending, skipped)
    write_item_lists(bucket, LAYOUT, lists)
    return bucket


def read_rows(bucket: FakeBucket) -> list[dict[str, str]]:
    text = bucket.objects[LAYOUT.failed_table].decode()
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_the_table_is_read_as_a_formula(start: str) -> None:
    bucket = write(FailedItem(f"{start}1+1", f"{start}HYPERLINK()", 3, 7, "exit", 0.5))
    (row,) = read_rows(bucket)
    assert (row["key"], row["reason"]) == (f"'{start}1+1", f"'{start}HYPERLINK()")
    (line,) = bucket.objects[LAYOUT.failed].splitlines()
    assert json.loads(line)["key"] == f"{start}1+1", "for programs the key is as it is"


def test_a_table_of_ordinary_failures_is_not_changed() -> None:
    rows = read_rows(write(FailedItem('in/a, "b"=1.jpg', "exit 2\nsecond line", 3, 7, "exit", 0.5)))
    expected = dict(
        zip(("attempts", "line", "kind", "seconds"), ["3", "7", "exit", "0.5"], strict=True)
    )
    assert rows == [{"key": 'in/a, "b"=1.jpg', "reason": "exit 2\nsecond line", **expected}]


def test_pending_items_have_a_reason_where_one_is_known() -> None:
    bucket = write(pending=((b"in/3", ""), (b"in/4", "stopped")))
    lines = [json.loads(line) for line in bucket.objects[LAYOUT.pending].splitlines()]
    assert lines == [{"key": "in/3"}, {"key": "in/4", "reason": "stopped"}]
    assert bucket.objects[LAYOUT.done] == b"in/1\nin/2\n"
    assert json.loads(bucket.objects[LAYOUT.skipped])["key"] == "in/s"
