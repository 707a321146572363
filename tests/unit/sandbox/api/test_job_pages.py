# SPDX-License-Identifier: Apache-2.0
"""Lists of jobs: pages, and all at once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.api.job_pages import BadToken, Expired, parse_token, render
from sandbox.cluster.job_record import EPOCH, Job, Phase
from sandbox.cluster.profiles import V35, V41
from sandbox.cluster.resources import Resources

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 999_999, UTC)
STAMP = "2026-01-02T03:04:05Z"
RUNNING = Job(
    "a", "s", Resources(), "", Phase.RUNNING, "node-1", created_at=MOMENT, bound_at=MOMENT,
    started_at=MOMENT,
)  # fmt: skip


def job(name: str, phase: Phase = Phase.PENDING) -> Job:
    return Job(name, "s", Resources(), phase=phase, created_at=MOMENT)


def page(jobs: list[Job], token: str = "", size: int = 70) -> dict[str, Any]:
    return render(jobs, replace(parse_token(token, 0, MOMENT), size=size), V41)


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
    assert page([RUNNING, job("b")])["jobs"] == {
        "a": {"status": "Running", "creation_time": STAMP, "start_time": STAMP},
        "b": {"status": "Pending"},
    }


def test_before_pages_all_come_at_once_and_were_created_when_they_were_made() -> None:
    jobs = [RUNNING, *(job(f"b{number:03}") for number in range(100))]
    answer = render(jobs, parse_token("", 0, MOMENT), V35)
    assert len(answer) == 101
    assert answer["b000"] == {"status": "Pending", "creation_time": STAMP}


@pytest.mark.parametrize("phase", [Phase.SUSPENDED, Phase.EVICTED])
def test_a_job_without_a_pod_has_few_fields(phase: Phase) -> None:
    lost = replace(RUNNING, phase=phase, finished_at=MOMENT)
    assert page([lost])["jobs"] == {"a": {"status": "Suspended"}}
    assert render([lost], parse_token("", 0, MOMENT), V35) == {
        "a": {"status": "", "creation_time": STAMP}
    }


@pytest.mark.parametrize("token", ["x", "e30", "W10", "é"])
def test_a_foreign_token_is_refused(token: str) -> None:
    with pytest.raises(BadToken):
        parse_token(token, 0, MOMENT)


def test_a_token_expires_with_its_generation() -> None:
    token = page([job("a"), job("b")], size=1)["next_page"]
    assert parse_token(token, 0, MOMENT).after == "a"
    with pytest.raises(Expired):
        parse_token(token, 1, MOMENT)


LATER = MOMENT + timedelta(seconds=60)


def at(seconds: float) -> datetime:
    return MOMENT + timedelta(seconds=seconds)


ENDED = replace(RUNNING, phase=Phase.FAILED, bound_at=at(1), started_at=at(2), finished_at=at(3))


@pytest.mark.parametrize(
    ("seconds", "status", "fields"),
    [
        (0.1, "Suspended", 1),
        (0.5, "Pending", 1),
        (1, "Pending", 2),
        (2, "Running", 3),
        (3, "Failed", 4),
    ],
)
def test_a_later_page_shows_the_moment_of_the_first(
    seconds: float, status: str, fields: int
) -> None:
    """A job that has ended meanwhile is shown as it was, or as suspended if it had no pod yet."""
    jobs = [ENDED, job("b")]
    first = render(jobs, replace(parse_token("", 0, at(seconds)), size=1), V41, pod_s=0.3)
    assert first["jobs"]["a"]["status"] == status
    second = [replace(ENDED, name="b"), replace(job("c"), created_at=LATER)]
    shown = render(second, parse_token(first["next_page"], 0, LATER), V41, pod_s=0.3)["jobs"]
    assert list(shown) == ["b"], "newer jobs are not in the snapshot"
    assert (shown["b"]["status"], len(shown["b"])) == (status, fields)


def test_a_container_that_could_not_be_made_started_in_1970() -> None:
    never = replace(ENDED, started_at=EPOCH)
    shown = render([never], parse_token("", 0, LATER), V41)["jobs"]["a"]
    assert (shown["status"], shown["start_time"]) == ("Failed", "1970-01-01T00:00:00Z")
