# SPDX-License-Identifier: Apache-2.0
"""Runs worker/oscar_batch.sh on a run folder that a test wrote, beside a real S3 server.

A local directory plays the mount. With `storage="s3"` the worker talks to the server through curl;
with `storage="mount"` it has no curl, and the run folder lies in the directory as well.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.functional.servers import Server

SCRIPT = Path(__file__).parents[2] / "worker" / "oscar_batch.sh"
SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}
RUN = "20261122t101500z-3f9a1c"
HEADER, ROW = 512, 160
TIMING = {
    "beat_s": 3,
    "lost_after_s": 6,
    "look_gap_s": 3,
    "mark_after_s": 60,
    "storage_patience_s": 20,
    "lease_ttl_s": 9,
}


@dataclass(slots=True)
class Setting:
    """One bucket with items, one run folder in it, and what a job of the service would see."""

    server: Server
    bucket: str
    root: Path
    storage: str = "s3"
    output: str = ""
    body: dict[str, Any] = field(default_factory=dict)
    definition: str = ""

    @property
    def state(self) -> str:
        return f".oscar-batch/{RUN}/"

    @property
    def output_path(self) -> str:
        return self.output or f"{self.bucket}/results"

    def put(self, key: str, content: bytes | str, **metadata: str) -> None:
        data = content.encode() if isinstance(content, str) else content
        if self.storage == "mount":
            path = self.root / "mnt" / self.bucket / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        else:
            self.server.client.put_object(
                self.bucket, key, io.BytesIO(data), len(data), metadata=dict(metadata)
            )

    def read(self, key: str) -> bytes:
        if self.storage == "mount":
            return (self.root / "mnt" / self.bucket / key).read_bytes()
        response = self.server.client.get_object(self.bucket, key)
        try:
            return response.read()
        finally:
            response.close()
            response.release_conn()

    def list(self, prefix: str = "") -> list[str]:
        if self.storage == "mount":
            folder = self.root / "mnt" / self.bucket
            keys = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
            return sorted(
                key for key in keys if key.startswith(prefix) and (folder / key).is_file()
            )
        found = self.server.client.list_objects(self.bucket, prefix=prefix, recursive=True)
        return sorted(str(entry.object_name) for entry in found)

    def add_item(self, key: str, content: bytes | str = "x", *, mounted: bool = True) -> None:
        """An item in the data folder: in the mount where it can show it, else on the server."""
        data = content.encode() if isinstance(content, str) else content
        if mounted:
            path = self.root / "mnt" / self.bucket / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        else:
            self.server.client.put_object(self.bucket, key, io.BytesIO(data), len(data))

    def write_run(self, lanes: Sequence[Sequence[Sequence[str]]], **body: Any) -> None:
        """Index, plan and chunk table: keys by lane and chunk; `body` changes the invocation."""
        index, rows, line = b"", [], 1
        for lane, chunks in enumerate(lanes, 1):
            for chunk, keys in enumerate(chunks, 1):
                text = "".join(key + "\n" for key in keys).encode()
                rows.append(
                    {
                        "lane": lane,
                        "chunk": chunk,
                        "start": line,
                        "end": line + len(keys) - 1,
                        "offset": len(index),
                        "length": len(text),
                        "bytes": 1,
                    }
                )
                index, line = index + text, line + len(keys)
        head = {
            "schema": "oscar-batch/chunks/1",
            "index": f"{self.bucket}/{self.state}index.0001.txt",
            "size": len(index),
            "sha256": "",
            "lanes": [len(chunks) for chunks in lanes],
        }
        table = json.dumps(head).ljust(HEADER - 1) + "\n"
        table += "".join(json.dumps(row).ljust(ROW - 1) + "\n" for row in rows)
        self.put(f"{self.state}index.0001.txt", index)
        self.put(f"{self.state}plan.json", "{}")
        self.put(f"{self.state}rounds/001/chunks.jsonl", table)
        self.body = {
            "schema": "oscar-batch/worker/1",
            "run": RUN,
            "worker": "0001-00001",
            "round": 1,
            "lane": 1,
            "state": f"{self.bucket}/{self.state}",
            "data": f"{self.bucket}/input/",
            "index": head["index"],
            "table": {"header_bytes": HEADER, "row_bytes": ROW},
            "exclusive": True,
            "item_timeout_s": 30,
            "timing": TIMING,
            **body,
        }

    def start(self, shell: str, command: str, **environment: str) -> subprocess.Popen[str]:
        """The worker as OSCAR's supervisor starts it; its own folders are below the test's."""
        definition = {
            "name": "service",
            "output": [{"storage_provider": "minio.default", "path": self.output_path}],
            "mount": {"storage_provider": "minio.default", "path": f"/{self.bucket}"},
            "storage_providers": {
                "minio": {
                    "default": {
                        "endpoint": self.server.access.url,
                        "region": "us-east-1",
                        "verify": True,
                        "access_key": "hidden",
                        "secret_key": "hidden",
                    }
                }
            },
        }
        files = {
            "oscar/config/function_config.yaml": self.definition
            or yaml.safe_dump(definition, sort_keys=False),
            "proc/mounts": f"minio:{self.bucket} /mnt/{self.bucket} fuse.rclone rw 0 0\n",
            "var/run/secrets/providers/minio.default/accessKey": self.server.access.access_key,
            "var/run/secrets/providers/minio.default/secretKey": self.server.access.secret_key,
        }
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (self.root / "invocation").write_text(json.dumps(self.body))
        (self.root / "tmp").mkdir(exist_ok=True)
        (self.root / "mnt" / self.bucket).mkdir(parents=True, exist_ok=True)
        return subprocess.Popen(
            [*SHELLS[shell], str(SCRIPT), "--command", command],
            env=self.environment(shell, environment),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def environment(self, shell: str, more: Mapping[str, str]) -> dict[str, str]:
        given = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "TMPDIR": str(self.root / "tmp"),
            "INPUT_FILE_PATH": str(self.root / "invocation"),
            "RESOURCE_ID": "node-1",
            "OSCAR_BATCH_ROOT": str(self.root),
            "OSCAR_BATCH_SHELL": " ".join(SHELLS[shell]),
        }
        if self.storage == "mount":
            given["OSCAR_BATCH_NO_CURL"] = "yes"
        return {**given, **more}

    def work(self, shell: str, command: str, **environment: str) -> str:
        """Run the worker to its end; what it said."""
        worker = self.start(shell, command, **environment)
        _, said = worker.communicate(timeout=100)
        assert worker.returncode == 0, said
        assert list((self.root / "tmp").iterdir()) == [], "the worker left files behind"
        return said

    def document(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self.read(self.state + name)))

    def outcomes(self) -> dict[int, dict[str, Any]]:
        """Of every line, from the results: exactly one of each."""
        found: dict[int, dict[str, Any]] = {}
        for key in self.list(f"{self.state}results/"):
            for item in json.loads(self.read(key))["items"]:
                assert item["line"] not in found
                found[item["line"]] = item
        return found

    def beat(self) -> dict[str, Any]:
        """The last beat of the only process."""
        (key,) = self.list(f"{self.state}beats/")
        return dict(json.loads(self.read(key)))
