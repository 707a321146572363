# SPDX-License-Identifier: Apache-2.0
"""What became of an item: the table of the module, row by row."""

from __future__ import annotations

import pytest

from coordinator.drive.jobs.judge import LineState, Output, judge_item
from coordinator.model.cluster import Phase

DONE, FAILED, PENDING = LineState.DONE, LineState.FAILED, LineState.PENDING
UNCONFIRMED, GONE = LineState.UNCONFIRMED, None
OK, BAD, WAITS, RUNS = Phase.SUCCEEDED, Phase.FAILED, Phase.PENDING, Phase.RUNNING
NEW, OLD, NONE, UNKNOWN = Output.NEW, Output.OLD, Output.NONE, Output.UNKNOWN


@pytest.mark.parametrize(
    ("phase", "output", "plain", "mounting"),
    [
        *[(phase, NEW, DONE, DONE) for phase in (OK, BAD, WAITS, RUNS, GONE)],
        (OK, OLD, DONE, DONE),
        (BAD, OLD, DONE, DONE),
        (OK, NONE, FAILED, FAILED),
        (OK, UNKNOWN, UNCONFIRMED, UNCONFIRMED),
        (BAD, NONE, FAILED, FAILED),
        (BAD, UNKNOWN, FAILED, UNCONFIRMED),
        (GONE, OLD, DONE, DONE),
        (GONE, NONE, PENDING, PENDING),
        (GONE, UNKNOWN, PENDING, PENDING),
        *[(phase, output, None, None) for phase in (WAITS, RUNS) for output in (OLD, NONE)],
        *[(phase, UNKNOWN, None, None) for phase in (WAITS, RUNS)],
    ],
)
def test_the_output_decides_before_the_job(
    phase: Phase | None, output: Output, plain: LineState | None, mounting: LineState | None
) -> None:
    found = [judge_item(phase, output, mount=mount) for mount in (False, True)]
    assert [each[0] if each else None for each in found] == [plain, mounting]
    assert all(bool(each[1]) == (each[0] in {FAILED, PENDING}) for each in found if each)
