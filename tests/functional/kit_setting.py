# SPDX-License-Identifier: Apache-2.0
"""Runs the script of `oscar-batch kit` on a run folder that a test wrote, beside a real S3 server.

A directory of the test stands before every fixed path of a job (OSCAR_BATCH_ROOT).
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from coordinator.cli.verbs.kit import SHELL_WORKER, find_worker, write_script, write_shell_script
from sandbox.handle import wait_until
from tests.functional.shell_worker import Setting

JOBS_FOLDER = "jobs"


@dataclass(slots=True)
class Job:
    """One invocation that runs."""

    process: subprocess.Popen[str]
    folder: Path

    def wait(self, timeout: float = 100) -> str:
        """What the worker said until its end."""
        self.process.wait(timeout)
        return (self.folder / "log").read_text("utf-8", "replace")

    def find_kit(self) -> int | None:
        """The process id of the worker inside the script, if it has begun."""
        for note in self.folder.glob("tmp/oscar-batch.*/process"):
            words = note.read_text().split()
            return int(words[1]) if len(words) == 2 else None
        return None

    def kill_kit(self) -> bool:
        """Kills the worker, as its memory limit would; its shell lives. Whether there was one."""
        pid = self.find_kit()
        if pid is None:
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> None:
        """Kills everything at once, as the loss of a pod does."""
        marker = f"OSCAR_BATCH_ROOT={self.folder.parent.parent}\0".encode()
        own = f"TMPDIR={self.folder}/tmp\0".encode()
        for _ in range(3):
            for each in Path("/proc").glob("[0-9]*/environ"):
                try:
                    environment = each.read_bytes()
                    if marker in environment and own in environment:
                        os.kill(int(each.parent.name), signal.SIGKILL)
                except OSError:
                    continue
        self.process.wait(10)


@dataclass(slots=True)
class KitSetting(Setting):
    """A bucket, a run folder, and what jobs of a service with the kit see."""

    outputs: Sequence[dict[str, Any]] = ()
    mounted: bool = True
    endpoint: str = ""
    jobs: list[Job] = field(default_factory=list)

    def start_kit(
        self,
        *options: str,
        lane: int = 1,
        worker: str = "",
        python: str = sys.executable,
        prefix: Sequence[str] = (),
        **environment: str,
    ) -> Job:
        """An invocation as OSCAR starts it: the script of `oscar-batch kit` in a shell."""
        self._write_root()
        number = len(self.jobs) + 1
        folder = self.root / JOBS_FOLDER / str(number)
        (folder / "tmp").mkdir(parents=True)
        (folder / "bin").mkdir()
        (folder / "bin" / "python3").symlink_to(python)
        body = {**self.body, "lane": lane, "worker": worker or f"0001-{number:05d}"}
        (folder / "invocation").write_text(json.dumps(body))
        (folder / "script.sh").write_text(make_script(*options))
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(
                [*prefix, "/bin/sh", str(folder / "script.sh")],
                env={
                    "PATH": f"{folder}/bin:{os.environ['PATH']}",
                    "HOME": str(folder),
                    "TMPDIR": str(folder / "tmp"),
                    "INPUT_FILE_PATH": str(folder / "invocation"),
                    "RESOURCE_ID": "node-1",
                    "OSCAR_BATCH_ROOT": str(self.root),
                    **environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
            )
        job = Job(process, folder)
        self.jobs.append(job)
        return job

    def run_kit(self, *options: str, **more: Any) -> str:
        """One invocation to its end; what it said."""
        job = self.start_kit(*options, **more)
        said = job.wait()
        assert job.process.returncode == 0, said
        assert list((job.folder / "tmp").iterdir()) == [], "the worker left files behind"
        return said

    def _write_root(self) -> None:
        default = {
            "endpoint": self.endpoint or self.server.access.url,
            "region": "us-east-1",
            "verify": True,
            "access_key": "hidden",
            "secret_key": "hidden",
        }
        output = {"storage_provider": "minio.default", "path": self.output_path}
        definition: dict[str, Any] = {
            "name": "service",
            "output": list(self.outputs) or [output],
            "mount": {"storage_provider": "", "path": ""},
            "storage_providers": {"minio": {"default": default}},
        }
        mounts = "proc /proc proc rw 0 0\n"
        if self.mounted:
            definition["mount"] = {"storage_provider": "minio.default", "path": f"/{self.bucket}"}
            mounts += f"minio:{self.bucket} /mnt/{self.bucket} fuse.rclone rw 0 0\n"
        files = {
            "oscar/config/function_config.yaml": yaml.safe_dump(definition, sort_keys=False),
            "proc/mounts": mounts,
            "var/run/secrets/providers/minio.default/accessKey": self.server.access.access_key,
            "var/run/secrets/providers/minio.default/secretKey": self.server.access.secret_key,
        }
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (self.root / "mnt" / self.bucket).mkdir(parents=True, exist_ok=True)

    def wait_for(self, prefix: str) -> list[str]:
        """The objects below a prefix of the run folder, as soon as there are any."""
        found = lambda: self.list(self.state + prefix) or None  # noqa: E731
        return wait_until(found, 60, lambda: f"nothing at {prefix}")

    def states(self) -> dict[int, str]:
        """Of every line its state; a failed one with its kind."""
        found = self.outcomes()
        return {
            line: item["state"] if item["state"] == "done" else item["kind"]
            for line, item in sorted(found.items())
        }

    def beats(self) -> list[dict[str, Any]]:
        """The last beat of every process."""
        keys = self.list(f"{self.state}beats/")
        return [dict(json.loads(self.read(key))) for key in keys]


def make_script(*options: str) -> str:
    """The script of `oscar-batch kit` with these options; `--sh` is the first of them."""
    if options[0] == "--sh":
        return write_shell_script(find_worker(SHELL_WORKER).read_text("utf-8"), options[2])
    given: dict[str, Any] = {"command": None, "stdin": None, "module": None, "jobs": 1}
    for name, value in zip(options[::2], options[1::2], strict=True):
        key = name.lstrip("-")
        given[key] = int(value) if key == "jobs" else value
    return write_script(find_worker().read_text("utf-8"), **given)


def make_mark(key: str) -> str:
    """What an output of an item carries."""
    return hashlib.sha256(key.encode()).hexdigest()


def split(keys: Sequence[str], lanes: int, size: int) -> list[list[list[str]]]:
    """The keys in chunks of `size`, the chunks dealt out to lanes in blocks."""
    chunks = [list(keys[at : at + size]) for at in range(0, len(keys), size)]
    share = -(-len(chunks) // lanes)
    return [chunks[at * share : (at + 1) * share] for at in range(lanes)]


@contextmanager
def killing(setting: KitSetting) -> Iterator[KitSetting]:
    """Ends every invocation of the setting when a test is over, whatever became of it."""
    try:
        yield setting
    finally:
        for job in setting.jobs:
            if job.process.poll() is None:
                job.kill()
