# SPDX-License-Identifier: Apache-2.0
"""Ends jobs that outlived a killed sandbox: a program that waits for the end of its stdin.

bwrap ties a namespace to its parent only after cloning its first process, so a SIGKILL in that
very millisecond leaves a job running without a parent. `up` holds the other end of stdin: it says
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
    """Kill the first process of each orphaned namespace; the kernel ends the rest of it."""
    for pid in _orphans(state):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _orphans(state: Path) -> list[int]:
    jobs = f"{state}/jobs/".encode()
    found: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"bwrap") and any(word.startswith(jobs) for word in words):
                found[int(entry.name)] = _parent(entry)
    return [pid for pid, parent in found.items() if parent not in found and _is_first(pid)]


def _parent(entry: Path) -> int:
    text = (entry / "stat").read_text("utf-8", "replace")
    return int(text.rpartition(")")[2].split()[1])


def _is_first(pid: int) -> bool:
    """Is it process 1 of a namespace of its own?"""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text("utf-8", "replace").splitlines():
            if line.startswith("NSpid:"):
                return len(line.split()) > 2 and line.split()[-1] == "1"
    return False


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
