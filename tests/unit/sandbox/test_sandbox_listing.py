# SPDX-License-Identifier: Apache-2.0
"""Pages of jobs."""

from datetime import UTC, datetime

import pytest

from sandbox.cluster import Resources
from sandbox.jobs import Job, Phase
from sandbox.listing import BadToken, page

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 999_999, UTC)


def job(name: str) -> Job:
    return Job(name, "s", Resources(), b"")


def test_pages_follow_the_name_and_cover_all_once() -> None:
    jobs = [job(f"s-{number:03}") for number in reversed(range(10))]
    seen: list[str] = []
    token = ""
    while True:
        answer = page(jobs, token, size=4)
        seen += answer["jobs"]
        if "next_page" not in answer:
            break
        token = answer["next_page"]
    assert seen == [f"s-{number:03}" for number in range(10)]


def test_a_full_last_page_is_the_last() -> None:
    assert "next_page" not in page([job("a"), job("b")], size=2)


def test_times_that_have_not_come_are_not_there() -> None:
    running = Job("a", "s", Resources(), b"", Phase.RUNNING, "node-1", MOMENT, MOMENT)
    assert page([running, job("b")])["jobs"] == {
        "a": {
            "status": "Running",
            "creation_time": "2026-01-02T03:04:05Z",
            "start_time": "2026-01-02T03:04:05Z",
        },
        "b": {"status": "Pending"},
    }


@pytest.mark.parametrize("token", ["x", "e30", "W10", "é"])
def test_a_foreign_token_is_refused(token: str) -> None:
    with pytest.raises(BadToken):
        page([], token)
