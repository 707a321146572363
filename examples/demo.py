# SPDX-License-Identifier: Apache-2.0
"""`make demo`: the main job on a local OSCAR, from the drop of a config.json to the report.

Starts the sandbox, deploys the coordinator and an example's service with the coordinator's own
`deploy`, uploads data, submits the config, which drops it into the trigger bucket, and checks by
listing that every item has its output. The jobs do everything after the drop. The last line says no
more than the report: where that does not know what became of the items, there are only outputs.

`python -m examples.demo checksum` does the same with another example.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from examples.catalogue import EXAMPLES, Example
from sandbox.handle import CHECKOUT, FINAL, Sandbox, run_sandbox, wait_until

BUILD = CHECKOUT / "build" / "demo"
DEADLINE_S = 180.0
BATCH = "oscar-batch"
NODES = "3x2:4Gi"


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of the items."""

    items: int
    outputs: int
    counts: Mapping[str, int] | None
    """Those of the report; None if it confirms nothing."""

    @property
    def good(self) -> bool:
        return self.outputs == self.items and (not self.counts or self.counts["done"] == self.items)

    def __str__(self) -> str:
        if not self.counts:
            return f"{self.items} items, {self.outputs} outputs, none confirmed by the report"
        done, failed = self.counts["done"], self.counts["failed"]
        pending = self.items - done - failed
        more = f", {pending} pending" if pending else ""
        return f"{self.items} items, {done} done, {failed} failed{more}"


