# SPDX-License-Identifier: Apache-2.0
"""What real runs leave, and what commands print with `--json`, is as the published schemas say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from coordinator.cli.verbs.kit import find_worker, write_script
from coordinator.cli.verbs.setup.schema import write_schema
from sandbox.handle import Sandbox
from tests.functional.conftest import Deploy
from tests.functional.coordination import IDLE, config_for, content, coordinate, fill, keys_of

pytestmark = pytest.mark.any_storage

PRINTED = {
    "plan": "plan",
    "status": "status",
    "runs": "runs",
    "capacity": "capacity",
    "doctor": "doctor",
}
FILES = {f"{name}.json": name for name in ("plan", "report", "progress", "end")}
LISTS = ("failed.jsonl", "pending.jsonl", "skipped.jsonl")
COMMAND = (
    'sh -c \'case $2 in 3.txt) exit 3; esac; cp "$0" "$1"\' {input} {output_dir}/{name} {name}'
)


def validate(document: str, text: bytes | str) -> None:
    schema = json.loads(write_schema(document))
    jsonschema.Draft202012Validator(schema).validate(json.loads(text))


# Fails on one file, and OSCAR hides that.
UPLOADS = """
name="$(basename "$INPUT_FILE_PATH")"
[ "$name" = 3.txt ] && exit 3
cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/$name"
"""


def deploy_service(deploy: Deploy, name: str, mode: str) -> None:
    output = [{"storage_provider": "minio.default", "path": f"{name}-out/results"}]
    if mode == "event":
        deploy(UPLOADS, input=[{"path": f"{name}-in/in"}], output=output)
    elif mode == "range":
        deploy(IDLE)
    else:
        deploy_kit(deploy, output)


def deploy_kit(deploy: Deploy, output: list[dict[str, str]]) -> None:
    worker = find_worker().read_text("utf-8")
    script = write_script(worker, command=COMMAND, stdin=None, module=None, jobs=1)
    deploy(script, output=output)


def check_folder(sandbox: Sandbox, bucket: str) -> set[str]:
    """Validates the documents of the only run of a bucket; the names of those that it has."""
    found = set()
    for key in keys_of(sandbox, bucket, ".oscar-batch/2"):
        *_, run, name = key.split("/")
        if not run.startswith("2"):
            continue
        found.add(name)
        if name in FILES:
            validate(FILES[name], content(sandbox, bucket, key))
        for line in content(sandbox, bucket, key).splitlines() if name in LISTS else []:
            validate("items", line)
    return found


@pytest.mark.parametrize(
    ("mode", "code", "left"),
    [
        pytest.param("pull", 1, {*FILES, *LISTS}, id="pull"),
        pytest.param("event", 1, {*FILES, *LISTS}, id="event"),
        pytest.param("range", 0, {"plan.json", "report.json", "progress.json"}, id="range"),
    ],
)
def test_documents_of_a_run_are_as_published(
    sandbox: Sandbox,
    deploy: Deploy,
    name: str,
    tmp_path: Path,
    mode: str,
    code: int,
    left: set[str],
) -> None:
    deploy_service(deploy, name, mode)
    fill(sandbox, f"{name}-data", [f"input/{number}.txt" for number in range(6)])
    sections: dict[str, Any] = {"run": {"poll_s": 1, "retries": 0}, "output": {"file": ""}}
    if mode == "event":
        sections["run"]["verify"] = {"bucket": f"{name}-out", "prefix": "results/"}
    config = config_for(sandbox, name, f"{name}-data", service={"mode": mode}, **sections)

    ran = coordinate("run", config, tmp_path, "--json")

    assert ran.code == code, ran.stderr
    validate("report", ran.stdout)
    assert check_folder(sandbox, f"{name}-data") >= left
    for verb, document in PRINTED.items():
        printed = coordinate(verb, config, tmp_path / verb, "--json")
        assert printed.stdout, printed.stderr
        validate(document, printed.stdout)
