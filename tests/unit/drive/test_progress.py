# SPDX-License-Identifier: Apache-2.0
"""A run before its end: the report that can be made at any moment."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from coordinator.drive.progress import Progress, make_run_id
from coordinator.model.errors import Ending
from coordinator.model.run import Stage

BEGIN = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)


class Clock:
    """Goes on by one second whenever it is read."""

    def __init__(self) -> None:
        self._moment = BEGIN - timedelta(seconds=1)

    def __call__(self) -> datetime:
        self._moment += timedelta(seconds=1)
        return self._moment


def test_a_run_id_is_dns_safe_and_contains_the_time() -> None:
    assert re.fullmatch(r"20261122t101500z-[0-9a-f]{6}", make_run_id(BEGIN))


def test_run_ids_sort_by_time() -> None:
    moments = [BEGIN + timedelta(hours=hours) for hours in (0, 1, 30, 1000, 10_000)]
    ids = [make_run_id(moment) for moment in moments]
    assert ids == sorted(ids)


def test_two_runs_of_one_second_differ() -> None:
    assert len({make_run_id(BEGIN) for _ in range(20)}) > 1


def test_a_stage_is_timed() -> None:
    progress = Progress(clock=Clock())
    with progress.stage("index"):
        pass
    assert progress.stages == [Stage("index", 1.0)]


def failed(progress: Progress) -> None:
    with progress.stage("index"):
        raise ValueError("broken")


def test_a_stage_that_fails_is_timed_too() -> None:
    progress = Progress(clock=Clock())
    with pytest.raises(ValueError, match="broken"):
        failed(progress)
    assert [stage.name for stage in progress.stages] == ["index"]


def test_the_report_has_all_that_was_known() -> None:
    progress = Progress(clock=Clock(), run_id="run")
    progress.warn("first", "second")
    report = progress.make_report(Ending.BAD_CONFIG, "wrong", problems=("a: wrong",))
    assert (report.run_id, report.warnings) == ("run", ("first", "second"))
    assert (report.ending, report.problems) == (Ending.BAD_CONFIG, ("a: wrong",))
    assert (report.started_at, report.finished_at) == (BEGIN, BEGIN + timedelta(seconds=1))
