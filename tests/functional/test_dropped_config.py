# SPDX-License-Identifier: Apache-2.0
"""The coordinator as a service: a config.json lands in its trigger folder, a report comes back."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from sandbox.handle import CHECKOUT, Sandbox, run_sandbox
from tests.functional.coordination import RECORDER, config_for, content, fill, keys_of, recorded

TARGET = {
    "name": "target",
    "cpu": "2",
    "image": "i",
    "script": RECORDER,
    "environment": {"variables": {"OSCAR_BATCH_DATA": "data, third"}},
    "output": [{"storage_provider": "minio.default", "path": "target-out/seen"}],
}


def deploy_coordinator(sandbox: Sandbox) -> str:
    """`oscar-batch deploy fdl/coordinator.yaml`, as `make deploy` runs it; what it printed."""
    environment = {
        **os.environ,
        "OSCAR_BATCH_OSCAR_URL": sandbox.url,
        "OSCAR_BATCH_OSCAR_USERNAME": sandbox.username,
        "OSCAR_BATCH_OSCAR_PASSWORD": sandbox.password,
    }
    command = [sys.executable, "-m", "coordinator", "deploy", "fdl/coordinator.yaml"]
    return subprocess.run(
        command, cwd=CHECKOUT, env=environment, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox of its own, with the coordinator deployed and 30 items in a bucket."""
    with run_sandbox(tmp_path_factory.mktemp("cluster")) as sandbox:
        assert deploy_coordinator(sandbox) == "oscar-batch: created\n"
        sandbox.deploy(TARGET)
        fill(sandbox, "data", [f"input/{i:02}.jpg" for i in range(30)])
        yield sandbox


@pytest.fixture
def seen_arguments() -> Iterator[set[str]]:
    """The command lines of all processes of this machine, gathered while a test runs."""
    found: set[str] = set()
    stop = Event()

    def watch() -> None:
        while not stop.wait(0.01):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):  # the process has just ended
                    found.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    watcher = Thread(target=watch)
    watcher.start()
    yield found
    stop.set()
    watcher.join()


def drop(sandbox: Sandbox, name: str, text: bytes) -> dict[str, str]:
    """Drops a config and waits for the coordinator's job; the report of that run."""
    before, jobs = (
        set(keys_of(sandbox, "oscar-batch", "out/")),
        len(sandbox.list_jobs("oscar-batch")),
    )
    sandbox.minio.put_object("oscar-batch", f"in/{name}", io.BytesIO(text), len(text))
    sandbox.wait_until_ended("oscar-batch", jobs + 1)
    new = sorted(set(keys_of(sandbox, "oscar-batch", "out/")) - before)
    assert [Path(key).name for key in new] == ["report.html", "report.json"]
    return dict(json.loads(content(sandbox, "oscar-batch", new[1])))


def test_a_dropped_config_without_credentials_runs_the_target(cluster: Sandbox) -> None:
    config = {
        "bucket": {"name": "data", "folder_prefix": "input"},
        "service": {"name": "target", "mode": "range"},
    }

    report = drop(cluster, "my config (1).json", json.dumps(config).encode())

    assert report["ending"] == "submitted"
    bodies = recorded(cluster, "target", len(report["chunks"]))
    covered = [line for body in bodies for line in range(body["start"], body["end"] + 1)]
    assert covered == list(range(1, 31))


def test_a_bad_config_leaves_a_report_because_oscar_hides_exit_codes(cluster: Sandbox) -> None:
    report = drop(cluster, "bad.json", b'{"bucket": {"nmae": "data"}}')

    assert report["ending"] == "bad config"
    assert "bucket.nmae: is not a known key; did you mean name?" in report["problems"]
    assert all(job["status"] == "Succeeded" for job in cluster.list_jobs("oscar-batch").values())


