# SPDX-License-Identifier: Apache-2.0
"""report.json: what was written is read back, together with the plan of the run."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from coordinator.model.run import Report
from coordinator.report.document import read_report, write_report
from coordinator.report.values import BadDocument
from tests.unit import make
from tests.unit.values import reports


@given(reports())
def test_a_report_is_read_back_as_it_was_written(report: Report) -> None:
    assert read_report(json.loads(json.dumps(write_report(report))), report.plan) == report


def written(**changes: Any) -> Any:
    return {**json.loads(json.dumps(write_report(make.report(of=make.plan())))), **changes}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        pytest.param(
            written(schema="oscar-batch/report/2"), "'oscar-batch/report/2'", id="version"
        ),
        pytest.param(written(ending="well"), "ending: 'well' is not a known value", id="ending"),
        pytest.param(written(started_at="now"), "started_at: 'now'", id="time"),
        pytest.param(written(chunks=[{"number": 9}]), "the plan has no chunk 9", id="chunk"),
        pytest.param(written(chunks=[{}]), "the plan has no chunk None", id="no chunk"),
    ],
)
def test_a_document_that_is_none_is_refused(document: Any, said: str) -> None:
    with pytest.raises(BadDocument) as caught:
        read_report(document, make.plan())
    assert said in str(caught.value)
