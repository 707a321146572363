# SPDX-License-Identifier: Apache-2.0
"""Binds jobs to nodes and records how they end, as Kubernetes does.

A job that fits on no node waits, and later jobs may pass it. Deletion, eviction, the loss of a node
and suspension end a job early, with SIGKILL for all its processes. `kubelet` runs the containers.
"""

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from ..cluster.job_record import EPOCH, Job, Phase, Start, read_clock
from ..cluster.latencies import Latencies
from ..cluster.nodes import Nodes
from ..cluster.resources import Resources, find_first_fit
from .kubelet import CannotStart, Kubelet
from .pods import Pods

log = logging.getLogger(__name__)


class AlreadyExists(Exception):
    """A job of this name exists."""


@dataclass(frozen=True, slots=True)
class _Removal:
    """The phase of a job whose pod is removed, and when the job list shows it."""

    phase: Phase
    unnoticed_s: float = 0.0


@dataclass(slots=True)
class _Bound:
    """A job with a pod on a node. The pod of a deleted job may run on for a time."""

    job: Job
    task: asyncio.Task[None]
    removal: _Removal | None = None


class Jobs:
    """All jobs, and what those with a pod request of the nodes."""

    def __init__(self, nodes: Nodes, pods: Pods, ttl_s: float | None, latencies: Latencies) -> None:
        self.nodes = nodes
        self._pods = pods
        self._kubelet = Kubelet(nodes, pods)
        self._ttl_s = ttl_s
        self._latencies = latencies
        self._jobs: dict[str, Job] = {}
        self._pending: dict[str, None] = {}  # in order of arrival
        self._bound: dict[str, _Bound] = {}  # by the uid of the job
        self._requested: dict[str, Resources] = {}
        self._suspended: set[str] = set()

    def submit(self, job: Job, event: bytes) -> None:
        self._expire()
        if job.name in self._jobs:
            raise AlreadyExists(job.name)
        phase = Phase.SUSPENDED if job.service in self._suspended else job.phase
        job = replace(job, uid=uuid.uuid4().hex, phase=phase)
        self._pods.accept(job, event)
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
        for bound in self._bound.values():
            job = bound.job
            if self._kubelet.is_running(job):
                used[job.node] = used.get(job.node, Resources()) + job.needs
        return used

    async def delete(self, jobs: Iterable[Job]) -> None:
        """Forget the jobs and end their processes.

        It returns when these are gone, or at once if deleted jobs run on for a time.
        """
        ending = []
        for job in jobs:
            self._jobs.pop(job.name, None)
            self._pending.pop(job.name, None)
            bound = self._bound.get(job.uid)
            if bound is None:
                self._pods.forget(job)
            elif not self._end_late(bound, None):
                ending.append(bound.task)
        await asyncio.gather(*ending, return_exceptions=True)

    async def close(self) -> None:
        self._pending.clear()
        self._jobs.clear()
        ending = [bound.task for bound in self._bound.values()]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    def evict(self, jobs: Iterable[Job]) -> None:
        """Remove the pods of these jobs; their scripts get the time of a deletion."""
        for job in jobs:
            if bound := self._bound.get(job.uid):
                self._end_late(bound, _Removal(Phase.EVICTED))

    def drain(self, node: str) -> int:
        """Evict all jobs of the node; their number."""
        found = [bound.job for bound in self._bound.values() if bound.job.node == node]
        self.evict(found)
        return len(found)

    def lose_node(self, node: str, unnoticed_s: float = 0.0) -> int:
        """Kill the processes of the node's jobs now; their pods go after ``unnoticed_s``."""
        found = [bound for bound in self._bound.values() if bound.job.node == node]
        for bound in found:
            self._end_pod(bound, _Removal(Phase.EVICTED, unnoticed_s))
        return len(found)

    def list_on_node(self, node: str) -> list[str]:
        """The names of the jobs that have a pod on the node."""
        return [bound.job.name for bound in self._bound.values() if bound.job.node == node]

    def suspend(self, service: str) -> None:
        """Remove the pods of the service's jobs, and make none for its new jobs."""
        self._suspended.add(service)
        for job in self.list_of_service(service):
            if bound := self._bound.get(job.uid):
                self._end_pod(bound, _Removal(Phase.SUSPENDED))
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
        self._kubelet.slow(node, speed)

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
            job = self._jobs[name] = replace(job, node=node, bound_at=read_clock())
            task = asyncio.create_task(self._run_until_removed(job))
            self._bound[job.uid] = _Bound(job, task)
            task.add_done_callback(partial(self._release_node, job))

    def _expire(self) -> None:
        moment = read_clock()
        for job in list(self._jobs.values()):
            if job.expires_at and job.expires_at <= moment and job.uid not in self._bound:
                del self._jobs[job.name]
                self._pods.forget(job)

    def _end_late(self, bound: _Bound, removal: _Removal | None) -> bool:
        """End a pod after the grace period if its container runs, else now; whether it is late."""
        late = self._latencies.grace_s > 0 and self._kubelet.is_running(bound.job)
        if late:
            loop = asyncio.get_running_loop()
            loop.call_later(self._latencies.grace_s, self._end_pod, bound, removal)
        else:
            self._end_pod(bound, removal)
        return late

    def _end_pod(self, bound: _Bound, removal: _Removal | None) -> None:
        if not bound.task.done():
            bound.removal = removal
            bound.task.cancel()

    async def _run_until_removed(self, job: Job) -> None:
        try:
            await self._run(job)
        except asyncio.CancelledError:
            if (bound := self._bound.get(job.uid)) and bound.removal is not None:
                await asyncio.sleep(bound.removal.unnoticed_s)

    def _release_node(self, job: Job, _: asyncio.Task[None]) -> None:
        """Free the node of a job whose task is over, even if the task never began."""
        removal = self._bound.pop(job.uid).removal
        self._requested[job.node] -= job.needs
        if not self._is_known(job):
            self._pods.forget(job)
        elif removal is not None:
            self._change(job, removal.phase)
            if removal.phase is Phase.SUSPENDED and job.service not in self._suspended:
                # It was released while its pod was ending.
                self._jobs[job.name] = replace(self._jobs[job.name], phase=Phase.PENDING)
                self._pending[job.name] = None
        self.bind()

    async def _run(self, job: Job) -> None:
        if job.start is Start.NEVER:
            await asyncio.Event().wait()  # until it is deleted
        if job.start is Start.FAILS:
            self._pods.explain(job, "")
            self._update(job, started_at=EPOCH)
            self._change(job, Phase.FAILED)
            return
        try:
            status = await self._kubelet.run(job, partial(self._change, job, Phase.RUNNING))
        except CannotStart:
            self._change(job, Phase.FAILED)
            return
        self._update(job, finished_at=read_clock())
        lag_s = self._latencies.finish_s
        if job.lag_s:
            age_s = (read_clock() - job.created_at).total_seconds()
            lag_s += job.lag_s - age_s % job.lag_s + self._latencies.sidecar_s
        if lag_s:
            await asyncio.sleep(lag_s)
        self._change(job, Phase.SUCCEEDED if status == 0 else Phase.FAILED)

    def _is_known(self, job: Job) -> bool:
        """Whether the job has not been deleted; another one may have its name now."""
        known = self._jobs.get(job.name)
        return known is not None and known.uid == job.uid

    def _update(self, job: Job, **changes: datetime) -> None:
        if self._is_known(job):
            self._jobs[job.name] = replace(self._jobs[job.name], **changes)  # type: ignore[arg-type]

    def _change(self, job: Job, phase: Phase) -> None:
        if not self._is_known(job):
            return
        changed = _enter_phase(self._jobs[job.name], phase)
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
