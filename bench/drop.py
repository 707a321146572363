# SPDX-License-Identifier: Apache-2.0
"""`make bench-drop`: seconds from the drop of a config.json to the first invocation.

A sandbox with the coordinator deployed and 1,000 small items; the config is dropped several
times, and each time the moment is taken at which the first new job of the target is listed. The
wait is made of the event, the coordinator's container and Python, listing, planning and one POST.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandbox.handle import CHECKOUT, Sandbox, run_sandbox, wait_until

TARGET: dict[str, object] = {
    "environment": {"variables": {"OSCAR_BATCH_DATA": "data"}},
    "name": "target",
    "image": "i",
    "script": "# oscar-batch worker 1\ntrue",
    "cpu": "100m",
    "memory": "64Mi",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.drop", description=__doc__)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        run_sandbox(Path(folder), ["--nodes", "1x2:4Gi"]) as sandbox,
    ):
        prepare(sandbox, arguments.items)
        waits = [drop(sandbox) for _ in range(arguments.runs + 1)][1:]  # the first one warms up
    print(f"from the drop to the first invocation, {arguments.items} items, {len(waits)} runs:")
    print(
        f"min {min(waits):.2f} s, median {statistics.median(waits):.2f} s, max {max(waits):.2f} s"
    )
    return 0


def deploy_coordinator(sandbox: Sandbox) -> None:
    """As `make deploy` does it."""
    environment = {
        **os.environ,
        "OSCAR_BATCH_OSCAR_URL": sandbox.url,
        "OSCAR_BATCH_OSCAR_USERNAME": sandbox.username,
        "OSCAR_BATCH_OSCAR_PASSWORD": sandbox.password,
    }
    command = [sys.executable, "-m", "coordinator", "deploy", "fdl/coordinator.yaml"]
    subprocess.run(command, cwd=CHECKOUT, env=environment, check=True, capture_output=True)


def prepare(sandbox: Sandbox, items: int) -> None:
    """The coordinator, a target, and the items."""
    deploy_coordinator(sandbox)
    sandbox.deploy(TARGET)
    minio = sandbox.minio
    minio.make_bucket("data")

    def put(number: int) -> None:
        minio.put_object("data", f"input/{number:07}.dat", io.BytesIO(b"x"), 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(items)))


def drop(sandbox: Sandbox) -> float:
    """Seconds until the target has a job it did not have before; waits for all to end."""
    known = set(sandbox.list_jobs("target"))
    config = {
        "bucket": {"name": "data", "folder_prefix": "input/"},
        "service": {"name": "target", "mode": "range"},
    }
    text = json.dumps(config).encode()
    begun = time.monotonic()
    sandbox.minio.put_object("oscar-batch", "in/config.json", io.BytesIO(text), len(text))
    wait_until(
        lambda: set(sandbox.list_jobs("target")) - known or None, 60, lambda: "no invocation came"
    )
    waited = time.monotonic() - begun
    for service in ("oscar-batch", "target"):
        sandbox.wait_until_ended(service, within_s=60)
    return waited


if __name__ == "__main__":
    sys.exit(main())
