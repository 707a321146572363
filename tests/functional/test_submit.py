# SPDX-License-Identifier: Apache-2.0
"""`submit`: a config that is dropped until its run begins, and begins once however often it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.handle import Sandbox, run_sandbox, wait_until
from tests.functional.coordination import RECORDER, fill, keys_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A cluster with the coordinator as its service, and a target."""
    with run_sandbox(tmp_path_factory.mktemp("submit"), ["--chaos"]) as found:
        deployed = run(found, tmp_path_factory.mktemp("deploy"), "deploy", "fdl/coordinator.yaml")
        assert deployed.returncode == 0, deployed.stderr
        output = {"storage_provider": "minio.default", "path": "target-out/seen"}
        definition = {"name": "target", "image": "i", "script": RECORDER, "output": [output]}
        environment = {"variables": {"OSCAR_BATCH_DATA": "photos"}}
        found.deploy({**definition, "environment": environment})
        fill(found, "photos", [f"input/{number}.jpg" for number in range(20)])
        yield found


def run(
    box: Sandbox, folder: Path, *arguments: str, **config: Any
) -> subprocess.CompletedProcess[str]:
    """The command line on a user's machine, who knows OSCAR's address and password only."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OSCAR_BATCH_")}
    environment |= {
        "OSCAR_BATCH_OSCAR_URL": box.url,
        "OSCAR_BATCH_OSCAR_USERNAME": box.username,
        "OSCAR_BATCH_OSCAR_PASSWORD": box.password,
    }
    words = list(arguments)
    if config:
        path = folder / "config.json"
        path.write_text(json.dumps(config))
        words.append(str(path))
    command = [sys.executable, "-m", "coordinator", *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )


CONFIG: dict[str, Any] = {
    "bucket": {"name": "photos", "folder_prefix": "input/"},
    "service": {"name": "target", "mode": "range"},
}


def reports(box: Sandbox) -> list[str]:
    return [key for key in keys_of(box, "oscar-batch", "out/") if key.endswith("/report.json")]


def test_a_config_is_submitted_and_followed_to_its_report(box: Sandbox, tmp_path: Path) -> None:
    ended = run(box, tmp_path, "submit", **CONFIG)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("submitted: 20 items submitted, none confirmed: ")
    for step in ("dropped oscar-batch/in/", "has begun", "planned: 20 items in "):
        assert step in ended.stderr
    # OSCAR uploads the report a moment later.
    (start,) = [key for key in keys_of(box, "photos", ".oscar-batch/") if "start.json" in key]
    run_id = start.split("/")[1]
    wait_until(lambda: reports(box) or None, 20, lambda: "no report")
    assert any(run_id in key for key in reports(box))


def test_a_drop_whose_event_is_lost_is_dropped_again(box: Sandbox, tmp_path: Path) -> None:
    """The storage posts the event once, and that POST is refused."""
    box.fail("POST", "/job/oscar-batch", status=503)
    ended = run(box, tmp_path, "submit", "--no-follow", "--patience", "5", **CONFIG)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("dropped oscar-batch/in/") >= 2
    assert "has not begun within 5 s" in ended.stderr
    box.wait_until_ended("oscar-batch")


def test_the_same_run_dropped_twice_runs_once(box: Sandbox, tmp_path: Path) -> None:
    before = len(box.list_jobs("target"))
    run_id = "20261124t101500z-abcdef"
    config = {**CONFIG, "run": {"id": run_id}, "plan": {"max_parallel": 2}}
    threads = [
        threading.Thread(target=run, args=(box, folder, "submit", "--no-follow"), kwargs=config)
        for folder in (tmp_path / "1", tmp_path / "2")
    ]
    for folder, thread in zip((tmp_path / "1", tmp_path / "2"), threads, strict=True):
        folder.mkdir()
        thread.start()
    for thread in threads:
        thread.join()
    box.wait_until_ended("oscar-batch")
    box.wait_until_ended("target")
    assert len(box.list_jobs("target")) - before == 2
    logs = [box.read_log("oscar-batch", job) for job in box.list_jobs("oscar-batch")]
    # The second coordinator comes while the first one works, or after its end.
    said = (f"run {run_id} is at work", f"run {run_id} has ended, and this drop changes nothing")
    assert sum(any(each in log for each in said) for log in logs) == 1
    report = json.loads(box.minio.get_object("photos", f".oscar-batch/{run_id}/report.json").read())
    assert (report["run"], report["ending"]) == (run_id, "submitted")


def test_a_drop_beside_a_run_at_work_says_so_and_starts_nothing(
    box: Sandbox, tmp_path: Path
) -> None:
    """The coordinator that finds the run at work leaves a report under an id of its own."""
    script = tmp_path / "script.sh"
    made = run(box, tmp_path, "kit", "--command", "sleep 30", "-o", str(script))
    assert made.returncode == 0, made.stderr
    mount = {"storage_provider": "minio.default", "path": "/photos"}
    box.deploy({"name": "slow", "image": "i", "script": script.read_text(), "mount": mount})
    config = {
        **CONFIG,
        "service": {"name": "slow"},
        "run": {"poll_s": 1},
        "plan": {"max_parallel": 1},
    }
    first = run(box, tmp_path, "submit", "--no-follow", **config)
    assert first.returncode == 0, first.stderr
    second = run(box, tmp_path, "submit", **config)
    assert second.returncode == 5, second.stderr
    assert f"run {first.stdout.strip()} is at work" in second.stdout
    assert second.stderr.count("dropped oscar-batch/in/") == 1
    starts = [key for key in keys_of(box, "photos", ".oscar-batch/") if key.endswith("/start.json")]
    abouts = [json.loads(box.minio.get_object("photos", key).read()) for key in starts]
    assert [each["service"] for each in abouts].count("slow") == 1
    box.remove("slow")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"bucket": {"name": "photos"}}, "service.name: is missing"),
        ({**CONFIG, "run": {"id": "../x"}}, "run.id: must be an id"),
        ({**CONFIG, "run": 3}, "run: must be an object"),
        ({**CONFIG, "serivce": {}}, "did you mean service?"),
    ],
)
def test_a_bad_config_is_refused_before_anything_is_dropped(
    box: Sandbox, tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    before = keys_of(box, "oscar-batch", "in/")
    ended = run(box, tmp_path, "submit", **config)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert keys_of(box, "oscar-batch", "in/") == before


def test_a_run_that_never_begins_is_said_with_what_to_look_at(box: Sandbox, tmp_path: Path) -> None:
    entry = {"storage_provider": "minio.default", "path": "idle/in"}
    box.deploy({"name": "idle", "image": "i", "script": "true", "input": [entry]})
    ended = run(box, tmp_path, "submit", "--service", "idle", "--patience", "1", **CONFIG)
    box.remove("idle")
    assert ended.returncode == 3
    assert "has not begun after 5 drops" in ended.stderr
    assert box.password not in ended.stderr


def test_a_service_without_a_trigger_folder_is_not_the_coordinator(
    box: Sandbox, tmp_path: Path
) -> None:
    ended = run(box, tmp_path, "submit", "--service", "target", **CONFIG)
    assert (ended.returncode, "has no input folder" in ended.stderr) == (2, True)
