# SPDX-License-Identifier: Apache-2.0
"""Ends jobs that outlived a killed sandbox: a program that waits for the end of its stdin.

bwrap ties itself to its parent only after it has started, so a SIGKILL in that very millisecond
leaves a job running without a parent. `up` holds the other end of stdin: it says
goodbye when it ends in order, and an end without goodbye means it was killed. Only processes of
jobs below the given state directory whose parent is gone are touched. Called by up and state.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

GOODBYE = b"goodbye"
WATCH_S = 2.0


def start(state: Path) -> subprocess.Popen[bytes]:
    """A reaper that outlives this process, whatever ends it."""
    return subprocess.Popen(
        [sys.executable, "-E", "-s", "-m", "sandbox.reaper", str(state)],
        cwd=Path(__file__).resolve().parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def dismiss(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError):
        process.communicate(GOODBYE)


def reap(state: Path) -> None:
    """Kill the bwraps of orphaned jobs; the kernel ends the rest of their namespaces."""
    for pid in _orphans(state):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _orphans(state: Path) -> list[int]:
    """Processes of jobs that do not descend from a living sandbox."""
    jobs = f"{state}/jobs/".encode()
    parents: dict[int, int] = {}
    sandboxes: set[int] = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"bwrap") and any(word.startswith(jobs) for word in words):
                parents[int(entry.name)] = _parent(entry)
            elif words[1:4] == [b"-m", b"sandbox", b"up"]:
                sandboxes.add(int(entry.name))
    return [pid for pid in parents if _root(pid, parents) not in sandboxes]


def _root(pid: int, parents: dict[int, int]) -> int:
    """The first ancestor that is no job's process."""
    while pid in parents:
        pid = parents[pid]
    return pid


def _parent(entry: Path) -> int:
    text = (entry / "stat").read_text("utf-8", "replace")
    return int(text.rpartition(")")[2].split()[1])


def main(argv: list[str]) -> int:
    state = Path(argv[0])
    if sys.stdin.buffer.read() == GOODBYE:
        return 0
    deadline = time.monotonic() + WATCH_S
    while time.monotonic() < deadline:
        reap(state)
        time.sleep(0.05)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
