# SPDX-License-Identifier: Apache-2.0
"""A command → how long it ran, its CPU time and its peak resident memory.

    python -m bench.measured COMMAND…

The command runs below a small process of its own: Linux counts what a process had before it
became another program, so a large parent would show up in the memory of its children.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one command."""

    seconds: float
    user_s: float
    system_s: float
    peak_bytes: int
    objects: int
    """As many as the command printed lines, or the number in its only line."""

    @property
    def waiting(self) -> float:
        """The share of the time in which the command itself did not compute."""
        return max(0.0, 1 - (self.user_s + self.system_s) / self.seconds)


def measure(command: Sequence[str], environment: Mapping[str, str]) -> Measured:
    """Runs a command to its end. Raises CalledProcessError if it fails."""
    below = [sys.executable, "-m", "bench.measured", *command]
    output = subprocess.run(
        below, env={**os.environ, **environment}, stdout=subprocess.PIPE, check=True
    ).stdout
    return Measured(**json.loads(output))


def main(command: Sequence[str]) -> dict[str, float]:
    """Runs the command and measures it."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert process.stdout is not None  # noqa: S101
    lines, last = 0, b""
    while piece := process.stdout.read(65536):
        lines += piece.count(b"\n")
        last = piece
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return {
        "seconds": time.perf_counter() - begun,
        "user_s": usage.ru_utime,
        "system_s": usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
        "objects": int(last) if lines == 1 else lines,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
