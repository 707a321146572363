# SPDX-License-Identifier: Apache-2.0
"""Pull mode from end to end: the coordinator, OSCAR's jobs, and the worker kit in them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sandbox.handle import Sandbox
from tests.functional.conftest import Deploy
from tests.functional.coordination import config_for, coordinate, fill

COPY = "cp {input} {output_dir}/{name}"


def kit(command: str) -> str:
    """The script that `oscar-batch kit` prints."""
    made = subprocess.run(
        [sys.executable, "-m", "coordinator", "kit", "--command", command],
        capture_output=True,
        text=True,
        check=True,
    )
    return made.stdout


def test_every_item_is_done_and_has_a_line_in_done_txt(
    sandbox: Sandbox, deploy: Deploy, name: str, tmp_path: Path
) -> None:
    bucket = f"{name}-data"
    deploy(
        kit(COPY), cpu="1", output=[{"storage_provider": "minio.default", "path": f"{name}-out/o"}]
    )
    keys = [f"input/{number:03}.txt" for number in range(40)]
    fill(sandbox, bucket, keys)
    config = config_for(
        sandbox, name, bucket, run={"poll_s": 1}, service={"mode": "auto"}, output={"file": ""}
    )

    ran = coordinate("run", config, tmp_path)

    assert ran.code == 0, ran.stderr
    assert ran.report["ending"] == "done"
    assert ran.report["counts"]["done"] == 40
