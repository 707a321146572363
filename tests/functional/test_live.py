# SPDX-License-Identifier: Apache-2.0
"""`make test-live`, aimed at the sandbox, so that it works on the day that somebody needs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.catalogue import TURBIDITY_IMAGE as TARGET_IMAGE
from sandbox.handle import CHECKOUT, Sandbox, run_sandbox, wait_until
from tests.functional.coordination import fill

pytestmark = pytest.mark.any_storage

# Somebody else's, with a name that begins like those of the checks.
OTHERS = "oblive-others"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A cluster that holds a service and buckets already."""
    arguments = ["--nodes", "3x2:4Gi", "--image", TARGET_IMAGE]
    with run_sandbox(tmp_path_factory.mktemp("live"), arguments) as found:
        output = {"storage_provider": "minio.default", "path": f"{OTHERS}/out"}
        found.deploy({"name": OTHERS, "image": "i", "script": "true", "output": [output]})
        fill(found, OTHERS, ["out/a.jpg"])
        found.invoke(OTHERS, "{}")
        found.wait_until_ended(OTHERS)
        yield found


def start(box: Sandbox, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "OSCAR_URL": box.url,
        "OSCAR_USERNAME": box.username,
        "OSCAR_PASSWORD": box.password,
        "MINIO_URL": box.s3_url,
        "MINIO_ACCESS_KEY": box.access_key,
        "MINIO_SECRET_KEY": box.secret_key,
        "COORDINATOR_IMAGE": "oscar-batch:0.1.0",
        "TARGET_IMAGE": TARGET_IMAGE.partition("=")[0],
        **environ,
    }
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-m", "tests.live", "--wait", "60", *arguments],
        cwd=CHECKOUT,
        env=environment,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        text=True,
        # A shell's background job ignores Ctrl-C, and so would what is started from it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def observe(box: Sandbox) -> dict[str, object]:
    """Everything that is on the cluster."""
    buckets = [bucket.name for bucket in box.minio.list_buckets()]
    listed = {
        name: [entry.etag for entry in box.minio.list_objects(name, recursive=True)]
        for name in buckets
    }
    services = box.call("GET", "/system/services").json()
    return {"buckets": listed, "services": services, "jobs": box.list_jobs(OTHERS)}


def test_every_row_is_as_expected_and_nothing_else_has_changed(box: Sandbox) -> None:
    before = observe(box)
    process = start(box, "--yes")
    table, notes = process.communicate(timeout=100)
    assert process.returncode == 0, table + notes
    last = table.splitlines()[-1]
    assert last.endswith(" rows, 0 not as expected")
    assert int(last.split()[1]) == len([line for line in table.splitlines() if line[:3] == "ok "])
    for check in ("main job: outputs", "odd keys: outputs", "redeploy", "drop", "no capacity"):
        assert f"ok  {check} " in table
    assert "lacks 4998 CPU" in " ".join(table.split())
    assert observe(box) == before
    assert box.password not in table + notes


def test_what_was_made_is_removed_after_ctrl_c(box: Sandbox) -> None:
    before = observe(box)
    process = start(box, "--yes")
    wait_until(
        lambda: len(box.call("GET", "/system/services").json()) > 1 or None,
        30,
        lambda: "no service is made",
    )
    process.send_signal(signal.SIGINT)
    table, notes = process.communicate(timeout=60)
    assert process.returncode == 130, table + notes
    assert "nothing is left" in table
    assert observe(box) == before


@pytest.mark.parametrize("answer", ["", "n\n", "maybe\n"])
def test_nothing_is_written_without_a_yes(box: Sandbox, answer: str) -> None:
    before = observe(box)
    process = start(box)
    asked, _ = process.communicate(answer, timeout=30)
    assert (process.returncode, "nothing was written" in asked) == (2, True)
    assert box.url in asked
    assert observe(box) == before


def test_variables_that_are_not_set_are_named(box: Sandbox) -> None:
    process = start(box, MINIO_URL="", TARGET_IMAGE="")
    _, notes = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "not set: MINIO_URL, TARGET_IMAGE;" in notes


def test_a_run_of_all_tests_says_where_the_live_checks_are(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/live"]
    ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=60)
    lines = [line for line in ended.stdout.splitlines() if line.startswith("SKIPPED")]
    assert len(lines) == 1
    assert "make test-live" in lines[0]
