# SPDX-License-Identifier: Apache-2.0
"""A run that is interrupted, looked at, cancelled from another process, and redriven."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from coordinator.config.credentials import Platform
from coordinator.config.load import load_config
from coordinator.drive.runs.removing import remove_run
from coordinator.run.layout import RunLayout
from coordinator.storage.bucket import Bucket
from sandbox.handle import Sandbox, wait_until
from tests.functional.conftest import Deploy
from tests.functional.coordination import config_for, content, coordinate, fill, keys_of
from tests.functional.test_pull import COPY, kit
from tests.functional.test_signals import start

ITEMS = 40


def test_a_run_is_interrupted_looked_at_cancelled_and_redriven(
    sandbox: Sandbox, deploy: Deploy, name: str, tmp_path: Path
) -> None:
    data = f"{name}-data"
    keys = [f"input/{number:03}.txt" for number in range(ITEMS)]
    fill(sandbox, data, keys)
    output = {"storage_provider": "minio.default", "path": f"{name}-out/results"}
    deploy(kit(f"sh -c 'sleep 0.7; {COPY}'"), cpu="2", memory="512Mi", output=[output])
    config = config_for(
        sandbox, name, data, run={"poll_s": 1}, service={"mode": "auto"}, output={"file": ""}
    )

    def list_results() -> list[str]:
        return [key for key in keys_of(sandbox, data, ".oscar-batch/") if "/results/" in key]

    process = start(config, tmp_path)
    wait_until(lambda: list_results() or None, 60, lambda: (tmp_path / "log").read_text())
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130, (tmp_path / "log").read_text()

    (run,) = list_runs(config, tmp_path)
    assert (run["state"], run["service"]) == ("left", name)
    status = show_status(config, tmp_path)
    assert (status["run"], status["state"], status["left"]) == (run["run"], "left", True)
    assert status["counts"]["listed"] == ITEMS
    assert 0 < status["counts"]["done"] < ITEMS
    refused = coordinate("clean", config, tmp_path, run["run"], "--yes")
    assert refused.code == 2
    assert "it has not ended" in refused.stderr

    cancelled = coordinate("cancel", config, tmp_path, run["run"])
    assert cancelled.code == 0, cancelled.stderr
    assert "stopped" in cancelled.stdout
    again = coordinate("cancel", config, tmp_path, run["run"])
    assert (again.code, "has ended: stopped" in again.stdout) == (0, True)
    jobs = len(sandbox.list_jobs(name))
    status = show_status(config, tmp_path)
    counts = status["counts"]
    assert (status["state"], status["ending"]) == ("ended", "stopped")
    assert counts["done"] + counts["failed"] + counts["pending"] == ITEMS
    assert counts["pending"] > 0
    folder = f".oscar-batch/{run['run']}/"
    done = content(sandbox, data, f"{folder}done.txt").decode().splitlines()
    outputs = [key.replace("results/", "input/", 1) for key in keys_of(sandbox, f"{name}-out")]
    assert sorted(done) == sorted(outputs), "every output is accounted for, and nothing else"
    assert len(sandbox.list_jobs(name)) <= jobs, "nothing was started by the cancel"

    redrive = {**config, "run": {"poll_s": 1, "redrive": True, "id": run["run"]}}
    ran = coordinate("run", redrive, tmp_path / "redrive")
    assert ran.code == 0, ran.stderr
    assert ran.report["counts"]["done"] == counts["pending"]
    assert len(keys_of(sandbox, f"{name}-out")) == ITEMS
    followed = coordinate("status", config, tmp_path, ran.report["run"], "--follow")
    assert (followed.code, "ended: done" in followed.stdout) == (0, True)
    # What clean does once nobody gave a sign of life for two minutes.
    loaded = load_config(json.dumps(config).encode(), Platform())
    layout = RunLayout(loaded.locations, run["run"])
    assert remove_run(Bucket(loaded.storage, data), layout) > 10
    assert keys_of(sandbox, data, folder) == [f"{folder}end.json", f"{folder}stop"]
    states = {each["run"]: each["ending"] for each in list_runs(config, tmp_path)}
    assert states == {ran.report["run"]: "done", run["run"]: "stopped"}
    assert len(keys_of(sandbox, data, "input/")) == ITEMS


@pytest.mark.parametrize("verb", ["status", "cancel", "clean"])
def test_a_run_that_is_none_is_bad_usage(
    sandbox: Sandbox, name: str, tmp_path: Path, verb: str
) -> None:
    fill(sandbox, f"{name}-data", ["input/a"])
    config = config_for(sandbox, name, f"{name}-data")
    ran = coordinate(verb, config, tmp_path, "20260101t000000z-000000")
    assert ran.code == 2
    assert "there is no run 20260101t000000z-000000" in ran.stderr


def list_runs(config: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    return list(json.loads(coordinate("runs", config, folder, "--json").stdout)["runs"])


def show_status(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    return dict(json.loads(coordinate("status", config, folder, "--json").stdout))
