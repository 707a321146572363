# SPDX-License-Identifier: Apache-2.0
"""Turns jobs into the pages of GET /system/logs/<service>, in the shape of v3.6.4 and later.

Pure. Pages follow the job's name; the token is opaque to callers and malformed ones are refused.
Next: api.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sandbox.jobs import Job

PAGE_SIZE = 70


class BadToken(Exception):
    """A `page` that this server did not hand out."""


def page(jobs: Sequence[Job], token: str = "", size: int = PAGE_SIZE) -> dict[str, Any]:
    after = _read(token) if token else ""
    rest = sorted((job for job in jobs if job.name > after), key=lambda job: job.name)
    shown = rest[:size]
    answer: dict[str, Any] = {"jobs": {job.name: _entry(job) for job in shown}}
    if len(rest) > size:
        answer["next_page"] = _write(shown[-1].name)
    return answer


def rfc3339(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _entry(job: Job) -> dict[str, str]:
    """Absent times are absent keys; `creation_time` is when the node accepted the pod."""
    times = {
        "creation_time": job.bound_at,
        "start_time": job.started_at,
        "finish_time": job.finished_at,
    }
    entry = {"status": job.phase.value}
    entry.update({key: rfc3339(moment) for key, moment in times.items() if moment})
    return entry


def _write(name: str) -> str:
    text = json.dumps({"v": "meta.k8s.io/v1", "start": name})
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(token: str) -> str:
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        return str(json.loads(text)["start"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise BadToken("continue key is not valid") from error
