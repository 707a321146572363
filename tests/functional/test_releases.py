# SPDX-License-Identifier: Apache-2.0
"""The main job on every release: both services deployed, a config submitted, every output there.

The target is the example turbidity in range mode, so the files are seen through the mount, odd
names included.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from examples.catalogue import TURBIDITY_IMAGE as TARGET_IMAGE
from sandbox.handle import CHECKOUT, Sandbox, run_sandbox
from tests.functional.coordination import keys_of

DATA, OUTPUTS = "observatory", "turbidity-out"
PHOTO = (CHECKOUT / "examples/grayify/originals/chelsea.jpg").read_bytes()
KEYS = [
    "input/plain.jpg",
    "input/2024/01 Winter/cámara 1.JPG",
    'input/it\'s "quoted" #3+4 50%2F.jpg',
    "input/tab\tname.jpg",
    "input/\x01\x1b[31m\x7f.jpg",
    "input/the symbol \u2409.jpg",
    "input/lines \x0b\x0c\x1c\x85\u2028.jpg",
]
UNFIT = "input/new\nline.jpg"
# rclone itself looks for another key when this file is opened.
CLOSED = "input/the mark \u201b.jpg"


def run_command(box: Sandbox, *arguments: str) -> str:
    """The command line of a user who knows OSCAR's address and password; its stdout."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OSCAR_BATCH_")}
    environment |= {
        "OSCAR_BATCH_OSCAR_URL": box.url,
        "OSCAR_BATCH_OSCAR_USERNAME": box.username,
        "OSCAR_BATCH_OSCAR_PASSWORD": box.password,
    }
    command = [sys.executable, "-m", "coordinator", *arguments]
    ended = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=100
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def own_by_user(fdl: str, folder: Path) -> str:
    """The FDL with services of the one user that has a storage secret in the sandbox."""
    path = CHECKOUT / fdl
    content = yaml.safe_load(path.read_text())
    for entry in content["functions"]["oscar"]:
        for definition in entry.values():
            definition |= {"owner": "minio", "script": str(path.parent / definition["script"])}
    target = folder / path.name
    target.write_text(yaml.safe_dump(content))
    return str(target)


@pytest.fixture(params=["v3.5", "v3.7", "v4.1"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """The release with coordinator and target deployed; on v3.5 as a user's services."""
    profile = str(request.param)
    arguments = ["--profile", profile, "--nodes", "3x2:4Gi", "--image", TARGET_IMAGE]
    with run_sandbox(tmp_path, arguments) as box:
        if not box.minio.bucket_exists(DATA):
            box.minio.make_bucket(DATA)
        for fdl in ("fdl/coordinator.yaml", "examples/turbidity/turbidity.yaml"):
            run_command(box, "deploy", own_by_user(fdl, tmp_path) if profile == "v3.5" else fdl)
        yield box


def test_every_item_of_a_submitted_config_gets_its_output(cluster: Sandbox, tmp_path: Path) -> None:
    for key in (*KEYS, UNFIT, CLOSED):
        cluster.minio.put_object(DATA, key, io.BytesIO(PHOTO), len(PHOTO))
    config = {
        "bucket": {"name": DATA, "folder_prefix": "input/"},
        "service": {"name": "turbidity"},
    }
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))

    report = json.loads(run_command(cluster, "submit", str(path), "--json"))

    jobs = cluster.wait_until_ended("turbidity", len(report["chunks"]))
    assert report["ending"] == "submitted"
    assert [skipped["key"] for skipped in report["skipped"]] == [UNFIT]
    assert any(text.startswith("3 of the keys contain control") for text in report["warnings"])
    lines = sum(chunk["end"] - chunk["start"] + 1 for chunk in report["chunks"])
    assert (report["counts"]["listed"], lines) == (len(KEYS) + 2, len(KEYS) + 1)
    outputs = keys_of(cluster, OUTPUTS, "values/")
    assert sorted(outputs) == sorted(f"values/{key}.json" for key in KEYS)
    logs = [cluster.read_log("turbidity", job) for job in jobs]
    assert sum(f"{CLOSED}: ValueError: the mount cannot open" in log for log in logs) == 1
