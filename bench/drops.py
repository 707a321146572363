# SPDX-License-Identifier: Apache-2.0
"""`make bench-drops`: many configs dropped at once on a small cluster, each for its own folder.

The coordinators take room from the workers that they start. Counted: how many coordinators ran at
the same time, how each run ended, how many items were done. Configs whose reports ask for it are
dropped again, until every item has its output.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.drop import deploy_coordinator
from coordinator.cli.verbs.kit import find_worker, write_script
from sandbox.handle import FINAL, Sandbox, run_sandbox

NODES = "4x1:2Gi"
ITEMS = 4
MOST_ROUNDS, LONGEST_S = 10, 900
COMMAND = 'sh -c \'sleep 0.5; cp "$1" "$2"\' x {input} {output_dir}/{name}'


@dataclass(frozen=True)
class Round:
    """What came of the configs that were dropped together."""

    dropped: int
    seconds: float
    most_coordinators: int
    endings: Counter[str]
    message: str
    """Of a run that had no capacity."""
    again: list[int]
    """The configs whose run did not end as done."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.drops", description=__doc__)
    parser.add_argument("--configs", type=int, default=50)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        run_sandbox(Path(folder), ["--nodes", NODES]) as sandbox,
    ):
        prepare(sandbox, arguments.configs)
        again, rounds = list(range(arguments.configs)), 0
        while again and rounds < MOST_ROUNDS:
            rounds += 1
            found = drop(sandbox, rounds, again)
            again = found.again
            outputs = len(list_keys(sandbox, "target-out", "done/"))
            endings = ", ".join(f"{count} {name}" for name, count in found.endings.most_common())
            print(
                f"round {rounds}: {found.dropped} dropped, {found.seconds:.0f} s, "
                f"{found.most_coordinators} coordinators at the same time: {endings}; "
                f"{outputs} of {ITEMS * arguments.configs} outputs"
            )
            if found.message:
                print(f"  {found.message}")
    return int(bool(again))


def prepare(sandbox: Sandbox, configs: int) -> None:
    """The coordinator, a target with the worker, and a folder of items for each config."""
    deploy_coordinator(sandbox)
    worker = find_worker().read_text("utf-8")
    sandbox.deploy(
        {
            "name": "target",
            "image": "i",
            "cpu": "0.2",
            "memory": "128Mi",
            "script": write_script(worker, command=COMMAND, stdin=None, module=None, jobs=1),
            "environment": {"variables": {"OSCAR_BATCH_DATA": "data"}},
            "output": [{"storage_provider": "minio.default", "path": "target-out/done"}],
        }
    )
    minio = sandbox.minio
    minio.make_bucket("data")

    def put(number: int) -> None:
        config, item = divmod(number, ITEMS)
        key = f"input/{config:03}/{config:03}-{item}.dat"
        minio.put_object("data", key, io.BytesIO(b"x"), 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(configs * ITEMS)))


def drop(sandbox: Sandbox, number: int, configs: list[int]) -> Round:
    """Drops these configs at once and waits until all coordinators and workers have ended."""
    known = set(sandbox.list_jobs("oscar-batch"))

    def put(config: int) -> None:
        raw = {
            "bucket": {"name": "data", "folder_prefix": f"input/{config:03}/"},
            "service": {"name": "target"},
            "run": {"poll_s": 5},
        }
        text, key = json.dumps(raw).encode(), f"in/{number}-{config:03}.json"
        sandbox.minio.put_object("oscar-batch", key, io.BytesIO(text), len(text))

    began, since = time.monotonic(), datetime.now(UTC)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(put, configs))
    most = 0
    while time.monotonic() - began < LONGEST_S:
        jobs = {k: v for k, v in sandbox.list_jobs("oscar-batch").items() if k not in known}
        most = max(most, sum(job["status"] == "Running" for job in jobs.values()))
        if len(jobs) == len(configs) and all(job["status"] in FINAL for job in jobs.values()):
            break
        time.sleep(0.5)
    seconds = time.monotonic() - began
    sandbox.wait_until_ended("target", 0, within_s=120)
    # A run that had no room is continued by the next drop, so its report is written again.
    keys = list_keys(sandbox, "oscar-batch", "out/")
    reports = [read_json(sandbox, key) for key in keys if key.endswith("/report.json")]
    found = [each for each in reports if datetime.fromisoformat(each["finished_at"]) >= since]
    full = [each["message"] for each in found if each["ending"] == "no capacity"]
    done = {
        int(each["setting"]["data"].rstrip("/").rpartition("/")[2])
        for each in found
        if each["ending"] == "done"
    }
    endings = Counter(str(each["ending"]) for each in found)
    endings["without a report"] = len(configs) - len(found)
    return Round(
        len(configs),
        seconds,
        most,
        +endings,
        full[0] if full else "",
        [config for config in configs if config not in done],
    )


def list_keys(sandbox: Sandbox, bucket: str, prefix: str) -> list[str]:
    found = sandbox.minio.list_objects(bucket, prefix=prefix, recursive=True)
    return [key for entry in found if not (key := str(entry.object_name)).endswith("/")]


def read_json(sandbox: Sandbox, key: str) -> dict[str, Any]:
    response = sandbox.minio.get_object("oscar-batch", key)
    try:
        return dict(json.loads(response.read()))
    finally:
        response.close()
        response.release_conn()


if __name__ == "__main__":
    sys.exit(main())
