# SPDX-License-Identifier: Apache-2.0
"""Which objects are items: globs, sizes, times, and a count of what each rule left out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from coordinator.index.selection import MARKERS, OF_RUNS, ItemFilter
from coordinator.model.errors import ConfigError
from coordinator.model.object_columns import ObjectColumns
from coordinator.model.selection import Rules

TIMES = ["2026-11-22T10:00:00Z", "2026-11-22T10:00:01.500Z", "2026-11-22T11:00:02+01:00"]
OBJECTS = ObjectColumns([b"in/a.jpg", b"in/b.JPG", b"in/sub/c.png"], [10, 20, 30], TIMES)
NOON = datetime(2026, 11, 22, 10, 0, 1, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rules", "kept", "left_out"),
    [
        ({}, "abc", {}),
        ({"include": ("*.jpg", "sub/*")}, "ac", {"bucket.include": 1}),
        ({"exclude": ("sub/**",)}, "ab", {"bucket.exclude": 1}),
        ({"min_size": 20}, "bc", {"bucket.min_size": 1}),
        ({"max_size": 20}, "ab", {"bucket.max_size": 1}),
        ({"modified_after": NOON}, "bc", {"bucket.modified_after": 1}),
        ({"modified_before": NOON}, "a", {"bucket.modified_before": 2}),
        (
            {"include": ("*.jpg",), "min_size": 11, "max_size": 19},
            "",
            {"bucket.include": 2, "bucket.min_size": 1},
        ),
    ],
)
def test_rules(rules: dict[str, Any], kept: str, left_out: dict[str, int]) -> None:
    selection = ItemFilter(Rules("in/", **rules))
    found = [key for batch in selection.select([OBJECTS]) for key in batch.keys]
    assert "".join(chr(key.rpartition(b"/")[2][0]) for key in found) == kept
    assert selection.left_out == left_out


def test_what_is_no_item_whatever_the_rules_is_counted() -> None:
    keys = [b"a/", b"b/", b".oscar-batch/r/plan.json", b"index.txt", b"index.txt.bak", b"x"]
    selection = ItemFilter(Rules(), (".oscar-batch/", "index.txt"))
    (kept,) = selection.select([ObjectColumns(keys, [0, 1, 1, 1, 1, 1])])
    assert kept.keys == [b"b/", b"index.txt.bak", b"x"]
    assert selection.left_out == {MARKERS: 1, OF_RUNS: 2}


def test_what_lies_outside_the_folder_is_left_out() -> None:
    selection = ItemFilter(Rules("in/"))
    (kept,) = selection.select([ObjectColumns([b"in/a", b"input/b"], [1, 1])])
    assert (kept.keys, selection.left_out) == ([b"in/a"], {"bucket.folder_prefix": 1})


@pytest.mark.parametrize("rules", [Rules(min_size=1), Rules(modified_after=NOON)])
def test_rules_on_what_is_not_known_end_the_run(rules: Rules) -> None:
    with pytest.raises(ConfigError, match=r"bucket\.manifest"):
        list(ItemFilter(rules).select([ObjectColumns([b"a"], None)]))
