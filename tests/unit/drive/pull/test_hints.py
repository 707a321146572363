# SPDX-License-Identifier: Apache-2.0
"""What OSCAR's list of jobs tells of workers that are overdue, and how rarely it is read."""

from __future__ import annotations

import pytest

from coordinator.drive.pull.workers.hints import JobHints
from coordinator.model.cluster import JobList, Phase
from coordinator.model.errors import ClusterError


class Lists:
    """OSCAR's list of jobs, which says the same each time and counts how often it was read."""

    def __init__(self, phases: dict[str, Phase], calls: int = 1) -> None:
        self.phases, self.calls, self.read = phases, calls, 0

    def __call__(self) -> JobList:
        self.read += 1
        return JobList(self.phases, self.calls)


@pytest.mark.parametrize(
    ("phase", "ended"),
    [
        (Phase.PENDING, False),
        (Phase.RUNNING, False),
        (Phase.SUCCEEDED, True),
        (Phase.FAILED, True),
    ],
)
def test_a_job_has_ended_if_its_phase_is_final(phase: Phase, ended: bool) -> None:
    hints = JobHints(Lists({"job": phase}), named=True)
    assert not hints.has_ended("job"), "before the list was read, nothing is known"
    hints.look(["job"], 0.0)
    assert hints.has_ended("job") is ended
    assert not hints.has_ended("another")
    assert hints.explain("job")


def test_a_job_that_is_not_listed_has_not_ended() -> None:
    """OSCAR lists no job for some seconds after it accepted it."""
    hints = JobHints(Lists({"other": Phase.RUNNING}), named=True)
    hints.look(["job", "other"], 0.0)
    assert not hints.has_ended("job")
    assert hints.explain("job") == "its job is not in OSCAR's list"


def test_a_list_without_any_job_of_the_run_says_nothing() -> None:
    """OSCAR may not list what a service's token invoked."""
    hints = JobHints(Lists({"foreign": Phase.FAILED}), named=True)
    hints.look(["job"], 0.0)
    assert (hints.explain("job"), hints.describe()) == ("", "")


def test_the_list_is_read_only_for_overdue_workers_and_at_most_one_call_a_minute() -> None:
    lists = Lists({"job": Phase.PENDING}, calls=3)
    hints = JobHints(lists, named=True)
    hints.look([], 0.0)
    assert lists.read == 0
    for now_s in (0.0, 30.0, 179.0):
        hints.look(["job"], now_s)
    assert lists.read == 1, "three calls are three minutes"
    hints.look(["job"], 180.0)
    assert lists.read == 2


def test_jobs_without_names_are_not_looked_for() -> None:
    lists = Lists({"job": Phase.FAILED})
    hints = JobHints(lists, named=False)
    hints.look(["job"], 0.0)
    assert (lists.read, hints.has_ended("job")) == (0, False)


def test_a_refused_list_is_asked_for_again_a_minute_later() -> None:
    asked = []

    def refuse() -> JobList:
        asked.append(1)
        raise ClusterError("502")

    hints = JobHints(refuse, named=True)
    for now_s in (0.0, 59.0, 60.0):
        hints.look(["job"], now_s)
    assert len(asked) == 2
    assert not hints.has_ended("job")


def test_the_most_frequent_reason_is_told() -> None:
    phases = {"a": Phase.PENDING, "b": Phase.PENDING, "c": Phase.RUNNING}
    hints = JobHints(Lists(phases), named=True)
    hints.look(list(phases), 0.0)
    assert hints.describe() == " (2 waiting: its job waits for a node, or is suspended)"
