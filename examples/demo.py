# SPDX-License-Identifier: Apache-2.0
"""`make demo`: the main job on a local OSCAR, from the drop of a config.json to the report.

Starts the sandbox, deploys the coordinator and the target service grayify with the coordinator's
own `deploy`, uploads photographs, submits the config, which drops it into the trigger bucket, and
checks by listing that every photograph has its thumbnail. The jobs do everything after the drop.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from examples.photos import make_photos
from sandbox.handle import FINAL, Sandbox, run_sandbox, wait_until

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "demo"
PHOTOS = 120
DEADLINE_S = 180.0
DATA, OUTPUT, BATCH = "observatory", "grayify-out", "oscar-batch"
GRAYIFY_IMAGE = f"oscar-batch/grayify:0.1.0={ROOT / 'examples' / 'grayify'}:/opt/grayify"


def main() -> int:
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    say("starting a local OSCAR (3 nodes of 2 CPU, 4 GiB) …")
    (BUILD / "sandbox").mkdir()
    with run_sandbox(
        BUILD / "sandbox", ["--nodes", "3x2:4Gi", "--image", GRAYIFY_IMAGE]
    ) as sandbox:
        for fdl in ("examples/grayify/grayify.yaml", "fdl/coordinator.yaml"):
            deploy(sandbox, fdl)
        keys = upload(sandbox)
        submit_config(sandbox)
        follow(sandbox)
        fetch_report(sandbox)
        missing = [key for key in keys if f"thumbs/{key}.gray.jpg" not in outputs(sandbox)]
        if missing:
            tell_what_went_wrong(sandbox, missing)
    done, report = len(keys) - len(missing), (BUILD / "report.html").relative_to(ROOT)
    print(f"demo: {len(keys)} items, {done} done, {len(missing)} failed, report {report}")
    return 1 if missing else 0


def deploy(sandbox: Sandbox, fdl: str) -> None:
    """One service, as `make deploy` does it."""
    run_command(sandbox, "deploy", fdl)


def run_command(sandbox: Sandbox, *arguments: str) -> None:
    """The coordinator's command line with the sandbox's credentials in the environment."""
    environment = {
        **os.environ,
        "OSCAR_BATCH_OSCAR_URL": sandbox.url,
        "OSCAR_BATCH_OSCAR_USERNAME": sandbox.username,
        "OSCAR_BATCH_OSCAR_PASSWORD": sandbox.password,
    }
    command = [sys.executable, "-m", "coordinator", *arguments]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def upload(sandbox: Sandbox) -> list[str]:
    """Photographs, into nested folders below observatory/input/; their keys."""
    folder = BUILD / "photos"
    photos = make_photos(folder, PHOTOS)
    keys = [f"input/{photo.relative_to(folder).as_posix()}" for photo in photos]
    for photo, key in zip(photos, keys, strict=True):
        sandbox.minio.fput_object(DATA, key, str(photo), content_type="image/jpeg")
    size = sum(photo.stat().st_size for photo in photos)
    say(f"uploaded {len(photos)} photographs, {size / 1e6:.1f} MB")
    return keys


def submit_config(sandbox: Sandbox) -> None:
    """The one thing that a user does. The config needs no credentials: the job has its own."""
    config = {
        "bucket": {"name": DATA, "folder_prefix": "input/"},
        "service": {"name": "grayify"},
    }
    path = BUILD / "config.json"
    path.write_text(json.dumps(config, indent=2))
    say(f"submitting config.json to {BATCH} …")
    run_command(sandbox, "submit", str(path))


def follow(sandbox: Sandbox) -> None:
    """Shows the thumbnails until the coordinator's job and all jobs of the target have ended."""
    begun, shown = time.monotonic(), ""

    def ended() -> bool | None:
        nonlocal shown
        jobs = [job["status"] for job in sandbox.list_jobs("grayify").values()]
        line = f"{len(outputs(sandbox))} of {PHOTOS} thumbnails, jobs: {', '.join(jobs) or 'none'}"
        if line != shown:
            say(f"{time.monotonic() - begun:5.1f} s  {line}")
            shown = line
        coordinator = [job["status"] for job in sandbox.list_jobs("oscar-batch").values()]
        return True if coordinator and all(s in FINAL for s in coordinator + jobs) else None

    wait_until(ended, DEADLINE_S, lambda: f"the jobs have not ended: {shown}")


def fetch_report(sandbox: Sandbox) -> None:
    """The report, from the coordinator's output folder to build/demo/."""
    for found in sandbox.minio.list_objects(BATCH, prefix="out/", recursive=True):
        key = str(found.object_name)
        if not key.endswith("/"):  # the folder's own marker
            sandbox.minio.fget_object(BATCH, key, str(BUILD / Path(key).name))


def outputs(sandbox: Sandbox) -> set[str]:
    found = sandbox.minio.list_objects(OUTPUT, prefix="thumbs/", recursive=True)
    return {str(entry.object_name) for entry in found} - {"thumbs/"}


def tell_what_went_wrong(sandbox: Sandbox, missing: list[str]) -> None:
    for key in missing:
        print(f"demo: no output for {key!r}", file=sys.stderr)
    for service in ("oscar-batch", "grayify"):
        for job in sandbox.list_jobs(service):
            print(f"--- {job}\n{sandbox.read_log(service, job)}", file=sys.stderr)


def say(text: str) -> None:
    print(f"demo: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
