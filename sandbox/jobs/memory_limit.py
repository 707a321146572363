# SPDX-License-Identifier: Apache-2.0
"""Kills the container of a job that uses more memory than its limit, as the kernel does.

It measures from outside the job every 50 ms, so it needs no privileges and no cgroup. As with
Kubernetes on cgroup v2, all processes of the container get SIGKILL and the job fails. The memory of
the mount sidecar does not count. What counts is anonymous and shared memory; pages of files do not,
because the kernel drops them before it kills.
"""

import contextlib
import logging
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from ..process.reaper import list_children

log = logging.getLogger(__name__)

PERIOD_S = 0.05
# With hundreds of jobs, measuring every 50 ms would take a whole CPU.
LARGEST_SHARE = 0.1
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
COMMAND = b"/bin/sh\0-c\0echo $EVENT"
SIDECAR = b"sandbox.jobs.mount"
# The container sees its limit and its usage in files, as below /sys/fs/cgroup of cgroup v2.
LIMIT_FILE, USAGE_FILE = "memory.max", "memory.current"
# Smaller changes of the usage are not written.
WRITTEN_BYTES = 1 << 20


@dataclass(slots=True)
class _Watched:
    """A job's limit, the directory of its files, and the usage that was written last."""

    limit_bytes: int
    directory: Path
    written_bytes: int = 0


class MemoryLimits:
    """One thread that measures all running jobs; it ends when there are none."""

    def __init__(self) -> None:
        self._watched: dict[int, _Watched] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, pid: int, limit_bytes: int, directory: Path) -> None:
        """Measure the job below this bwrap process until `forget`."""
        with self._lock:
            self._watched[pid] = _Watched(limit_bytes, directory)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="memory", daemon=True)
                self._thread.start()

    def forget(self, pid: int) -> None:
        with self._lock:
            self._watched.pop(pid, None)

    def _run(self) -> None:
        while True:
            with self._lock:
                watched = tuple(self._watched.items())
                if not watched:
                    self._thread = None
                    return
            began = time.thread_time()
            for pid, job in watched:
                self._check(pid, job)
            took_s = time.thread_time() - began
            time.sleep(max(PERIOD_S - took_s, took_s / LARGEST_SHARE))

    def _check(self, pid: int, job: _Watched) -> None:
        container = find_container(pid)
        used_bytes = measure_resident(container)
        if used_bytes > job.limit_bytes:
            used_bytes = measure_unshared(container)
        _write_usage(job, used_bytes)
        if used_bytes > job.limit_bytes:
            log.info("%s uses %d bytes: out of memory", job.directory.parent.name, used_bytes)
            _kill_container(pid)


def find_container(pid: int) -> list[int]:
    """The processes of the container below this bwrap process, without the mount sidecar."""
    found = []
    level = [each for child in list_children(pid) for each in list_children(child)]
    for top in level:
        if SIDECAR in _read(f"/proc/{top}/cmdline"):
            level = [each for each in level if each != top]
            level += [each for each in list_children(top) if _is_container(each)]
    while level:
        found += level
        level = [child for parent in level for child in list_children(parent)]
    return found


def measure_resident(container: list[int]) -> int:
    """The resident memory of the processes; more than they use, since they share some of it."""
    words = [_read(f"/proc/{pid}/statm").split() for pid in container]
    return sum(int(each[1]) for each in words if len(each) > 1) * PAGE_BYTES


def measure_unshared(container: list[int]) -> int:
    """What the processes use; of a page that several share, each has its part."""
    used_kib = 0
    for pid in container:
        for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
            if line.startswith((b"Pss_Anon:", b"Pss_Shmem:")):
                used_kib += int(line.split()[1])
    return used_kib * 1024


def _kill_container(pid: int) -> None:
    """Kill until no process is left: one may start another while the list is made."""
    for _ in range(20):
        container = find_container(pid)
        for each in reversed(container):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        if not container:
            return
        time.sleep(0.005)


def _write_usage(job: _Watched, used_bytes: int) -> None:
    if abs(used_bytes - job.written_bytes) < WRITTEN_BYTES:
        return
    job.written_bytes = used_bytes
    with contextlib.suppress(OSError):  # the files of an ended job are gone
        fresh = job.directory / f".{USAGE_FILE}"
        fresh.write_text(f"{used_bytes}\n", "ascii")
        fresh.replace(job.directory / USAGE_FILE)


def _is_container(pid: int) -> bool:
    return _read(f"/proc/{pid}/cmdline").startswith(COMMAND)


def _read(path: str) -> bytes:
    """The content of a file of /proc; nothing if its process is gone."""
    with contextlib.suppress(OSError), open(path, "rb", buffering=0) as file:
        return file.read()
    return b""
