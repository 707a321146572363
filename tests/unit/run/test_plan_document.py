# SPDX-License-Identifier: Apache-2.0
"""plan.json: what was written is read back as the same value, and nothing else is accepted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given

from coordinator.model.planning import Choice, Strategy
from coordinator.model.pull.lanes import Lanes, Proof, Table
from coordinator.model.run import Plan
from coordinator.model.service import Mode
from coordinator.report.values import BadDocument
from coordinator.run.plan_document import read_plan, write_cut, write_plan
from tests.unit import make
from tests.unit.values import PLANS


@given(PLANS)
def test_a_plan_is_read_back_as_it_was_written(plan: Plan) -> None:
    assert read_plan(json.loads(json.dumps(write_plan(plan)))) == plan


def test_lines_are_counted_from_one() -> None:
    chunks = write_plan(make.plan([5] * 97))["chunks"]
    assert [(c["start"], c["end"]) for c in chunks] == [(1, 33), (34, 66), (67, 97)]


def written(**changes: Any) -> Any:
    return {**json.loads(json.dumps(write_plan(make.plan()))), **changes}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        pytest.param([], "not a JSON object", id="another JSON"),
        pytest.param({}, "has the schema 'None'", id="no schema"),
        pytest.param(
            written(schema="oscar-batch/plan/9"),
            "'oscar-batch/plan/9'; this release reads 'oscar-batch/plan/1'",
            id="another version",
        ),
        pytest.param(written(run=5), "run: must be str, not int", id="type"),
        pytest.param(written(chunks=[{"number": 1}]), "chunk 1.start: must be int", id="missing"),
        pytest.param(written(index={"bucket": "b"}), "index.key: must be str", id="index"),
        pytest.param(
            written(capacity={"slots": True}), "capacity.slots: must be int, not bool", id="bool"
        ),
        pytest.param(
            written(strategy={"name": "magic", "reason": ""}),
            "strategy.strategy: 'magic' is not a known value",
            id="enum",
        ),
        pytest.param(
            written(skipped=[{"key": "a"}]), r"skipped[0].reason: is missing", id="in a list"
        ),
    ],
)
def test_a_document_that_is_none_is_refused_with_its_place(document: Any, said: str) -> None:
    with pytest.raises(BadDocument) as caught:
        read_plan(document)
    assert said in str(caught.value)


def test_a_plan_keeps_nothing_that_grows_with_the_items() -> None:
    """Of 10^7 items it has the sums; what planning needed besides is not written."""
    plan = make.plan([1] * 5_000)
    assert len(json.dumps(write_plan(plan))) < 5_000
    assert plan == replace(plan, index=plan.index.without_working_values())


SCHEMA = json.loads((Path(__file__).parents[3] / "docs/plan.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


LANES = Lanes((2, 1), Table(header_bytes=200, row_bytes=100), proof=Proof("jpg", ".json"))


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(make.plan([5] * 97), id="range"),
        pytest.param(replace(make.plan([5] * 97), mode=Mode.PULL, lanes=LANES), id="pull"),
    ],
)
def test_a_plan_is_as_its_published_schema_says(plan: Plan) -> None:
    VALIDATOR.validate(json.loads(json.dumps(write_plan(plan))))


def test_the_schema_names_every_member_of_a_plan() -> None:
    assert set(SCHEMA["properties"]) == set(written())


def test_a_saved_index_that_is_cut_is_a_plan_too() -> None:
    plan, choice = make.plan(), Choice(Strategy.FIXED, "the config says so")
    VALIDATOR.validate(json.loads(json.dumps(write_cut(plan.index, plan.chunks, choice))))
