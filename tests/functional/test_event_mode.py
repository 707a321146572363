# SPDX-License-Identifier: Apache-2.0
"""Event mode through the command line, on an unmodified service, and ranges proven by outputs."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.handle import Sandbox
from tests.functional.conftest import Deploy, Release
from tests.functional.coordination import Ran, config_for, content, coordinate, fill, keys_of

# A script as services for uploads have it. It fails on files that say so, and hides that.
UPPER = """
name="$(basename "$INPUT_FILE_PATH")"
grep -q poison "$INPUT_FILE_PATH" && exit 3
tr a-z A-Z < "$INPUT_FILE_PATH" > "$TMP_OUTPUT_DIR/$name.up"
"""
POISON = "input/poison.txt"


def put(box: Sandbox, bucket: str, names: list[str]) -> list[str]:
    """Files of different sizes, the last ones the largest; one is poisonous."""
    fill(box, bucket, [])
    keys = [f"input/{name}" for name in names]
    for number, key in enumerate(keys):
        text = b"poison" if key == POISON else b"text " * (number + 1)
        box.minio.put_object(bucket, key, io.BytesIO(text), len(text))
    return keys


def run(box: Sandbox, name: str, folder: Path, **sections: Any) -> Ran:
    config = config_for(box, name, f"{name}-data", output={"file": ""}, **sections)
    return coordinate("run", config, folder)


def service_for(name: str) -> dict[str, Any]:
    return {
        "input": [{"path": f"{name}-in/in"}],
        "output": [{"path": f"{name}-out/up"}],
        "cpu": "1",
        "memory": "128Mi",
    }


def verify(name: str) -> dict[str, str]:
    return {"bucket": f"{name}-out", "prefix": "up", "suffix": ".up"}


def listed(box: Sandbox, name: str, report: dict[str, Any], file: str) -> list[str]:
    text = content(box, f"{name}-data", f".oscar-batch/{report['run']}/{file}").decode()
    lines = text.splitlines()
    return [json.loads(line)["key"] for line in lines] if file.endswith("l") else lines


@pytest.mark.any_storage
@pytest.mark.parametrize("profile", ["v3.7", "v4.1"])
def test_an_unmodified_service_processes_every_item(
    release: Release, deploy_on: Deploy, name: str, tmp_path: Path, profile: str
) -> None:
    box = release(profile)
    keys = put(box, f"{name}-data", ["a b.txt", "c+d%2F.txt", "ü.txt", "poison.txt", "z.txt"])
    deploy_on(box, UPPER, **service_for(name))
    ran = run(
        box, name, tmp_path,
        service={"mode": "auto"}, run={"poll_s": 1, "verify": verify(name)},
    )  # fmt: skip
    report = ran.report
    assert report["setting"]["mode"].startswith("event, because")
    assert (report["ending"], ran.code, report["confirmed"]) == ("partly done", 1, True)
    assert report["counts"] == {
        "listed": 5, "done": 4, "failed": 1, "pending": 0, "skipped": 0, "left_out": 0,
    }  # fmt: skip
    (failure,) = report["accounts"]["failures"]
    assert failure["key"] == POISON
    assert "without the output that run.verify names" in failure["reason"]
    good = sorted(set(keys) - {POISON})
    assert sorted(listed(box, name, report, "done.txt")) == good
    assert listed(box, name, report, "failed.jsonl") == [POISON]
    assert listed(box, name, report, "pending.jsonl") == []
    made = {key.removeprefix("up/") for key in keys_of(box, f"{name}-out")}
    assert made == {f"{key.removeprefix('input/')}.up" for key in good}


@pytest.mark.any_storage
def test_without_verify_the_items_are_unconfirmed(
    chaotic: Sandbox, deploy_on: Deploy, name: str, tmp_path: Path
) -> None:
    put(chaotic, f"{name}-data", ["a.txt", "poison.txt"])
    deploy_on(chaotic, UPPER, **service_for(name))
    ran = run(chaotic, name, tmp_path, service={"mode": "event"}, run={"poll_s": 1})
    report = ran.report
    assert (report["ending"], ran.code, report["confirmed"]) == ("submitted", 0, False)
    assert report["message"].startswith("unconfirmed: the jobs have ended")
    assert (report["counts"]["done"], report["accounts"]["unconfirmed"]) == (0, 2)


@pytest.mark.any_storage
def test_ranges_are_proven_by_their_outputs(
    chaotic: Sandbox, deploy_on: Deploy, name: str, tmp_path: Path
) -> None:
    keys = put(chaotic, f"{name}-data", ["a.txt", "b.txt", "poison.txt", "z.txt"])
    script = """
    value() { sed -n "s/.*\\"$1\\": \\([0-9]*\\).*/\\1/p" "$INPUT_FILE_PATH"; }
    index=$(sed -n 's/.*"index": "\\([^"]*\\)".*/\\1/p' "$INPUT_FILE_PATH")
    until grep -q " /mnt/DATA " /proc/mounts; do sleep 0.1; done
    sed -n "$(value start),$(value end)p" "/mnt/DATA/$index" | while read -r key; do
      grep -q poison "/mnt/DATA/$key" || tr a-z A-Z < "/mnt/DATA/$key" \
        > "$TMP_OUTPUT_DIR/$(basename "$key").up"
    done
    """.replace("DATA", f"{name}-data")
    mount = {"storage_provider": "minio.default", "path": f"/{name}-data"}
    keep = {key: value for key, value in service_for(name).items() if key != "input"}
    deploy_on(chaotic, script, mount=mount, **keep)
    ran = run(chaotic, name, tmp_path, run={"poll_s": 1, "verify": verify(name)})
    report = ran.report
    assert (report["ending"], report["counts"]["done"]) == ("partly done", 3), ran.stderr
    assert sorted(listed(chaotic, name, report, "done.txt")) == sorted(set(keys) - {POISON})
    assert listed(chaotic, name, report, "failed.jsonl") == [POISON]
