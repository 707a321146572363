# SPDX-License-Identifier: Apache-2.0
"""Slows the processes of jobs on slow nodes: stopped for a share of every tenth of a second.

It sends SIGSTOP and SIGCONT from outside, which needs no rights, no cgroup and nothing inside the
job. It slows computing, not waiting: a sleep ends at its time, and the storage answers as fast as
ever. A job that stops itself is continued.
"""

import contextlib
import os
import signal
import threading
import time

from ..process.reaper import list_children

PERIOD_S = 0.1
# bwrap outside and the first process inside; the job is below them.
SUPPORTING = 2


class Throttle:
    """One thread for all slow jobs; none while there are none."""

    def __init__(self) -> None:
        self._speeds: dict[int, float] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def set(self, pid: int, speed: float) -> None:
        """Slow the job of this bwrap, or no longer if ``speed`` is 1."""
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
    """All processes of the job; the namespace's first one adopts orphans, so none is missed."""
    level = [pid]
    for _ in range(SUPPORTING):
        level = [child for parent in level for child in list_children(parent)]
    found = []
    while level:
        found += level
        level = [child for parent in level for child in list_children(parent)]
    return found
