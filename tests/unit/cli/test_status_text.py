# SPDX-License-Identifier: Apache-2.0
"""What `status` says of a run: where its report is, and what may be done next."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from coordinator.cli.verbs.runs.text import render_status
from coordinator.drive.runs.status import RunStatus
from coordinator.model.service import Folder, Locations
from coordinator.run.folder import RunFolder, RunState
from coordinator.run.layout import RunLayout
from tests.unit import make

LAYOUT = RunLayout(
    Locations(Folder("photos", "input/"), Folder("photos", ".oscar-batch/")), make.RUN_ID
)
BEGAN = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
COUNTS = {"listed": 3, "done": 3, "failed": 0, "pending": 0}


def render(
    state: RunState, counts: dict[str, int], began: datetime | None = BEGAN
) -> dict[str, str]:
    lines = render_status(RunStatus(RunFolder(LAYOUT, state, began), {**COUNTS, **counts}))
    return {name: text for name, _, text in (line.partition("  ") for line in lines)}


@pytest.mark.parametrize(
    ("state", "counts", "began", "said"),
    [
        (RunState.ENDED, {}, BEGAN, "nothing needs to be done; clean removes its folder"),
        (RunState.ENDED, {"done": 2, "failed": 1}, BEGAN, "run.redrive: true with run.id"),
        (RunState.ENDED, {"done": 2, "pending": 1}, BEGAN, "run.redrive: true with run.id"),
        (RunState.ENDED, {"done": 2, "failed": 1}, None, "its folder was removed"),
        (RunState.STOPPING, {}, BEGAN, "cancel waits for the end"),
        (RunState.LEFT, {}, BEGAN, "drop the same config again to continue it"),
        (RunState.RUNNING, {}, BEGAN, "its coordinator is at work"),
    ],
)
def test_what_to_do_next_depends_on_the_state_and_on_what_is_left(
    state: RunState, counts: dict[str, int], began: datetime | None, said: str
) -> None:
    assert said in next(
        text for name, text in render(state, counts, began).items() if "next" in name
    )


def test_the_report_is_named_while_its_folder_is_there() -> None:
    found = render(RunState.RUNNING, {})
    assert found["report"].strip() == f"photos/.oscar-batch/{make.RUN_ID}/report.html"
    assert "report" not in render(RunState.ENDED, {}, None)
