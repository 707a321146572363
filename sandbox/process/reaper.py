# SPDX-License-Identifier: Apache-2.0
"""Kills jobs: a running one on demand, and those that are left when a sandbox was killed.

bwrap dies with its parent only once it has started completely. If the sandbox is killed in the
milliseconds before, a job runs on. So `up` starts this module as a program and holds its stdin.
When `up` ends in order, it writes a line there; if stdin ends without the line, `up` was killed.
The program then kills bwrap processes that name the state directory and have no running sandbox.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

ORDERLY_END = b"ended in order"
WATCH_S = 2.0
END_WAIT_S = 5.0


def start(state: Path) -> subprocess.Popen[bytes]:
    """Start the program; it runs on when this process is killed."""
    return subprocess.Popen(
        [sys.executable, "-E", "-s", "-m", f"{__package__}.reaper", str(state)],
        cwd=Path(__file__).resolve().parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def announce_end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError):
        process.communicate(ORDERLY_END)


def end_job(process: subprocess.Popen[bytes]) -> None:
    """Kill a running job; returns when all of its processes are gone.

    If only bwrap were killed, its namespace would end later, or never if bwrap is still starting.
    So bwrap is stopped, its child is killed, then bwrap is killed.
    """
    if process.poll() is None:
        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        for child in list_children(process.pid):
            _kill_and_wait(child)
        process.kill()
    process.wait()


def list_children(pid: int) -> list[int]:
    """The children of all threads of the process; none if the process is gone."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, path.read_text("ascii").split())
    return found


def _kill_and_wait(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            gone = select.poll()
            gone.register(descriptor, select.POLLIN)
            gone.poll(END_WAIT_S * 1000)
        finally:
            os.close(descriptor)


def kill_orphans(state: Path) -> None:
    """Kill the bwraps of orphaned jobs; the kernel ends the rest of their namespaces."""
    for pid in _find_orphans(state):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _find_orphans(state: Path) -> list[int]:
    """The bwrap processes that name this directory and descend from no running sandbox."""
    inside = f"{state}/".encode()
    parents: dict[int, int] = {}
    sandboxes: set[int] = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"bwrap") and any(inside in word for word in words):
                parents[int(entry.name)] = _read_parent(entry)
            elif _is_sandbox(words):
                sandboxes.add(int(entry.name))
    return [pid for pid in parents if _find_root(pid, parents) not in sandboxes]


def _is_sandbox(words: list[bytes]) -> bool:
    """Whether a command line is `python -m sandbox up`, or that of an installed sandbox."""
    if words[2:3] == [b"up"]:
        return words[1].endswith(b"/oscar-batch-sandbox")
    return words[1:2] == [b"-m"] and words[2:4] in (
        [b"sandbox", b"up"],
        [b"oscar_batch_sandbox", b"up"],
    )


def _find_root(pid: int, parents: dict[int, int]) -> int:
    """The first ancestor that is no job's process."""
    while pid in parents:
        pid = parents[pid]
    return pid


def _read_parent(entry: Path) -> int:
    text = (entry / "stat").read_text("utf-8", "replace")
    return int(text.rpartition(")")[2].split()[1])


def main(argv: list[str]) -> int:
    state = Path(argv[0])
    if sys.stdin.buffer.read() == ORDERLY_END:
        return 0
    deadline = time.monotonic() + WATCH_S
    while time.monotonic() < deadline:
        kill_orphans(state)
        time.sleep(0.05)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
