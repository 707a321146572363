# SPDX-License-Identifier: Apache-2.0
"""The coordinator as a service: a config.json lands in its trigger folder, a report comes back."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.handle import CHECKOUT, Sandbox, running
from tests.functional.coordination import RECORDER, content, fill, keys_of, recorded

TARGET = {
    "name": "target",
    "image": "i",
    "script": RECORDER,
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
    with running(tmp_path_factory.mktemp("cluster")) as sandbox:
        assert deploy_coordinator(sandbox) == "oscar-batch: created\n"
        sandbox.deploy(TARGET)
        fill(sandbox, "data", [f"input/{i:02}.jpg" for i in range(30)])
        yield sandbox


def drop(sandbox: Sandbox, name: str, text: bytes) -> dict[str, str]:
    """Drops a config and waits for the coordinator's job; the report of that run."""
    before, jobs = set(keys_of(sandbox, "oscar-batch", "out/")), len(sandbox.jobs("oscar-batch"))
    sandbox.minio.put_object("oscar-batch", f"in/{name}", io.BytesIO(text), len(text))
    sandbox.ended("oscar-batch", jobs + 1)
    new = sorted(set(keys_of(sandbox, "oscar-batch", "out/")) - before)
    assert [Path(key).name for key in new] == ["report.html", "report.json"]
    return dict(json.loads(content(sandbox, "oscar-batch", new[1])))


def test_a_dropped_config_without_credentials_runs_the_target(cluster: Sandbox) -> None:
    config = {"bucket": {"name": "data", "folder_prefix": "input"}, "service": {"name": "target"}}

    report = drop(cluster, "my config (1).json", json.dumps(config).encode())

    assert report["ending"] == "submitted"
    bodies = recorded(cluster, "target", len(report["chunks"]))
    covered = [line for body in bodies for line in range(body["start"], body["end"] + 1)]
    assert covered == list(range(1, 31))


def test_a_bad_config_leaves_a_report_because_oscar_hides_exit_codes(cluster: Sandbox) -> None:
    report = drop(cluster, "bad.json", b'{"bucket": {"nmae": "data"}}')

    assert report["ending"] == "bad config"
    assert "bucket.nmae: is not a known key; did you mean name?" in report["problems"]
    assert all(job["status"] == "Succeeded" for job in cluster.jobs("oscar-batch").values())


def test_a_config_for_another_address_gets_none_of_the_clusters_credentials(
    cluster: Sandbox,
) -> None:
    config = {
        "MinIO": {"url": "http://127.0.0.1:9"},
        "bucket": {"name": "data"},
        "oscar_cluster": {"url": "http://127.0.0.1:9"},
        "service": {"name": "target"},
    }

    report = drop(cluster, "greedy.json", json.dumps(config).encode())

    assert report["ending"] == "bad config"
    assert len([p for p in report["problems"] if "no credentials for http://127.0.0.1:9" in p]) == 2


def test_no_credential_is_in_any_output(cluster: Sandbox) -> None:
    config = {"bucket": {"name": "data", "folder_prefix": "input/"}, "service": {"name": "target"}}
    drop(cluster, "canary.json", json.dumps(config).encode())
    token = cluster.service("target")["token"]
    secrets = [cluster.password, cluster.secret_key, token, cluster.service("oscar-batch")["token"]]

    written = [
        (bucket, key, content(cluster, bucket, key))
        for bucket, prefix in (("data", ".oscar-batch/"), ("oscar-batch", "out/"))
        for key in keys_of(cluster, bucket, prefix)
    ]
    logs = [cluster.log("oscar-batch", job) for job in cluster.jobs("oscar-batch")]
    bodies = recorded(cluster, "target", 1)

    assert len(written) > 3
    for secret in secrets:
        assert [key for _, key, text in written if secret.encode() in text] == []
        assert [log for log in logs if secret in log] == []
        assert secret not in json.dumps(bodies)
