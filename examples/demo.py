# SPDX-License-Identifier: Apache-2.0
"""`make demo`: the main job on a local OSCAR, from the drop of a config.json to the report.

Starts the sandbox, deploys the coordinator and the target service grayify with the coordinator's
own `deploy`, uploads photographs, drops the config into the trigger bucket, waits, and checks by
listing that every photograph has its thumbnail. Everything after the drop is done by the jobs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from minio import Minio

from examples.photos import make_photos

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "demo"
PHOTOS = 120
DEADLINE_S = 180.0
DATA_BUCKET, OUTPUT_BUCKET, BATCH_BUCKET = "observatory", "grayify-out", "oscar-batch"


class DemoFailed(Exception):
    """The story did not end as it must."""


def main() -> int:
    try:
        with sandbox() as ready:
            story = Demo(ready)
            story.deploy()
            story.upload(make_photos(BUILD / "photos", PHOTOS))
            story.drop_config()
            story.wait_for_outputs()
            done = story.check_outputs()
            story.fetch_report()
    except DemoFailed as failure:
        print(f"demo: failed: {failure}", file=sys.stderr)
        return 1
    report = (BUILD / "report.html").relative_to(ROOT)
    print(f"demo: {PHOTOS} items, {done} done, {PHOTOS - done} failed, report {report}")
    return 0 if done == PHOTOS else 1


@contextmanager
def sandbox() -> Iterator[dict[str, Any]]:
    """A local OSCAR of three nodes for the time of the block."""
    say("starting a local OSCAR (3 nodes of 2 CPU, 4 GiB) …")
    subprocess.run(["rm", "-rf", str(BUILD)], check=True)
    BUILD.mkdir(parents=True)
    ready, log = BUILD / "sandbox.json", (BUILD / "sandbox.log").open("wb")
    image = f"oscar-batch/grayify:0.1.0={ROOT / 'examples' / 'grayify'}:/opt/grayify"
    command = [sys.executable, "-m", "sandbox", "up", "--ready-file", str(ready), "--port", "0"]
    command += ["--state", str(BUILD / "state"), "--nodes", "3x2:4Gi", "--image", image]
    process = subprocess.Popen(command, cwd=ROOT, stderr=log, stdout=log)
    try:
        for _ in range(600):
            if ready.exists() or process.poll() is not None:
                break
            time.sleep(0.05)
        if not ready.exists():
            raise DemoFailed(f"the sandbox did not start:\n{(BUILD / 'sandbox.log').read_text()}")
        yield json.loads(ready.read_text())
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.close()
        ready.unlink(missing_ok=True)


class Demo:
    """The steps of the story, seen from a user's laptop."""

    def __init__(self, ready: dict[str, Any]) -> None:
        self.oscar, self.s3 = ready["oscar"], ready["s3"]
        self.minio = Minio(
            self.s3["url"].partition("://")[2],
            access_key=self.s3["access_key"],
            secret_key=self.s3["secret_key"],
            secure=False,
        )
        self.keys: list[str] = []
        self.dropped = 0.0

    def deploy(self) -> None:
        """Both services, as `make deploy` does it."""
        environment = {
            **os.environ,
            "OSCAR_BATCH_OSCAR_URL": self.oscar["url"],
            "OSCAR_BATCH_OSCAR_USERNAME": self.oscar["username"],
            "OSCAR_BATCH_OSCAR_PASSWORD": self.oscar["password"],
        }
        for fdl in ("examples/grayify/grayify.yaml", "fdl/coordinator.yaml"):
            command = [sys.executable, "-m", "coordinator", "deploy", fdl]
            answer = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
            )
            if answer.returncode:
                raise DemoFailed(f"{fdl} was not deployed: {answer.stderr}")
            say(f"deployed {answer.stdout.strip()}")

    def upload(self, photos: list[Path]) -> None:
        """The photographs, into nested folders below observatory/input/."""
        for photo in photos:
            key = f"input/{photo.relative_to(BUILD / 'photos').as_posix()}"
            self.minio.fput_object(DATA_BUCKET, key, str(photo), content_type="image/jpeg")
            self.keys.append(key)
        size = sum(photo.stat().st_size for photo in photos)
        say(f"uploaded {len(photos)} photographs, {size / 1e6:.1f} MB")

    def drop_config(self) -> None:
        """The one thing a user does. Credentials are the coordinator's own."""
        config = {
            "bucket": {"name": DATA_BUCKET, "folder_prefix": "input/"},
            "service": {"name": "grayify"},
        }
        path = BUILD / "config.json"
        path.write_text(json.dumps(config, indent=2))
        self.minio.fput_object(BATCH_BUCKET, "in/config.json", str(path))
        self.dropped = time.monotonic()
        say(f"dropped config.json into {BATCH_BUCKET}/in/")

    def wait_for_outputs(self) -> None:
        """Until every photograph has its thumbnail and no job of the target is left."""
        shown = ""
        while time.monotonic() < self.dropped + DEADLINE_S:
            states = [job["status"] for job in self.jobs("grayify").values()]
            done = len(self.outputs())
            line = f"{done} of {PHOTOS} thumbnails, grayify jobs: {', '.join(states) or 'none'}"
            if line != shown:
                say(f"{time.monotonic() - self.dropped:5.1f} s  {line}")
                shown = line
            ended = states and all(state in {"Succeeded", "Failed"} for state in states)
            if ended or (not states and self.report_key()):
                return
            time.sleep(0.25)
        raise DemoFailed(f"not done after {DEADLINE_S:.0f} s; {self.logs()}")

    def check_outputs(self) -> int:
        """How many photographs have their thumbnail; names those that lack it."""
        outputs = self.outputs()
        missing = [key for key in self.keys if f"thumbs/{key}.gray.jpg" not in outputs]
        for key in missing:
            print(f"demo: no output for {key!r}", file=sys.stderr)
        if missing:
            print(self.logs(), file=sys.stderr)
        return len(self.keys) - len(missing)

    def fetch_report(self) -> None:
        """The report, from the coordinator's output folder to build/demo/."""
        key = self.report_key()
        if key is None:
            raise DemoFailed(f"there is no report in {BATCH_BUCKET}/out/; {self.logs()}")
        for suffix in (".html", ".json"):
            name = key.removesuffix(".json") + suffix
            self.minio.fget_object(BATCH_BUCKET, name, str(BUILD / f"report{suffix}"))

    def report_key(self) -> str | None:
        """The key of the one report in the output folder, once it is there."""
        found = self.minio.list_objects(BATCH_BUCKET, prefix="out/", recursive=True)
        keys = [str(entry.object_name) for entry in found]
        return next((key for key in keys if key.endswith("report.json")), None)

    def outputs(self) -> set[str]:
        found = self.minio.list_objects(OUTPUT_BUCKET, prefix="thumbs/", recursive=True)
        keys = {str(entry.object_name) for entry in found}
        return {key for key in keys if not key.endswith("/")}  # the folder marker

    def jobs(self, service: str) -> dict[str, Any]:
        jobs: dict[str, Any] = self.ask(f"/system/logs/{service}").json()["jobs"] or {}
        return jobs

    def logs(self) -> str:
        """What the jobs said, for a story that went wrong."""
        said = []
        for service in ("oscar-batch", "grayify"):
            for job in self.jobs(service):
                log = self.ask(f"/system/logs/{service}/{job}").text
                said.append(f"--- {job}\n{log}")
        return "\n".join(said)

    def ask(self, path: str) -> requests.Response:
        account = (self.oscar["username"], self.oscar["password"])
        return requests.get(self.oscar["url"] + path, auth=account, timeout=30)


def say(text: str) -> None:
    print(f"demo: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
