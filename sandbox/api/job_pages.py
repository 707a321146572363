# SPDX-License-Identifier: Apache-2.0
"""Turns jobs into the answer of GET /system/logs/<service>: a page, before v3.6.4 the whole list.

Pure. Jobs are sorted by name. The token of a page is opaque to callers; a malformed one is refused,
and one of an earlier generation (see `chaos`) has expired. Later pages show jobs as they were when
the first page was made, because Kubernetes continues a list from a snapshot.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ..cluster.job_record import EPOCH, Job, Phase
from ..cluster.profiles import Profile

PAGE_SIZE = 70
BAD_PAGE = "invalid continue token: continue key is not valid"


class BadToken(Exception):
    """A `page` that this server did not hand out."""


class Expired(Exception):
    """A `page` that this server handed out too long ago."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list: the first ``size`` jobs whose names come after ``after``."""

    moment: datetime
    """When the first page was made."""
    after: str = ""
    generation: int = 0
    size: int = PAGE_SIZE

    def choose(self, jobs: Sequence[Job]) -> tuple[list[Job], bool]:
        """The jobs of the page, and whether there are more."""
        rest = sorted((job for job in jobs if job.name > self.after), key=lambda job: job.name)
        return rest[: self.size], len(rest) > self.size


def render(jobs: Sequence[Job], page: Page, profile: Profile, pod_s: float = 0) -> dict[str, Any]:
    """The answer; ``pod_s`` is the time until a new job has a pod."""
    jobs = [view_at(job, page.moment, pod_s) for job in jobs if job.created_at <= page.moment]
    if not profile.paged:
        return {
            job.name: _make_entry(job, profile) for job in sorted(jobs, key=lambda job: job.name)
        }
    shown, more = page.choose(jobs)
    answer: dict[str, Any] = {"jobs": {job.name: _make_entry(job, profile) for job in shown}}
    if more:
        answer["next_page"] = _make_token(page, shown[-1].name)
    return answer


def view_at(job: Job, moment: datetime, pod_s: float) -> Job:
    """The job as a list showed it at this moment; of a job without a pod only its status."""
    if job.phase.podless:
        return job
    if moment < job.created_at + timedelta(seconds=pod_s):
        return replace(job, phase=Phase.SUSPENDED)
    bound, started, finished = (
        time if time and (time <= moment or time == EPOCH) else None
        for time in (job.bound_at, job.started_at, job.finished_at)
    )
    phase = job.phase
    if phase.final and not finished:
        phase = Phase.RUNNING
    if phase is Phase.RUNNING and not started:
        phase = Phase.PENDING
    return replace(job, phase=phase, bound_at=bound, started_at=started, finished_at=finished)


def format_rfc3339(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _make_entry(job: Job, profile: Profile) -> dict[str, str]:
    """A time that is not known has no key. When the pod is gone, no time is known."""
    status = profile.podless if job.phase.podless else job.phase.value
    gone = job.phase.podless
    times = {
        "creation_time": job.bound_at if profile.paged else job.created_at,
        "start_time": None if gone else job.started_at,
        "finish_time": None if gone else job.finished_at,
    }
    if gone and profile.paged:
        times["creation_time"] = None
    return {"status": status} | {key: format_rfc3339(time) for key, time in times.items() if time}


def _make_token(page: Page, last: str) -> str:
    text = json.dumps(
        {
            "v": "meta.k8s.io/v1",
            "rv": page.generation,
            "start": last,
            "moment": page.moment.timestamp(),
        }
    )
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_token(token: str, generation: int, now: datetime) -> Page:
    if not token:
        return Page(now, generation=generation)
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("latin-1")
        found = json.loads(text)
        after, of = str(found["start"]), int(found["rv"])
        moment = datetime.fromtimestamp(found["moment"], UTC)
    except json.JSONDecodeError as error:
        # Go writes a control character of Latin-1 as an escape.
        first = text[error.pos : error.pos + 1]
        shown = first if first.isprintable() else f"\\u{ord(first):04x}"
        raise BadToken(
            f"{BAD_PAGE}: invalid character '{shown}' looking for beginning of value"
        ) from error
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise BadToken(BAD_PAGE) from error
    if of != generation:
        raise Expired("The provided continue parameter is too old")
    return Page(moment, after, generation)
