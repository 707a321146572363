# SPDX-License-Identifier: Apache-2.0
"""`try`: three items on the cluster, and what became of each, in the mode that the service gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coordinator.cli.verbs.kit import find_worker, write_script
from tests.functional.conftest import Deploy, Release
from tests.functional.coordination import config_for, coordinate, fill, keys_of

UPLOADS = """
echo "reading $INPUT_FILE_PATH"
case "$INPUT_FILE_PATH" in *19.txt) echo "no such calibration"; exit 3;; esac
cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/"
"""
SCRIPT = 'case "$1" in *19.txt) echo "no such calibration" >&2; exit 3;; esac; cp "$1" "$2"'
KIT = f"sh -c '{SCRIPT}' sh {{input}} {{output_dir}}/{{name}}"


@pytest.mark.any_storage
@pytest.mark.parametrize("profile", ["v3.7", "v4.1"])
def test_what_became_of_three_items_is_shown_with_the_log_of_the_failure(
    release: Release, deploy_on: Deploy, name: str, tmp_path: Path, profile: str
) -> None:
    box = release(profile)
    fill(box, f"{name}-data", [f"input/{number:02}.txt" for number in range(20)])
    deploy_on(
        box, UPLOADS, input=[{"path": f"{name}-in/in"}], output=[{"path": f"{name}-out/copies"}]
    )
    config = config_for(
        box, name, f"{name}-data",
        service={"mode": "auto"}, output={"file": ""}, run={"verify": True, "poll_s": 1},
    )  # fmt: skip
    ran = coordinate("try", config, tmp_path, "-n", "3")
    lines = ran.stdout.splitlines()
    assert lines[0].startswith("mode: event"), ran.stdout + ran.stderr
    assert [line for line in lines if line.startswith("input/")] == [
        "input/00.txt: done",
        "input/09.txt: done",
        "input/19.txt: failed: its job ended without the output that run.verify names",
    ]
    assert any(line.endswith("| no such calibration") for line in lines), ran.stdout
    assert ran.code == 1
    assert len(keys_of(box, f"{name}-out", "copies/")) == 2


@pytest.mark.any_storage
def test_a_service_with_the_kit_is_tried_in_pull_mode(
    release: Release, deploy_on: Deploy, name: str, tmp_path: Path
) -> None:
    box = release("v4.1")
    fill(box, f"{name}-data", [f"input/{number:02}.txt" for number in range(20)])
    worker = find_worker().read_text("utf-8")
    script = write_script(worker, command=KIT, stdin=None, module=None, jobs=1)
    deploy_on(box, script, output=[{"path": f"{name}-out/copies"}], cpu="1", memory="512Mi")
    config = config_for(box, name, f"{name}-data", service={"mode": "auto"}, output={"file": ""})
    ran = coordinate("try", config, tmp_path, "--json")
    found = json.loads(ran.stdout)
    states = {item["key"]: item["state"] for item in found["items"]}
    assert states == {"input/00.txt": "done", "input/09.txt": "done", "input/19.txt": "failed"}
    assert "no such calibration" in " ".join(found["items"][2]["log"])
    assert ran.code == 1


@pytest.mark.any_storage
def test_a_trial_of_healthy_items_ends_well(
    release: Release, deploy_on: Deploy, name: str, tmp_path: Path
) -> None:
    box = release("v4.1")
    fill(box, f"{name}-data", ["input/only.txt"])
    deploy_on(
        box, UPLOADS, input=[{"path": f"{name}-in/in"}], output=[{"path": f"{name}-out/copies"}]
    )
    config = config_for(
        box, name, f"{name}-data",
        service={"mode": "auto"}, output={"file": ""}, run={"verify": True, "poll_s": 1},
    )  # fmt: skip
    ran = coordinate("try", config, tmp_path)
    assert (ran.code, ran.stdout.splitlines()[-1]) == (0, "done: 1 done"), ran.stdout + ran.stderr
