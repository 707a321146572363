# SPDX-License-Identifier: Apache-2.0
"""Runs the coordinator's command line against a sandbox, as a user or OSCAR would."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

from coordinator.cli.verbs.setup.schema import write_schema
from sandbox.handle import Sandbox

REPORTS = jsonschema.Draft202012Validator(json.loads(write_schema("report")))

# Keeps each invocation it gets as an output object named after the job. Its marker says that it
# takes ranges, though it mounts nothing.
RECORDER = '# oscar-batch worker 1\ncp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/$JOB_UUID.json"\n'
# Takes ranges too, and does nothing with them.
IDLE = "# oscar-batch worker 1\ntrue\n"


@dataclass(frozen=True, slots=True)
class Ran:
    """How one command ended."""

    code: int
    stdout: str
    stderr: str
    folder: Path

    @property
    def report(self) -> dict[str, Any]:
        """The one report that the command left in its output folder, of the published form."""
        (path,) = self.folder.glob("*/report.json")
        assert (path.parent / "report.html").exists()
        report = dict(json.loads(path.read_text()))
        REPORTS.validate(report)
        return report


def coordinate(
    verb: str,
    config: object,
    folder: Path,
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    within_s: float = 90,
) -> Ran:
    """`oscar-batch VERB config.json` in a process of its own; bytes are written as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.json"
    path.write_bytes(config if isinstance(config, bytes) else json.dumps(config).encode())
    command = [sys.executable, "-m", "coordinator", verb, str(path), *arguments]
    if verb == "run":
        command += ["--output", str(folder / "out")]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OSCAR_BATCH_")}
    # The pace of a real manager would only make the tests slow.
    environment |= {"OSCAR_BATCH_POSTS_PER_S": "1000", **(variables or {})}
    ended = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=within_s
    )
    return Ran(ended.returncode, ended.stdout, ended.stderr, folder / "out")


def config_for(
    sandbox: Sandbox, service: str, bucket: str, /, **sections: Mapping[str, Any]
) -> dict[str, Any]:
    """The first oscar-batch tool's config file, its hosts changed to the sandbox's."""
    config: dict[str, Any] = {
        "MinIO": {
            "url": sandbox.s3_url,
            "access_key": sandbox.access_key,
            "secret_key": sandbox.secret_key,
        },
        "bucket": {"name": bucket, "folder_prefix": "input/"},
        "output": {"file": "index.txt"},
        "oscar_cluster": {
            "url": sandbox.url,
            "auth_basic": {"username": sandbox.username, "password": sandbox.password},
            "auth_token": {"token": ""},
        },
        "service": {"name": service, "mode": "range"},
    }
    for section, keys in sections.items():
        config[section] = {**config.get(section, {}), **keys}
    return config


def fill(sandbox: Sandbox, bucket: str, keys: Iterable[str], size: int = 3) -> None:
    """Objects of one size, in a bucket that is made if need be."""
    if not sandbox.minio.bucket_exists(bucket):
        sandbox.minio.make_bucket(bucket)
    for key in keys:
        sandbox.minio.put_object(bucket, key, io.BytesIO(b"x" * size), size)


def content(sandbox: Sandbox, bucket: str, key: str) -> bytes:
    response = sandbox.minio.get_object(bucket, key)
    try:
        return bytes(response.read())
    finally:
        response.close()
        response.release_conn()


def keys_of(sandbox: Sandbox, bucket: str, prefix: str = "") -> list[str]:
    """The objects below a prefix, folder markers left out."""
    found = sandbox.minio.list_objects(bucket, prefix=prefix, recursive=True)
    return [key for entry in found if not (key := str(entry.object_name)).endswith("/")]


def recorded(sandbox: Sandbox, service: str, jobs: int) -> list[dict[str, Any]]:
    """The invocations that a service with the RECORDER script got, once all its jobs ended."""
    sandbox.wait_until_ended(service, jobs)
    bucket = f"{service}-out"
    bodies = [json.loads(content(sandbox, bucket, key)) for key in keys_of(sandbox, bucket)]
    return sorted(bodies, key=lambda body: int(body["start"]))
