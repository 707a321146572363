# SPDX-License-Identifier: Apache-2.0
"""Turns jobs into the answer of GET /system/logs/<service>: a page, before v3.6.4 the whole list.

Pure. Jobs are sorted by name. The token of a page is opaque to callers; a malformed one is refused,
and one of an earlier generation (see `chaos`) has expired.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..cluster.job_record import Job
from ..cluster.profiles import Profile

PAGE_SIZE = 70


class BadToken(Exception):
    """A `page` that this server did not hand out."""


class Expired(Exception):
    """A `page` that this server handed out too long ago."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list: the first ``size`` jobs whose names come after ``after``."""

    after: str = ""
    generation: int = 0
    size: int = PAGE_SIZE

    def choose(self, jobs: Sequence[Job]) -> tuple[list[Job], bool]:
        """The jobs of the page, and whether there are more."""
        rest = sorted((job for job in jobs if job.name > self.after), key=lambda job: job.name)
        return rest[: self.size], len(rest) > self.size


def render(jobs: Sequence[Job], page: Page, profile: Profile) -> dict[str, Any]:
    if not profile.paged:
        return {
            job.name: _make_entry(job, profile) for job in sorted(jobs, key=lambda job: job.name)
        }
    shown, more = page.choose(jobs)
    answer: dict[str, Any] = {"jobs": {job.name: _make_entry(job, profile) for job in shown}}
    if more:
        answer["next_page"] = _make_token(shown[-1].name, page.generation)
    return answer


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


def _make_token(name: str, generation: int) -> str:
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": generation, "start": name})
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_token(token: str, generation: int) -> Page:
    if not token:
        return Page(generation=generation)
    try:
        found = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        after, of = str(found["start"]), int(found["rv"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise BadToken("continue key is not valid") from error
    if of != generation:
        raise Expired("The provided continue parameter is too old")
    return Page(after, generation)
