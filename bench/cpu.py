# SPDX-License-Identifier: Apache-2.0
"""`make bench-cpu`: how long the coordinator takes with less and less CPU.

OSCAR gives a job the CPU of its definition and no more: in every 100 ms the kernel lets it run for
so long, and then makes it wait. The same is done here to `oscar-batch run`, which lists and plans
as many items as are asked for and invokes a target of no work, in a sandbox.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from bench.drop import prepare
from sandbox.handle import Sandbox, run_sandbox

SHARES = (1.0, 0.5, 0.2, 0.1, 0.05)
PERIOD_S = 0.1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.cpu", description=__doc__)
    parser.add_argument("--items", type=int, default=1000)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        run_sandbox(Path(folder), ["--nodes", "1x4:8Gi"]) as sandbox,
    ):
        prepare(sandbox, arguments.items)
        config = write_config(sandbox, Path(folder))
        print(f"oscar-batch run, {arguments.items} items in 8 chunks:")
        for share in SHARES:
            seconds, used_s, code = run_throttled(config, Path(folder), share)
            print(f"{share:g} CPU: {seconds:.1f} s, of CPU {used_s:.1f} s, exit code {code}")
            sandbox.wait_until_ended("target", within_s=60)
    return 0


def write_config(sandbox: Sandbox, folder: Path) -> Path:
    config = {
        "MinIO": {
            "url": sandbox.s3_url,
            "access_key": sandbox.access_key,
            "secret_key": sandbox.secret_key,
        },
        "bucket": {"name": "data", "folder_prefix": "input/"},
        "oscar_cluster": {
            "url": sandbox.url,
            "auth_basic": {"username": sandbox.username, "password": sandbox.password},
        },
        "service": {"name": "target", "mode": "range"},
        "plan": {"max_parallel": 8, "strategy": "balanced"},
    }
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    return path


def run_throttled(config: Path, folder: Path, share: float) -> tuple[float, float, int]:
    """Seconds, seconds of CPU and the exit code of a run with this share of a CPU."""
    command = [sys.executable, "-m", "coordinator", "run", str(config), "--output", str(folder)]
    begun = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    used_s = 0.0
    while process.poll() is None:
        ends, allowed_s = time.monotonic() + PERIOD_S, used_s + share * PERIOD_S
        while time.monotonic() < ends and process.poll() is None:
            used_s = max(used_s, read_cpu_s(process.pid))
            if used_s >= allowed_s:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGSTOP)
                time.sleep(max(0.0, ends - time.monotonic()))
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGCONT)
            else:
                time.sleep(0.002)
    return time.monotonic() - begun, used_s, process.returncode


def read_cpu_s(pid: int) -> float:
    """The CPU time of all threads of a process so far; 0 if it has just ended."""
    nanoseconds = 0
    with suppress(OSError, ValueError):
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            nanoseconds += int(path.read_text().split()[0])
    return nanoseconds / 1e9


if __name__ == "__main__":
    sys.exit(main())
