# SPDX-License-Identifier: Apache-2.0
"""OSCAR's job list, of all releases, page by page."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.model.cluster import JobList, JobTimes, Phase
from coordinator.model.errors import ClusterError
from coordinator.oscar.job_list import parse_page
from tests.unit.manager import manager

PENDING, RUNNING = Phase.PENDING, Phase.RUNNING


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        ("Pending", PENDING),
        ("Running", RUNNING),
        ("Succeeded", Phase.SUCCEEDED),
        ("Failed", Phase.FAILED),
        ("Suspended", PENDING),
        ("Unknown", PENDING),
        ("", PENDING),
        (None, PENDING),
    ],
)
def test_only_two_states_are_final(status: str | None, phase: Phase) -> None:
    assert parse_page({"a": {"status": status}}) == (JobList({"a": phase}, 1), "")
    assert parse_page({"jobs": {"a": {"status": status}}}) == (JobList({"a": phase}, 1), "")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({}, ({}, "")),
        ({"jobs": None}, ({}, "")),
        ({"jobs": {}, "next_page": "t"}, ({}, "t")),
        ({"jobs": {"a": {}}, "remaining_jobs": 3}, ({"a": PENDING}, "")),
    ],
)
def test_both_forms_of_the_list(raw: Any, expected: Any) -> None:
    phases, token = expected
    assert parse_page(raw) == (JobList(phases, 1), token)


def test_times_are_those_of_jobs_that_have_started() -> None:
    found, _ = parse_page(
        {
            "waits": {"status": "Pending", "creation_time": "2026-01-02T03:04:05Z"},
            "runs": {"status": "Running", "start_time": "2026-01-02T03:04:09Z"},
            "ended": {"start_time": "2026-01-02T03:04:09Z", "finish_time": "2026-01-02T03:05:00Z"},
        }
    )
    assert found.times == {
        "runs": JobTimes("2026-01-02T03:04:09Z"),
        "ended": JobTimes("2026-01-02T03:04:09Z", "2026-01-02T03:05:00Z"),
    }


@pytest.mark.parametrize("raw", [None, 3, [], ["jobs"], {"a": 3}, {"jobs": [1]}])
def test_another_answer_is_an_error(raw: Any) -> None:
    with pytest.raises(ClusterError):
        parse_page(raw)


def test_all_pages_are_read_and_their_calls_counted() -> None:
    path = "GET /system/logs/target"
    answers: dict[str, tuple[int, str] | None] = {
        path: (200, '{"jobs": {"a": {"status": "Running"}}, "next_page": "p+2/="}'),
        f"{path}?page=p%2B2%2F%3D": (200, '{"jobs": {"b": {"status": "Failed"}}}'),
    }
    with manager(answers) as cluster:
        found = cluster.oscar.list_jobs("target")
    assert found == JobList({"a": RUNNING, "b": Phase.FAILED}, calls=2)
    assert found.count_active() == 1


def test_a_page_that_names_itself_as_the_next_ends_the_list() -> None:
    path = "GET /system/logs/target"
    page = (200, '{"jobs": {}, "next_page": "p"}')
    with manager({path: page, f"{path}?page=p": page}) as cluster:
        assert cluster.oscar.list_jobs("target").calls == 2


def test_a_list_that_breaks_off_is_an_error() -> None:
    path = "GET /system/logs/target"
    with (
        manager({path: (200, '{"jobs": {}, "next_page": "p"}')}) as cluster,
        pytest.raises(ClusterError, match="could not list the jobs of target"),
    ):
        cluster.oscar.list_jobs("target")


def test_the_log_of_a_job_is_read_or_it_is_an_error() -> None:
    with manager({"GET /system/logs/target/job-1": (200, "one\ntwo\n")}) as cluster:
        assert cluster.oscar.read_log("target", "job-1") == "one\ntwo\n"
        with pytest.raises(ClusterError, match="could not read the log of job job-2"):
            cluster.oscar.read_log("target", "job-2")
