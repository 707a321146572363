# SPDX-License-Identifier: Apache-2.0
"""The same items through all three modes: every item has the same outcome in each of them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinator.cli.verbs.kit import find_worker, write_script
from sandbox.handle import Sandbox, run_sandbox
from tests.functional.coordination import config_for, content, coordinate, fill, keys_of

DATA = "agreement"
ITEMS, EVERY = 200, 9
"""One item in nine is poisonous: its command fails, and leaves no output."""
ODD = ["input/a 'b' $(x)*.txt", "input/-n.txt", "input/ü日本 %2F+c.txt", 'input/"q" poison.txt']

COMMAND = """sh -c 'grep -q poison "$1" && exit 3; tr a-z A-Z < "$1" > "$2.up"' sh """
KIT = COMMAND + "{input} {output_dir}/{name}"
UPLOADS = """
name="$(basename "$INPUT_FILE_PATH")"
grep -q poison "$INPUT_FILE_PATH" || tr a-z A-Z < "$INPUT_FILE_PATH" > "$TMP_OUTPUT_DIR/$name.up"
"""
RANGES = f"""
value() {{ sed -n "s/.*\\"$1\\": \\([0-9]*\\).*/\\1/p" "$INPUT_FILE_PATH"; }}
index=$(sed -n 's/.*"index": "\\([^"]*\\)".*/\\1/p' "$INPUT_FILE_PATH")
until grep -q " /mnt/{DATA} " /proc/mounts; do sleep 0.1; done
sed -n "$(value start),$(value end)p" "/mnt/{DATA}/$index" | while read -r key; do
  grep -q poison "/mnt/{DATA}/$key" ||
    tr a-z A-Z < "/mnt/{DATA}/$key" > "$TMP_OUTPUT_DIR/$(basename "$key").up"
done
"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Room for twenty jobs, and the items."""
    with run_sandbox(tmp_path_factory.mktemp("modes"), ["--nodes", "2x10:8Gi"]) as found:
        fill(found, DATA, [])
        for number, key in enumerate([f"input/{n:03}.txt" for n in range(ITEMS - len(ODD))] + ODD):
            poisonous = number % EVERY == 0 or "poison" in key
            text = b"poison" if poisonous else b"text " * (number + 1)
            found.minio.put_object(DATA, key, io.BytesIO(text), len(text))
        yield found


def run(box: Sandbox, mode: str, script: str, folder: Path, **keys: Any) -> dict[str, list[str]]:
    """The items by outcome, and the outputs that are there, after a run in this mode."""
    name = f"in-{mode}"
    output = {"storage_provider": "minio.default", "path": f"{name}-out/up"}
    box.deploy(
        {
            "name": name, "image": "sandbox", "script": script, "cpu": "1", "memory": "512Mi",
            "output": [output], **keys,
        }
    )  # fmt: skip
    verify = {"bucket": f"{name}-out", "prefix": "up", "suffix": ".up"}
    config = config_for(
        box, name, DATA,
        service={"mode": "auto"}, output={"file": ""}, plan={"headroom": 0},
        run={"poll_s": 1, "verify": verify},
    )  # fmt: skip
    ran = coordinate("run", config, folder / mode, within_s=200)
    report = ran.report
    assert report["setting"]["mode"].startswith(mode), ran.stderr
    assert (ran.code, report["ending"], report["confirmed"]) == (1, "partly done", True), ran.stderr
    found = {"outputs": sorted(keys_of(box, f"{name}-out", "up/"))}
    for file in ("done.txt", "failed.jsonl", "pending.jsonl"):
        lines = content(box, DATA, f".oscar-batch/{report['run']}/{file}").decode().split("\n")[:-1]
        found[file] = sorted(json.loads(line)["key"] if "json" in file else line for line in lines)
    box.remove(name)
    return found


@pytest.mark.timeout(400)
@pytest.mark.any_storage
def test_all_modes_have_the_same_outcome_for_every_item(box: Sandbox, tmp_path: Path) -> None:
    worker = find_worker().read_text("utf-8")
    kit = write_script(worker, command=KIT, stdin=None, module=None, jobs=1)
    mount = {"storage_provider": "minio.default", "path": f"/{DATA}"}

    pull = run(box, "pull", kit, tmp_path)
    ranges = run(box, "range", RANGES, tmp_path, mount=mount)
    events = run(box, "event", UPLOADS, tmp_path, input=[{"path": "agreement-in/in"}])

    assert pull == ranges == events
    assert len(pull["done.txt"]) + len(pull["failed.jsonl"]) == ITEMS
    assert len(pull["failed.jsonl"]) == len(range(0, ITEMS, EVERY)) + 1
    assert len(pull["outputs"]) == len(pull["done.txt"])
    assert pull["pending.jsonl"] == []
