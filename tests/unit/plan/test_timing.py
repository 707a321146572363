# SPDX-License-Identifier: Apache-2.0
"""What is known of times: from the config, from the object that a run left, from neither."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.model.planning import Cost
from coordinator.plan.timing import merge_costs, read_cost

DOCUMENT = {
    "schema": "oscar-batch/cost/1",
    "service": "fish-detector",
    "run": "20261122t101500z-3f9a1c",
    "startup_s": 31.5,
    "seconds_per_item": 0.2,
    "seconds_per_byte": 4.1e-07,
    "speeds": [1.4, 0.6, 1.0],
}
LAST = Cost(31.5, 0.2, 4.1e-07, (0.6, 1.0, 1.4), "run 20261122t101500z-3f9a1c")


def document(**changed: object) -> bytes:
    return json.dumps({**DOCUMENT, **changed}).encode()


def test_what_a_run_left_is_read() -> None:
    assert read_cost(document()) == LAST


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff", id="no text"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(
            document(startup_s=10**400, seconds_per_item=10**400, seconds_per_byte=None), id="huge"
        ),
        pytest.param(document(schema="oscar-batch/cost/2"), id="a later form"),
        pytest.param(
            document(startup_s=None, seconds_per_item=0, seconds_per_byte="x"), id="no time"
        ),
    ],
)
def test_what_cannot_be_used_is_as_if_it_were_not_there(content: bytes) -> None:
    assert read_cost(content) is None


@pytest.mark.parametrize(
    "speeds",
    [None, [], [0.0, 1.0], [-1.0], ["fast"], [1e-9, 1.0], {"a": 1}, [True]],
    ids=repr,
)
def test_unusable_speeds_are_unknown(speeds: object) -> None:
    cost = read_cost(document(speeds=speeds))
    assert cost is not None
    assert cost.speeds == ()


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
).map(lambda raw: json.dumps(raw).encode()))  # fmt: skip
def test_foreign_content_never_breaks_a_plan(content: bytes) -> None:
    read_cost(content)


@pytest.mark.parametrize(
    ("asked", "last", "expected"),
    [
        pytest.param(Cost(), None, Cost(), id="nothing"),
        pytest.param(Cost(), LAST, LAST, id="the last run"),
        pytest.param(
            Cost(5.0, 1.0, source="the config"),
            None,
            Cost(5.0, 1.0, source="the config"),
            id="the config",
        ),
        pytest.param(
            Cost(None, 1.0, source="the config"),
            LAST,
            Cost(31.5, 1.0, 0.0, LAST.speeds, f"the config and {LAST.source}"),
            id="rates of the config, start-up of the last run",
        ),
        pytest.param(
            Cost(5.0, source="the config"),
            LAST,
            Cost(5.0, 0.2, 4.1e-07, LAST.speeds, f"the config and {LAST.source}"),
            id="start-up of the config, rates of the last run",
        ),
        pytest.param(
            Cost(speeds=(1.0,), source="the config"),
            LAST,
            Cost(31.5, 0.2, 4.1e-07, (1.0,), f"the config and {LAST.source}"),
            id="speeds of the config, times of the last run",
        ),
    ],
)
def test_the_config_comes_first(asked: Cost, last: Cost | None, expected: Cost) -> None:
    assert merge_costs(asked, last) == expected
