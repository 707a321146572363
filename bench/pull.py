# SPDX-License-Identifier: Apache-2.0
"""`make bench-pull`: pull mode and static ranges on four uneven nodes, beside the lower bound.

A sandbox with nodes of speed 1, 1, 0.5 and 0.25, one slot each, and items of log-normal cost. An
item waits in slices of 5 ms, which a slow node stretches. A make-span is counted from the moment at
which the last worker is ready to the last result; the lower bound is the sum of all costs over the
sum of the speeds. Both modes get the same items, one after the other, and plan with the mean cost.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import re
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from coordinator.cli.verbs.kit import find_worker, write_script
from coordinator.cli.verbs.run import run_config
from coordinator.model.run import Report
from sandbox.handle import Sandbox, run_sandbox

SPEEDS = (1.0, 1.0, 0.5, 0.25)
NODES = "2x1:2Gi,1x1:2Gi:speed=0.5,1x1:2Gi:speed=0.25"
MEAN_S, SIGMA = 0.2, 0.6
PROMISE = 1.10
MARK = "<!-- bench-pull -->"

# An item's cost in milliseconds is in its name. A slice that was stopped counts as one slice.
WAIT = """
import json, sys, time
def wait(key):
    left = int(key.rpartition("-")[2]) / 1000
    while left > 0:
        began = time.monotonic()
        time.sleep(0.005)
        left -= min(time.monotonic() - began, 0.006)
"""
STDIN = (
    WAIT
    + """
for line in sys.stdin:
    wait(json.loads(line)["key"])
    print(json.dumps({"ok": True}), flush=True)
"""
)
RANGE = (
    WAIT
    + """
import os
print("ready", time.time(), flush=True)
work = json.load(open(os.environ["INPUT_FILE_PATH"]))
lines = open("/mnt/" + work["index_bucket"] + "/" + work["index"]).read().splitlines()
for key in lines[work["start"] - 1 : work["end"]]:
    wait(key)
print("finished", time.time(), flush=True)
"""
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.pull", description=__doc__)
    parser.add_argument("--items", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, metavar="FILE", help="the page that gets the table")
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)  # noqa: S311 (a benchmark)
    mean = draw.lognormvariate  # of mean 1 if mu is -sigma^2/2
    costs_s = [MEAN_S * mean(-SIGMA * SIGMA / 2, SIGMA) for _ in range(arguments.items)]
    costs_s = [max(1, round(1000 * cost)) / 1000 for cost in costs_s]
    bound_s = sum(costs_s) / sum(SPEEDS)
    with (
        tempfile.TemporaryDirectory() as folder,
        run_sandbox(Path(folder), ["--nodes", NODES]) as box,
    ):
        put_items(box, costs_s)
        spans = {
            "pull": measure_pull(box, Path(folder)),
            "static": measure_range(box, Path(folder)),
        }
    table = write_table(arguments.items, sum(costs_s), bound_s, spans)
    print(table)
    if arguments.write:
        page = arguments.write.read_text(encoding="utf-8")
        before, _, rest = page.partition(MARK)
        _, _, after = rest.partition(MARK)
        arguments.write.write_text(f"{before}{MARK}\n{table}{MARK}{after}", encoding="utf-8")
    return int(spans["pull"][0] > PROMISE * bound_s)


def put_items(box: Sandbox, costs_s: list[float]) -> None:
    box.minio.make_bucket("data")

    def put(number: int) -> None:
        key = f"input/{number:05}-{round(1000 * costs_s[number])}"
        box.minio.put_object("data", key, io.BytesIO(b"x"), 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(len(costs_s))))


def measure_pull(box: Sandbox, folder: Path) -> tuple[float, int]:
    """The make-span, and the number of chunks."""
    program = f"python3 -c '{STDIN}'"
    worker = find_worker().read_text("utf-8")
    script = write_script(worker, command=None, stdin=program, module=None, jobs=1)
    box.deploy({"name": "pull", "image": "i", "script": script, "cpu": "1", "memory": "256Mi"})
    report = run(box, folder, "pull", run={"poll_s": 5})
    if report.accounts is None or report.accounts.open_chunks:
        raise SystemExit(f"the run did not end well: {report.message}")
    box.wait_until_ended("pull", len(SPEEDS))
    state = f".oscar-batch/{report.run_id}"
    beats = read_all(box, f"{state}/beats/")
    ready = [read_time(beat["since"]) + float(beat["startup_s"]) for beat in beats]
    results = read_all(box, f"{state}/results/")
    return max(read_time(each["finished"]) for each in results) - max(ready), len(results)


def measure_range(box: Sandbox, folder: Path) -> tuple[float, int]:
    """The make-span, and the number of invocations."""
    mount = {"storage_provider": "minio.default", "path": "data"}
    script = f"exec python3 -c '{RANGE}'"
    definition = {"name": "static", "image": "i", "script": script, "mount": mount}
    box.deploy({**definition, "cpu": "1", "memory": "256Mi"})
    report = run(box, folder, "static", plan={"strategy": "balanced"})
    jobs = box.wait_until_ended("static", len(report.outcomes), within_s=600)
    logs = [box.read_log("static", job) for job in jobs]
    times = {
        word: [float(m[1]) for log in logs if (m := re.search(rf"{word} ([0-9.]+)", log))]
        for word in ("ready", "finished")
    }
    if len(times["finished"]) != len(jobs):
        raise SystemExit("\n".join(logs))
    return max(times["finished"]) - max(times["ready"]), len(jobs)


def run(box: Sandbox, folder: Path, service: str, **sections: dict[str, Any]) -> Report:
    """One run of the coordinator, in this process."""
    access = {"url": box.s3_url, "access_key": box.access_key, "secret_key": box.secret_key}
    basic = {"username": box.username, "password": box.password}
    config = {
        "MinIO": access,
        "oscar_cluster": {"url": box.url, "auth_basic": basic},
        "bucket": {"name": "data", "folder_prefix": "input/"},
        "service": {"name": service},
        **sections,
    }
    times = {"headroom": 0, "seconds_per_item": MEAN_S, "startup_s": 1}
    config["plan"] = {**times, **sections.get("plan", {})}
    path = folder / f"{service}.json"
    path.write_text(json.dumps(config))
    return run_config(path, dry_run=False)


def read_all(box: Sandbox, prefix: str) -> list[dict[str, Any]]:
    found = []
    for entry in box.minio.list_objects("data", prefix=prefix, recursive=True):
        answer = box.minio.get_object("data", str(entry.object_name))
        found.append(json.loads(answer.read()))
        answer.close()
        answer.release_conn()
    return found


def read_time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def write_table(
    items: int, work_s: float, bound_s: float, spans: dict[str, tuple[float, int]]
) -> str:
    speeds = ", ".join(f"{speed:g}" for speed in SPEEDS)
    today = time.strftime("%Y-%m-%d")
    rows = [
        f"{today}: {items} items of {work_s:.1f} s in sum, nodes of speed {speeds}.",
        "",
        "| | make-span | / lower bound | chunks |",
        "|---|--:|--:|--:|",
        f"| lower bound | {bound_s:.1f} s | 1 | |",
        *(
            f"| {name} | {span_s:.1f} s | {span_s / bound_s:.3f} | {chunks} |"
            for name, (span_s, chunks) in spans.items()
        ),
    ]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.exit(main())