def test_a_config_for_another_address_gets_none_of_the_clusters_credentials(
    cluster: Sandbox,
) -> None:
    config = {
        "MinIO": {"url": "http://127.0.0.1:9"},
        "bucket": {"name": "data"},
        "oscar_cluster": {"url": "http://127.0.0.1:9"},
        "service": {"name": "target", "mode": "range"},
    }

    report = drop(cluster, "greedy.json", json.dumps(config).encode())

    assert report["ending"] == "bad config"
    assert len([p for p in report["problems"] if "no credentials for http://127.0.0.1:9" in p]) == 2


def test_a_dropped_config_reads_no_bucket_that_is_not_the_targets(cluster: Sandbox) -> None:
    cluster.minio.make_bucket("private")
    cluster.minio.put_object("private", "secrets.txt", io.BytesIO(b"canary-content\n"), 15)
    config = {
        "bucket": {"name": "private", "manifest": "secrets.txt"},
        "state": {"bucket": "data"},
        "service": {"name": "target", "mode": "range"},
    }
    before = keys_of(cluster, "data")

    report = drop(cluster, "thief.json", json.dumps(config).encode())

    assert report["ending"] == "bad config"
    assert report["message"].startswith("bucket.name: private is no bucket of service target")
    assert keys_of(cluster, "data") == before


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"service": {"name": "oscar-batch"}}, "oscar-batch is a coordinator"),
        (
            {"state": {"bucket": "oscar-batch", "prefix": "in\\state/"}},
            "oscar-batch/in/ is an input folder of this coordinator",
        ),
        (
            {
                "bucket": {"name": "third", "folder_prefix": "in"},
                "output": {"file": "sub\\index.txt"},
            },
            "third/in/sub/ is an input folder of service third",
        ),
    ],
    ids=["itself as target", "its own input", "another service"],
)
def test_no_config_starts_jobs_without_end(
    cluster: Sandbox, sections: dict[str, object], said: str
) -> None:
    folder = {"storage_provider": "minio.default", "path": "third/in/sub"}
    third = {"name": "third", "image": "i", "script": "true", "input": [folder]}
    config = {
        "bucket": {"name": "data", "folder_prefix": "input"},
        "service": {"name": "target", "mode": "range"},
        **sections,
    }
    cluster.deploy(third)
    try:
        jobs = len(cluster.list_jobs("oscar-batch"))
        report = drop(cluster, "endless.json", json.dumps(config).encode())
        assert (report["ending"], said in report["message"]) == ("bad config", True)
        assert cluster.list_jobs("third") == {}
        assert len(cluster.list_jobs("oscar-batch")) == jobs + 1
    finally:
        cluster.remove("third")


def test_no_credential_is_in_any_output(cluster: Sandbox, seen_arguments: set[str]) -> None:
    bare = {
        "bucket": {"name": "data", "folder_prefix": "input/"},
        "service": {"name": "target", "mode": "range"},
    }
    given = config_for(cluster, "target", "data", output={"file": ""})
    for name, config in (("bare.json", bare), ("given.json", given)):
        assert drop(cluster, name, json.dumps(config).encode())["ending"] == "submitted"
    tokens = [cluster.read_service(name)["token"] for name in ("target", "oscar-batch")]

    written = {
        f"{bucket}/{key}": content(cluster, bucket, key).decode()
        for bucket, prefix in (("data", ".oscar-batch/"), ("oscar-batch", "out/"))
        for key in keys_of(cluster, bucket, prefix)
    }
    for service in ("oscar-batch", "target"):
        written |= {job: cluster.read_log(service, job) for job in cluster.list_jobs(service)}
    written |= {str(body["run"]): json.dumps(body) for body in recorded(cluster, "target", 1)}
    written |= {f"process {arguments}": arguments for arguments in seen_arguments}

    assert any("oscar-batch run" in arguments for arguments in seen_arguments)
    for secret in (cluster.password, cluster.secret_key, *tokens):
        assert [name for name, text in written.items() if secret in text] == []