@dataclass(frozen=True, slots=True)
class Demo:
    """One example on one sandbox."""

    example: Example
    sandbox: Sandbox
    build: Path

    def run(self, count: int) -> Ending:
        """Everything after the start of the sandbox."""
        self.deploy()
        keys = self.upload(count)
        self.submit()
        self.follow(count)
        counts = self.fetch_report()
        found = self.list_outputs()
        missing = [key for key in keys if self.example.expect(key) not in found]
        if missing:
            self.tell_what_went_wrong(missing)
        return Ending(count, count - len(missing), counts)

    def call(self, *arguments: str) -> None:
        """The coordinator's command line with the sandbox's credentials in the environment."""
        environment = {
            **os.environ,
            "OSCAR_BATCH_OSCAR_URL": self.sandbox.url,
            "OSCAR_BATCH_OSCAR_USERNAME": self.sandbox.username,
            "OSCAR_BATCH_OSCAR_PASSWORD": self.sandbox.password,
        }
        command = [sys.executable, "-m", "coordinator", *arguments]
        subprocess.run(command, cwd=CHECKOUT, env=environment, check=True)

    def deploy(self) -> None:
        """Both services, as `make deploy` does it, with the script that `kit` makes."""
        fdl = self.example.folder / f"{self.example.name}.yaml"
        if self.example.kit:
            definition = yaml.safe_load(fdl.read_text("utf-8"))
            for entry in definition["functions"]["oscar"]:
                for service in entry.values():
                    service["script"] = "script.sh"
            fdl = self.build / fdl.name
            fdl.write_text(yaml.safe_dump(definition), "utf-8")
            self.call("kit", *self.example.kit, "-o", str(self.build / "script.sh"))
        self.call("deploy", str(fdl))
        self.call("deploy", "fdl/coordinator.yaml")

    def upload(self, count: int) -> list[str]:
        """The items, into nested folders below input/ of the data bucket; their keys."""
        if not self.sandbox.minio.bucket_exists(self.example.data):
            self.sandbox.minio.make_bucket(self.example.data)
        folder = self.build / "items"
        items = self.example.make(folder, count)
        keys = [f"{self.example.prefix}{item.relative_to(folder).as_posix()}" for item in items]
        for item, key in zip(items, keys, strict=True):
            self.sandbox.minio.fput_object(self.example.data, key, str(item))
        size = sum(item.stat().st_size for item in items)
        say(f"uploaded {len(items)} items, {size / 1e6:.1f} MB")
        return keys

    def submit(self) -> None:
        """The one thing that a user does. The config has no credentials: the job has its own."""
        config: dict[str, dict[str, Any]] = {
            "bucket": {"name": self.example.data, "folder_prefix": self.example.prefix},
            "service": {"name": self.example.name},
            "run": {"poll_s": 1},  # a run here is over in seconds
        }
        if self.example.verify:
            config["run"]["verify"] = self.example.verify
        path = self.build / "config.json"
        path.write_text(json.dumps(config, indent=2))
        say(f"submitting config.json to {BATCH} …")
        self.call("submit", str(path))

    def follow(self, count: int) -> None:
        """Shows the outputs until the coordinator's job and all jobs of the target have ended."""
        begun, shown = time.monotonic(), ""

        def show_progress() -> bool | None:
            nonlocal shown
            jobs = [job["status"] for job in self.sandbox.list_jobs(self.example.name).values()]
            outputs = len(self.list_outputs())
            line = f"{outputs} of {count} outputs, jobs: {', '.join(jobs) or 'none'}"
            if line != shown:
                say(f"{time.monotonic() - begun:5.1f} s  {line}")
                shown = line
            coordinator = [job["status"] for job in self.sandbox.list_jobs(BATCH).values()]
            return True if coordinator and all(s in FINAL for s in coordinator + jobs) else None

        wait_until(show_progress, DEADLINE_S, lambda: f"the jobs have not ended: {shown}")

    def list_outputs(self) -> set[str]:
        """Bucket and key of every output."""
        bucket, _, rest = self.example.output.partition("/")
        prefix = rest.partition("{")[0]
        found = self.sandbox.minio.list_objects(bucket, prefix=prefix, recursive=True)
        return {f"{bucket}/{entry.object_name}" for entry in found} - {f"{bucket}/{prefix}"}

    def fetch_report(self) -> dict[str, int] | None:
        """The report, from the coordinator's output folder; its counts, if it knows outcomes."""
        for found in self.sandbox.minio.list_objects(BATCH, prefix="out/", recursive=True):
            key = str(found.object_name)
            if not key.endswith("/"):  # the folder's own marker
                self.sandbox.minio.fget_object(BATCH, key, str(self.build / Path(key).name))
        # Runs sort by time: what was written last is the report of this one.
        report = json.loads((self.build / "report.json").read_text("utf-8"))
        return dict(report["counts"]) if report["confirmed"] else None

    def tell_what_went_wrong(self, missing: list[str]) -> None:
        for key in missing:
            print(f"demo: no output for {key!r}", file=sys.stderr)
        for service in (BATCH, self.example.name):
            for job in self.sandbox.list_jobs(service):
                print(f"--- {job}\n{self.sandbox.read_log(service, job)}", file=sys.stderr)


def run_demo(example: Example, build: Path, count: int) -> Ending:
    """The example on a sandbox of its own."""
    shutil.rmtree(build, ignore_errors=True)
    (build / "sandbox").mkdir(parents=True)
    say(f"starting a local OSCAR ({NODES.partition(':')[0]} CPU) …")
    options = ["--nodes", NODES, "--image", example.fill_image(build / "image")]
    with run_sandbox(build / "sandbox", options) as sandbox:
        return Demo(example, sandbox, build).run(count)


def say(text: str) -> None:
    print(f"demo: {text}", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="examples.demo", description="Run an example.")
    parser.add_argument("name", nargs="?", default="grayify", choices=sorted(EXAMPLES))
    parser.add_argument("--count", type=int, help="the number of items")
    arguments = parser.parse_args(argv)
    example = EXAMPLES[arguments.name]
    count = example.count if arguments.count is None else arguments.count
    ending = run_demo(example, BUILD, count)
    print(f"demo: {ending}, report {(BUILD / 'report.html').relative_to(CHECKOUT)}")
    return 0 if ending.good else 1


if __name__ == "__main__":
    sys.exit(main())
