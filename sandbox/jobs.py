# SPDX-License-Identifier: Apache-2.0
"""Turns submitted jobs into bound, running and ended ones, as Kubernetes would.

A job that fits on no node waits without holding up those behind it. No thread belongs to a job: an
ended process is noticed through its pidfd. A job's only early end is delete, and that is SIGKILL
for all its processes. Called by api; processes are pod's business.
"""

import asyncio
import logging
import os
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from sandbox.cluster import Node, Resources, first_fit

log = logging.getLogger(__name__)


class Phase(StrEnum):
    """A pod's phase, which is all that OSCAR tells about a job."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"

    @property
    def final(self) -> bool:
        return self in (Phase.SUCCEEDED, Phase.FAILED)


@dataclass(frozen=True, slots=True)
class Job:
    """One invocation; times are None until they happen."""

    name: str
    service: str
    needs: Resources
    event: bytes = field(repr=False)
    phase: Phase = Phase.PENDING
    node: str = ""
    bound_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Pods(Protocol):
    """What jobs need to know about processes."""

    def start(self, job: Job) -> subprocess.Popen[bytes]: ...

    def explain(self, job: Job, reason: str) -> None: ...

    def end(self, job: Job, process: subprocess.Popen[bytes]) -> None: ...

    def forget(self, job: Job) -> None: ...


class AlreadyExists(Exception):
    """A job of this name exists."""


class Jobs:
    """The queue, the nodes' bookkeeping, and the processes under way."""

    def __init__(self, nodes: Sequence[Node], pods: Pods) -> None:
        self._nodes = nodes
        self._pods = pods
        self._jobs: dict[str, Job] = {}
        self._pending: dict[str, None] = {}  # in order of arrival
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._requested: dict[str, Resources] = {}

    def submit(self, job: Job) -> None:
        if job.name in self._jobs:
            raise AlreadyExists(job.name)
        self._jobs[job.name] = job
        self._pending[job.name] = None
        self._bind()

    def get(self, service: str, name: str) -> Job | None:
        job = self._jobs.get(name)
        return job if job and job.service == service else None

    def of(self, service: str) -> list[Job]:
        return [job for job in self._jobs.values() if job.service == service]

    def phases(self) -> Mapping[str, int]:
        return Counter(job.phase.value for job in self._jobs.values())

    def requested(self) -> Mapping[str, Resources]:
        """Requests of bound jobs that have not ended, by node."""
        return dict(self._requested)

    def used(self) -> Mapping[str, Resources]:
        """What running jobs request, by node: stands in for a metrics server."""
        used: dict[str, Resources] = {}
        for name in self._tasks:
            job = self._jobs.get(name)
            if job and job.phase is Phase.RUNNING:
                used[job.node] = used.get(job.node, Resources()) + job.needs
        return used

    async def delete(self, jobs: Iterable[Job]) -> None:
        """Forget the jobs at once and end their processes; returns when they are gone."""
        ending = []
        for job in jobs:
            self._jobs.pop(job.name, None)
            self._pending.pop(job.name, None)
            task = self._tasks.get(job.name)
            if task is None:
                self._pods.forget(job)
            else:
                task.cancel()
                ending.append(task)
        await asyncio.gather(*ending, return_exceptions=True)

    async def close(self) -> None:
        await self.delete(list(self._jobs.values()))

    def _bind(self) -> None:
        """Start whatever fits, oldest first."""
        hopeless: set[Resources] = set()
        for name in list(self._pending):
            job = self._jobs[name]
            if job.needs in hopeless:
                continue
            node = first_fit(self._nodes, self._requested, job.needs)
            if node is None:
                hopeless.add(job.needs)
                continue
            del self._pending[name]
            self._requested[node] = self._requested.get(node, Resources()) + job.needs
            bound = replace(job, node=node, bound_at=datetime.now(UTC))
            self._jobs[name] = bound
            self._tasks[name] = asyncio.create_task(self._live(bound))

    async def _live(self, job: Job) -> None:
        try:
            await self._run(job)
        finally:
            del self._tasks[job.name]
            self._requested[job.node] -= job.needs
            if job.name not in self._jobs:
                self._pods.forget(job)
            self._bind()

    async def _run(self, job: Job) -> None:
        try:
            process = self._pods.start(job)
        except (OSError, ValueError) as error:
            # Such as an event that is too long for an environment variable.
            self._pods.explain(job, f"exec /bin/sh: {error}")
            self._change(job, Phase.FAILED)
            return
        self._change(job, Phase.RUNNING)
        try:
            status = await _ended(process)
        finally:
            await asyncio.shield(asyncio.to_thread(self._pods.end, job, process))
        self._change(job, Phase.SUCCEEDED if status == 0 else Phase.FAILED)

    def _change(self, job: Job, phase: Phase) -> None:
        now = datetime.now(UTC)
        known = self._jobs.get(job.name)
        if known is None:
            return  # deleted meanwhile
        if phase.final:
            known = replace(known, started_at=known.started_at or now, finished_at=now)
        else:
            known = replace(known, started_at=now)
        self._jobs[job.name] = replace(known, phase=phase)
        log.info("%s is %s on %s", job.name, phase, job.node)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _ended(process: subprocess.Popen[bytes]) -> int:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    descriptor = os.pidfd_open(process.pid)
    loop.add_reader(descriptor, _resolve, ended)
    try:
        await ended
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return process.wait()
