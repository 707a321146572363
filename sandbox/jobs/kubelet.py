# SPDX-License-Identifier: Apache-2.0
"""Runs the container of a bound job until its process ends, at its node's speed and memory limit.

There is no thread per job: a pidfd tells when a process has ended.
"""

import asyncio
import os
import subprocess
from collections.abc import Callable

from ..cluster.job_record import Job
from ..cluster.nodes import Nodes
from .memory_limit import MemoryLimits
from .pods import Pods
from .throttle import Throttle


class CannotStart(Exception):
    """The container could not start; its log says why."""


class Kubelet:
    """The processes of all nodes."""

    def __init__(self, nodes: Nodes, pods: Pods) -> None:
        self._nodes = nodes
        self._pods = pods
        self._throttle = Throttle()
        self._limits = MemoryLimits()
        self._running: dict[str, tuple[Job, subprocess.Popen[bytes]]] = {}

    def is_running(self, job: Job) -> bool:
        return job.uid in self._running

    def slow(self, node: str, speed: float) -> None:
        self._nodes.change(node, speed=speed)
        for job, process in self._running.values():
            if job.node == node:
                self._throttle.set(process.pid, speed)

    async def run(self, job: Job, on_start: Callable[[], None]) -> int:
        """The exit status of the container. When it is cancelled, all its processes are killed."""
        try:
            process = self._pods.start(job)
        except (OSError, ValueError) as error:
            # Such as an event that is too long for an environment variable.
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self._pods.explain(job, f"exec /bin/sh: {str(reason).lower()}\n")
            raise CannotStart from error
        self._running[job.uid] = job, process
        node = self._nodes.get(job.node)
        self._throttle.set(process.pid, node.speed if node else 1.0)
        self._limits.watch(process.pid, job.needs.memory_bytes, self._pods.find_limits(job))
        on_start()
        try:
            return await _wait_for_exit(process)
        finally:
            self._throttle.set(process.pid, 1.0)
            self._limits.forget(process.pid)
            self._running.pop(job.uid, None)
            await asyncio.shield(asyncio.to_thread(self._pods.end, job, process))


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
