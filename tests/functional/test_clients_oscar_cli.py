# SPDX-License-Identifier: Apache-2.0
"""The real oscar-cli: every command on OSCAR 3.7, and how it fails on 4.1.

$OSCAR_CLI names its binary; otherwise it is the one on PATH or what `make oscar-cli` built. Where
there is none its tests are skipped; what it sends to 4.1 is then still checked by hand.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.handle import CHECKOUT, Sandbox, run_sandbox
from tests.functional.coordination import RECORDER, config_for, fill, keys_of, recorded

BUILT = CHECKOUT / "build/bin/oscar-cli"
CLUSTER = "oscar-cluster"
COORDINATOR = "oscar-batch"
PROVIDER = "minio.default"


@dataclass(frozen=True, slots=True)
class Cli:
    """oscar-cli with a configuration file of its own."""

    binary: str
    config: Path

    def __call__(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        command = [self.binary, *words, "--config", str(self.config)]
        return subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=120, cwd=CHECKOUT
        )

    def done(self, *words: str, stdin: str = "") -> str:
        ended = self(*words, stdin=stdin)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    named = os.environ.get("OSCAR_CLI")
    for candidate in [named] if named else ["oscar-cli", str(BUILT)]:
        if found := shutil.which(candidate):
            return Cli(found, tmp_path / "oscar-cli.yaml")
    pytest.skip("there is no oscar-cli here: with Go installed, `make oscar-cli` builds it")


@pytest.fixture(scope="module")
def v37(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with run_sandbox(tmp_path_factory.mktemp("v37"), ["--profile", "v3.7"]) as found:
        yield found


def add_cluster(cli: Cli, sandbox: Sandbox) -> None:
    words = ["cluster", "add", CLUSTER, sandbox.url, sandbox.username, "--password-stdin"]
    cli.done(*words, stdin=sandbox.password)


def test_every_command_from_cluster_add_to_service_delete(
    v37: Sandbox, cli: Cli, name: str, tmp_path: Path
) -> None:
    output = {"storage_provider": PROVIDER, "path": f"{name}-out/seen"}
    v37.deploy({"name": name, "image": "i", "script": RECORDER, "cpu": "2", "output": [output]})
    fill(v37, f"{name}-data", [f"input/{i:02}.jpg" for i in range(9)])
    config = config_for(v37, name, f"{name}-data", output={"file": ""})
    (tmp_path / "config.json").write_text(json.dumps(config))

    add_cluster(cli, v37)
    cli.done("apply", "fdl/coordinator.yaml")
    assert COORDINATOR in cli.done("service", "get", COORDINATOR, "-c", CLUSTER)
    put = ["service", "put-file", COORDINATOR, PROVIDER, str(tmp_path / "config.json")]
    cli.done(*put, f"{COORDINATOR}/in/config.json", "-c", CLUSTER, "--no-progress")
    (job,) = v37.wait_until_ended(COORDINATOR)
    listed = cli.done("service", "logs", "list", COORDINATOR, "-c", CLUSTER)
    assert job in listed
    assert "Succeeded" in listed
    log = cli.done("service", "logs", "get", COORDINATOR, job, "-c", CLUSTER)
    assert "Script file found in" in log
    (key,) = [k for k in keys_of(v37, COORDINATOR, "out/") if k.endswith("report.json")]
    get = ["service", "get-file", COORDINATOR, PROVIDER, f"{COORDINATOR}/{key}"]
    cli.done(*get, str(tmp_path / "report.json"), "-c", CLUSTER, "--no-progress")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["ending"] == "submitted"
    bodies = recorded(v37, name, len(report["chunks"]))
    covered = [line for body in bodies for line in range(body["start"], body["end"] + 1)]
    assert covered == list(range(1, 10))
    cli.done("service", "delete", COORDINATOR, "-c", CLUSTER)
    assert v37.call("GET", f"/system/services/{COORDINATOR}").status_code == 404


def test_it_cannot_create_a_service_on_4_1(sandbox: Sandbox, cli: Cli) -> None:
    add_cluster(cli, sandbox)
    refused = cli("apply", "fdl/coordinator.yaml")
    assert refused.returncode != 0
    assert sandbox.call("GET", f"/system/services/{COORDINATOR}").status_code == 404


@pytest.mark.parametrize(("profile", "status"), [("v3.7", 201), ("v4.1", 400)])
def test_what_it_sends_is_taken_by_3_7_and_refused_by_4_1(
    v37: Sandbox, sandbox: Sandbox, name: str, profile: str, status: int
) -> None:
    """Its types are those of OSCAR 3.3, so every definition of it has one port, a number."""
    definition = {
        "name": name,
        "image": "i",
        "script": "true",
        "owner": "",
        "expose": {
            "min_scale": 0,
            "max_scale": 0,
            "api_port": 0,
            "cpu_threshold": 0,
            "nodePort": 0,
        },
    }
    cluster = v37 if profile == "v3.7" else sandbox
    answer = cluster.call("POST", "/system/services", json=definition)
    cluster.remove(name)
    assert answer.status_code == status, answer.text
    assert ("not valid" in answer.text) == (status == 400)
