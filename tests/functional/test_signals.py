# SPDX-License-Identifier: Apache-2.0
"""A real process that follows a run gets more signals than one, and leaves its report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from sandbox.handle import Sandbox, wait_until
from tests.functional.conftest import Deploy
from tests.functional.coordination import config_for, content, fill

# Long enough that no job ends before the signals come.
SLEEP = "sleep 30\n"


@pytest.mark.any_storage
@pytest.mark.parametrize(
    ("mode", "number", "times"),
    [
        *((mode, signal.SIGTERM, 12) for mode in ("event", "range", "pull")),
        ("event", signal.SIGINT, 2),
    ],
)
def test_a_run_that_is_watched_leaves_its_report_however_many_signals_come(
    sandbox: Sandbox,
    deploy: Deploy,
    name: str,
    tmp_path: Path,
    mode: str,
    number: signal.Signals,
    times: int,
) -> None:
    fill(sandbox, f"{name}-data", ["input/a", "input/b"])
    deploy(("# oscar-batch worker 1\n" if mode == "pull" else "") + SLEEP, **describe(name))
    run = {"poll_s": 1, **({"verify": {"suffix": ".up"}} if mode == "range" else {})}
    config = config_for(
        sandbox, name, f"{name}-data", service={"mode": mode}, run=run, output={"file": ""}
    )
    process = start(config, tmp_path)

    def is_watching() -> bool | None:
        jobs = sandbox.list_jobs(name)
        return (bool(jobs) and "watch …" in (tmp_path / "log").read_text()) or None

    wait_until(is_watching, 60, lambda: (tmp_path / "log").read_text())
    for _ in range(times):
        if process.poll() is None:
            process.send_signal(number)
        threading.Event().wait(0.03)
    process.communicate(timeout=60)
    log = (tmp_path / "log").read_text()
    # A signal may come when all is written and the program ends.
    assert process.returncode in {130, -number}, log
    assert "Traceback" not in log
    (local,) = (tmp_path / "out").glob("*/report.json")
    report = json.loads(local.read_text())
    state = f".oscar-batch/{report['run']}/report.json"
    assert json.loads(content(sandbox, f"{name}-data", state)) == report
    assert report["ending"] == "interrupted"
    assert report["counts"]["pending"] == 2
    assert "before anything was sent" not in report["message"]
    assert not [each for each in report["warnings"] if "not in the bucket" in each]


def describe(name: str) -> dict[str, Any]:
    """A service that each of the modes accepts."""
    return {
        "mount": {"storage_provider": "minio.default", "path": f"/{name}-data"},
        "input": [{"storage_provider": "minio.default", "path": f"{name}-in/in"}],
        "output": [{"storage_provider": "minio.default", "path": f"{name}-out/up"}],
        "cpu": "0.1",
        "memory": "64Mi",
    }


def start(config: dict[str, Any], folder: Path) -> subprocess.Popen[str]:
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    command = [sys.executable, "-m", "coordinator", "run", str(path), "--output"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OSCAR_BATCH_")}
    with (folder / "log").open("w") as log:
        return subprocess.Popen(
            [*command, str(folder / "out")],
            stdout=subprocess.DEVNULL,
            stderr=log,
            text=True,
            env=environment,
            # Who started the tests may have let them ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
