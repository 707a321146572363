# SPDX-License-Identifier: Apache-2.0
"""`deploy` on the releases between which services do not survive an upgrade."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sandbox.handle import CHECKOUT, Sandbox
from tests.functional.conftest import Release
from tests.functional.coordination import fill

pytestmark = pytest.mark.any_storage

Place = tuple[Sandbox, str]


@pytest.fixture(params=["v3.7", "v4.1"])
def place(request: pytest.FixtureRequest, release: Release, name: str) -> Iterator[Place]:
    """A release, and the name of a service that is removed after the test."""
    box = release(str(request.param))
    yield box, name
    box.remove(name)


def deploy(place: Place, folder: Path, **keys: object) -> list[str]:
    """`oscar-batch deploy` of one service; the lines that it printed."""
    box, name = place
    (folder / "script.sh").write_text("echo hi\n")
    definition = {"name": name, "image": "i", "script": "script.sh", **keys}
    path = folder / "target.yaml"
    path.write_text(yaml.safe_dump({"functions": {"oscar": [{"cluster": definition}]}}))
    environment = {
        **os.environ,
        "OSCAR_BATCH_OSCAR_URL": box.url,
        "OSCAR_BATCH_OSCAR_USERNAME": box.username,
        "OSCAR_BATCH_OSCAR_PASSWORD": box.password,
    }
    command = [sys.executable, "-m", "coordinator", "deploy", str(path)]
    ended = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


@pytest.mark.parametrize("port", [8080, [8080]])
def test_each_release_gets_ports_in_its_form(place: Place, tmp_path: Path, port: object) -> None:
    lines = deploy(place, tmp_path, expose={"api_port": port, "nodePort": 0})
    box, name = place
    lists = "4.1" in box.call("GET", "/system/info").json()["version"]
    assert lines[0] == f"{name}: created"
    assert any("cannot read services that this release stores" in line for line in lines) != lists
    assert box.read_service(name)["expose"]["api_port"] == ([8080] if lists else 8080)


def test_an_update_after_which_drops_start_nothing_is_said(place: Place, tmp_path: Path) -> None:
    box, name = place
    folder = {"storage_provider": "minio.default", "path": f"{name}/in"}
    deploy(place, tmp_path, input=[folder])
    lines = deploy(place, tmp_path, input=[folder])
    told = any("uploads no longer start it" in line for line in lines)
    fill(box, name, ["in/a.jpg"])
    try:
        box.wait_until_ended(name, within_s=2)
        started = True
    except TimeoutError:
        started = False
    assert (lines[0], told) == (f"{name}: updated", not started)
