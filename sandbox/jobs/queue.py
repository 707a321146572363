# SPDX-License-Identifier: Apache-2.0
"""Binds jobs to nodes, runs them and records how they end, as Kubernetes does.

A job that fits on no node waits, and later jobs may pass it. There is no thread per job: a pidfd
tells when a process has ended. Deletion, the loss of a node and suspension end a job early, with
SIGKILL for all its processes. `pods` starts the processes.
"""

import asyncio
import logging
import os
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from ..cluster.job_record import Job, Phase, read_clock
from ..cluster.nodes import Nodes
from ..cluster.resources import Resources, find_first_fit
from .memory_limit import MemoryLimits
from .pods import Pods
from .throttle import Throttle

log = logging.getLogger(__name__)


class AlreadyExists(Exception):
    """A job of this name exists."""


@dataclass(frozen=True, slots=True)
class _Removal:
    """The phase of a job whose pod is removed, and when the job list shows it."""

    phase: Phase
    unnoticed_s: float = 0.0


class Jobs:
    """All jobs, what they request of the nodes, and their processes."""

    def __init__(self, nodes: Nodes, pods: Pods, ttl_s: float | None = None) -> None:
        self.nodes = nodes
        self._pods = pods
        self._ttl_s = ttl_s
        self._jobs: dict[str, Job] = {}
        self._pending: dict[str, None] = {}  # in order of arrival
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._removals: dict[str, _Removal] = {}
        self._requested: dict[str, Resources] = {}
        self._suspended: set[str] = set()
        self._throttle = Throttle()
        self._limits = MemoryLimits()

    def submit(self, job: Job, event: bytes) -> None:
        self._expire()
        if job.name in self._jobs:
            raise AlreadyExists(job.name)
        self._pods.accept(job, event)
        if job.service in self._suspended:
            job = replace(job, phase=Phase.SUSPENDED)
        self._jobs[job.name] = job
        if job.phase is Phase.PENDING:
            self._pending[job.name] = None
            self.bind()

    def get(self, service: str, name: str) -> Job | None:
        self._expire()
        job = self._jobs.get(name)
        return job if job and job.service == service else None

    def list_of_service(self, service: str) -> list[Job]:
        self._expire()
        return [job for job in self._jobs.values() if job.service == service]

    def count_phases(self) -> Mapping[Phase, int]:
        return Counter(job.phase for job in self._jobs.values())

    def sum_requested(self) -> Mapping[str, Resources]:
        """Requests of bound jobs that have not ended, by node."""
        return dict(self._requested)

    def sum_used(self) -> Mapping[str, Resources]:
        """What running jobs request, by node; used in place of measured usage."""
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
            self._removals.pop(job.name, None)
            task = self._tasks.get(job.name)
            if task is None:
                self._pods.forget(job)
            else:
                task.cancel()
                ending.append(task)
        await asyncio.gather(*ending, return_exceptions=True)

    async def close(self) -> None:
        self._pending.clear()
        await self.delete(list(self._jobs.values()))

    def evict(self, node: str, unnoticed_s: float = 0.0) -> int:
        """Kill the processes of the node's jobs now; their pods go after ``unnoticed_s``."""
        taken = self.list_on_node(node)
        for name in taken:
            self._remove_pod(self._jobs[name], _Removal(Phase.EVICTED, unnoticed_s))
        return len(taken)

    def list_on_node(self, node: str) -> list[str]:
        """The names of the jobs that are bound to the node and have not ended."""
        alive = (self._jobs[name] for name in self._tasks if name in self._jobs)
        return [job.name for job in alive if job.node == node]

    def suspend(self, service: str) -> None:
        """Remove the pods of the service's jobs, and make none for its new jobs."""
        self._suspended.add(service)
        for job in self.list_of_service(service):
            if job.name in self._tasks:
                self._remove_pod(job, _Removal(Phase.SUSPENDED))
            elif job.phase is Phase.PENDING:
                self._pending.pop(job.name, None)
                self._jobs[job.name] = replace(job, phase=Phase.SUSPENDED)

    def release(self, service: str) -> None:
        """Let the suspended jobs of the service run, each from its start."""
        self._suspended.discard(service)
        for job in self.list_of_service(service):
            if job.phase is Phase.SUSPENDED:
                self._jobs[job.name] = replace(job, phase=Phase.PENDING)
                self._pending[job.name] = None
        self.bind()

    def slow(self, node: str, speed: float) -> None:
        self.nodes.change(node, speed=speed)
        for name, process in self._processes.items():
            if (job := self._jobs.get(name)) and job.node == node:
                self._throttle.set(process.pid, speed)

    def advance(self, seconds: float) -> None:
        """Make ended jobs expire earlier by ``seconds``."""
        for job in self._jobs.values():
            if job.expires_at:
                sooner = job.expires_at - timedelta(seconds=seconds)
                self._jobs[job.name] = replace(job, expires_at=sooner)

    def bind(self) -> None:
        """Bind and start the waiting jobs that fit on a node, oldest first."""
        unplaceable: set[Resources] = set()
        for name in list(self._pending):
            job = self._jobs[name]
            if job.needs in unplaceable:
                continue
            node = find_first_fit(self.nodes, self._requested, job.needs)
            if node is None:
                unplaceable.add(job.needs)
                continue
            del self._pending[name]
            self._requested[node] = self._requested.get(node, Resources()) + job.needs
            bound = replace(job, node=node, bound_at=read_clock())
            self._jobs[name] = bound
            task = self._tasks[name] = asyncio.create_task(self._run_until_removed(bound))
            task.add_done_callback(partial(self._release_node, bound))

    def _expire(self) -> None:
        moment = read_clock()
        for job in list(self._jobs.values()):
            if job.expires_at and job.expires_at <= moment and job.name not in self._tasks:
                del self._jobs[job.name]
                self._pods.forget(job)

    def _remove_pod(self, job: Job, removal: _Removal) -> None:
        if not self._tasks[job.name].done():
            self._removals[job.name] = removal
            self._tasks[job.name].cancel()

    async def _run_until_removed(self, job: Job) -> None:
        try:
            await self._run(job)
        except asyncio.CancelledError:
            if (removal := self._removals.get(job.name)) is not None:
                await asyncio.sleep(removal.unnoticed_s)

    def _release_node(self, job: Job, _: asyncio.Task[None]) -> None:
        """Free the node of a job whose task is over, even if the task never began."""
        del self._tasks[job.name]
        self._requested[job.node] -= job.needs
        removal = self._removals.pop(job.name, None)
        if job.name not in self._jobs:
            self._pods.forget(job)
        elif removal is not None:
            self._change(job, removal.phase)
            if removal.phase is Phase.SUSPENDED:
                self._resuspend(job)
        self.bind()

    def _resuspend(self, job: Job) -> None:
        """Let a job wait again that was released while its pod was ending."""
        if job.service in self._suspended:
            return
        self._jobs[job.name] = replace(self._jobs[job.name], phase=Phase.PENDING)
        self._pending[job.name] = None

    async def _run(self, job: Job) -> None:
        if not job.startable:
            await asyncio.Event().wait()  # until it is deleted
        try:
            process = self._pods.start(job)
        except (OSError, ValueError) as error:
            # Such as an event that is too long for an environment variable.
            self._pods.explain(job, f"exec /bin/sh: {error}")
            self._change(job, Phase.FAILED)
            return
        self._processes[job.name] = process
        node = self.nodes.get(job.node)
        self._throttle.set(process.pid, node.speed if node else 1.0)
        self._limits.watch(process.pid, job.needs.memory_bytes, self._pods.find_limits(job))
        self._change(job, Phase.RUNNING)
        try:
            status = await _wait_for_exit(process)
        finally:
            self._throttle.set(process.pid, 1.0)
            self._limits.forget(process.pid)
            self._processes.pop(job.name, None)
            await asyncio.shield(asyncio.to_thread(self._pods.end, job, process))
        if job.lag_s and job.name in self._jobs:
            self._jobs[job.name] = replace(self._jobs[job.name], finished_at=read_clock())
            age_s = (read_clock() - job.created_at).total_seconds()
            await asyncio.sleep(job.lag_s - age_s % job.lag_s)
        self._change(job, Phase.SUCCEEDED if status == 0 else Phase.FAILED)

    def _change(self, job: Job, phase: Phase) -> None:
        known = self._jobs.get(job.name)
        if known is None:
            return  # deleted meanwhile
        changed = _enter_phase(known, phase)
        if phase.final and changed.finished_at and self._ttl_s is not None:
            expires_at = changed.finished_at + timedelta(seconds=self._ttl_s)
            changed = replace(changed, expires_at=expires_at)
        self._jobs[job.name] = changed
        log.info("%s is %s on %s", job.name, phase, job.node)


def _enter_phase(job: Job, phase: Phase) -> Job:
    moment = read_clock()
    if phase is Phase.SUSPENDED:
        return replace(job, phase=phase, bound_at=None, started_at=None, finished_at=None)
    if phase.final:
        started, finished = job.started_at or moment, job.finished_at or moment
        return replace(job, phase=phase, started_at=started, finished_at=finished)
    return replace(job, phase=phase, started_at=moment)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _wait_for_exit(process: subprocess.Popen[bytes]) -> int:
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
