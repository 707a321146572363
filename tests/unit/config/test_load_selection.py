# SPDX-License-Identifier: Apache-2.0
"""The config keys that choose the items."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from coordinator.model.selection import Manifest, Outputs, Rules
from tests.unit.config.test_load import config, problem

MOMENT = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)


def bucket(**keys: Any) -> dict[str, Any]:
    return {"name": "data", "folder_prefix": "in", **keys}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, {}),
        ({"include": "*.jpg"}, {"include": ("*.jpg",)}),
        ({"exclude": ["*.txt", "x/**"]}, {"exclude": ("*.txt", "x/**")}),
        ({"min_size": 10, "max_size": "10Mi"}, {"min_size": 10, "max_size": 10 * 1024**2}),
        ({"min_size": 0}, {"min_size": 0}),
        ({"modified_after": "2026-11-22T10:15:00Z"}, {"modified_after": MOMENT}),
        ({"modified_before": "2026-11-22T11:15+01:00"}, {"modified_before": MOMENT}),
        ({"modified_after": "2026-11-22T10:15"}, {"modified_after": MOMENT}),
    ],
)
def test_rules(keys: dict[str, Any], expected: dict[str, Any]) -> None:
    assert config(bucket=bucket(**keys)).selection.rules == Rules("in/", **expected)


def test_a_manifest() -> None:
    found = config(bucket=bucket(manifest="lists/x.csv", manifest_column="path"))
    assert found.selection.manifest == Manifest("lists/x.csv", "path")


def test_skip_done() -> None:
    asked = {"prefix": "out", "strip": ".jpg", "suffix": ".json"}
    found = config(bucket=bucket(skip_done=asked))
    assert found.selection.skip_done == Outputs("in/", "out/", ".jpg", ".json")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (True, Outputs("in/", "", of_service=True)),
        ({}, Outputs("in/", "", of_service=True)),
        ({"suffix": ".json"}, Outputs("in/", "", "", ".json", of_service=True)),
        ({"bucket": "results"}, Outputs("in/", "", bucket="results")),
        ({"bucket": "results", "prefix": "/a/"}, Outputs("in/", "a/", bucket="results")),
        (False, None),
        (None, None),
    ],
)
def test_where_the_outputs_are(asked: object, expected: Outputs | None) -> None:
    assert config(bucket=bucket(skip_done=asked)).selection.skip_done == expected


def test_by_default_everything_below_is_listed_and_nothing_is_done() -> None:
    found = config()
    assert (found.selection.recursive, found.selection.manifest, found.selection.skip_done) == (
        True,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"include": 3}, "bucket.include: must be a string"),
        ({"exclude": ["[z-a]"]}, "bucket.exclude: [z-a] is not a choice"),
        ({"min_size": "ten"}, "bucket.min_size: 'ten' is not a Kubernetes quantity"),
        ({"max_size": -1}, "bucket.max_size: must not be negative"),
        ({"min_size": True}, "bucket.min_size: must be a number of bytes"),
        ({"modified_after": "yesterday"}, "bucket.modified_after: must be a time such as"),
        ({"recursive": "no"}, "bucket.recursive: must be true or false"),
        ({"skip_done": [1]}, "bucket.skip_done: must be true, or an object with bucket, prefix"),
        ({"skip_done": {"bucket": "a/b"}}, "bucket.skip_done.bucket: must be the bucket alone"),
    ],
)
def test_problems(keys: dict[str, Any], said: str) -> None:
    assert problem(bucket=bucket(**keys)).startswith(said)
