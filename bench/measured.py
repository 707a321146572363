"""A command → how long it ran, its CPU time and its peak resident memory."""

from __future__ import annotations

import os
import subprocess
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
    output: bytes

    @property
    def waiting(self) -> float:
        """The share of the time in which the command itself did not compute."""
        return max(0.0, 1 - (self.user_s + self.system_s) / self.seconds)


def measured(command: Sequence[str], environment: Mapping[str, str]) -> Measured:
    """Runs a command to its end. Raises RuntimeError if it fails."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert process.stdout is not None  # noqa: S101
    output = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    seconds = time.perf_counter() - begun
    return Measured(seconds, usage.ru_utime, usage.ru_stime, usage.ru_maxrss * 1024, output)
