# SPDX-License-Identifier: Apache-2.0
"""Slows the jobs of slow nodes: it stops their processes for a part of every tenth of a second.

It sends SIGSTOP and SIGCONT from outside the job, so it needs no privileges and no cgroup. It slows
computing, not waiting: a `sleep` takes as long as before, and the storage is as fast as before. A
job that stops itself is continued.
"""

import contextlib
import os
import signal
import threading
import time

from ..process.reaper import list_children

PERIOD_S = 0.1
# bwrap and the first process of its namespace; they must run, the job is below them.
SUPPORTING = 2


class Throttle:
    """One thread for all slow jobs; it ends when there are none."""

    def __init__(self) -> None:
        self._speeds: dict[int, float] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def set(self, pid: int, speed: float) -> None:
        """Set the speed of the job below this bwrap process; 1 is full speed."""
        with self._lock:
            if speed < 1:
                self._speeds[pid] = speed
            else:
                self._speeds.pop(pid, None)
            if self._speeds and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="throttle", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                speeds = sorted(self._speeds.items(), key=lambda entry: entry[1])
                if not speeds:
                    self._thread = None
                    return
            began = time.monotonic()
            stopped: list[int] = []
            for pid, speed in speeds:
                _wait_until(began + speed * PERIOD_S)
                stopped += _signal(_find_below(pid), signal.SIGSTOP)
            _wait_until(began + PERIOD_S)
            _signal(stopped, signal.SIGCONT)


def _wait_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _signal(pids: list[int], number: signal.Signals) -> list[int]:
    reached = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            reached.append(pid)
    return reached


def _find_below(pid: int) -> list[int]:
    """All processes of the job: orphans too, since the first process becomes their parent."""
    level = [pid]
    for _ in range(SUPPORTING):
        level = [child for parent in level for child in list_children(parent)]
    found = []
    while level:
        found += level
        level = [child for parent in level for child in list_children(parent)]
    return found
