# SPDX-License-Identifier: Apache-2.0
"""The paths and pages of OSCAR's job list: before release 3.6.4 all at once, later 70. Pure."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from ..model.cluster import JobList, JobTimes, Phase
from ..model.errors import ClusterError

_PHASES = {"Running": Phase.RUNNING, "Succeeded": Phase.SUCCEEDED, "Failed": Phase.FAILED}


def make_path(service: str, job: str) -> str:
    """The path of a job and its log; without a job, the path of all jobs of the service."""
    return f"/system/logs/{quote(service, safe='')}/{quote(job, safe='', errors='replace')}"


def make_page_path(service: str, token: str) -> str:
    """The path of a page of the list of a service's jobs."""
    page = f"?page={quote(token, safe='', errors='replace')}" if token else ""
    return f"/system/logs/{quote(service, safe='')}{page}"


def parse_page(raw: Any) -> tuple[JobList, str]:
    """The jobs of a page, and the token of the next one; empty after the last.

    `Suspended`, no state at all and everything unknown may still become something else.
    Raises ClusterError if the answer is none of OSCAR's.
    """
    try:
        jobs, token = (
            (raw["jobs"] or {}, raw.get("next_page") or "") if "jobs" in raw else (raw, "")
        )
        phases = {
            str(name): _PHASES.get(str(job.get("status")), Phase.PENDING)
            for name, job in jobs.items()
        }
        times = {
            str(name): JobTimes(str(job["start_time"]), str(job.get("finish_time") or ""))
            for name, job in jobs.items()
            if job.get("start_time")
        }
    except (AttributeError, TypeError) as error:
        raise ClusterError("the list of jobs has another form than OSCAR's") from error
    return JobList(phases, 1, times), str(token)
