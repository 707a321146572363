# SPDX-License-Identifier: Apache-2.0
"""What a person asks of a sandbox that is up: its services, its jobs, and what to do next."""

import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from . import state
from .handle import Sandbox
from .state import StateError

DEFAULT_STATE = Path("build/sandbox")


def open_sandbox(directory: Path) -> Sandbox:
    """The sandbox that runs in a directory. Raises StateError."""
    if not state.read_announcement(directory.resolve()):
        raise StateError(f"no sandbox is up in {directory}: start one with `up`")
    return Sandbox.read(directory.resolve() / state.READY)


def describe_next(box: Sandbox, program: str, directory: Path) -> str:
    """What to do with a sandbox that is up."""
    where = "" if directory == DEFAULT_STATE else f" --state {shlex.quote(str(directory))}"
    return (
        f"up: OSCAR at {box.url} (open it in a browser), S3 at {box.s3_url}\n"
        f'  eval "$({program} env{where})"    sets the variables of oscar-batch, aws and mc\n'
        f"  {program} services{where}    what is deployed\n"
        f"  {program} logs{where} SERVICE    the log of its newest job\n"
        f"  {program} down{where}    ends it"
    )


def list_services(box: Sandbox) -> Iterator[str]:
    """A line for each service: its jobs by their states."""
    answer = box.call("GET", "/system/services")
    answer.raise_for_status()
    for name in sorted(str(each["name"]) for each in answer.json() or []):
        states = Counter(job["status"] for job in box.list_jobs(name).values())
        jobs = ", ".join(f"{count} {each}" for each, count in sorted(states.items()))
        yield f"{name}: {jobs or 'no jobs'}"


def find_job(box: Sandbox, service: str, job: str | None) -> tuple[str, str]:
    """A job of a service, the newest if none is named, and its state. Raises StateError."""
    if box.call("GET", f"/system/services/{service}").status_code != 200:
        raise StateError(f"there is no service {service}: see `services`")
    jobs = box.list_jobs(service)
    if not jobs:
        raise StateError(f"{service} has no jobs yet")
    if job is None:
        job = max(jobs, key=lambda name: str(jobs[name].get("creation_time") or ""))
    if job not in jobs:
        raise StateError(f"{service} has no job {job}; it has {', '.join(sorted(jobs))}")
    return job, jobs[job]["status"]
