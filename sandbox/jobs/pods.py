# SPDX-License-Identifier: Apache-2.0
"""Turns a bound job into its files, its environment and its process.

A pod of OSCAR has /oscar/config, the mounted secrets of providers, variables, the command `echo
$EVENT | /oscar/bin/supervisor` and a mount sidecar; all of these are made here. Instead of an
image it has the host's directories, read-only, and the sandbox's Python is first in PATH.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from ..cluster.job_record import Job
from ..cluster.profiles import Profile
from ..process import containers, reaper
from ..process.containers import Binding, View
from ..services.definitions import Provider, make_function_config
from ..services.registry import Service
from .environment import make_environment
from .memory_limit import LIMIT_FILE, USAGE_FILE

CHECKOUT = Path(__file__).resolve().parents[2]
SIDECAR = "/run/sidecar"
# Jobs must not slow the manager and the storage, which have their own nodes on a cluster.
NICE = ("nice", "-n", "10")
COMMAND = "echo $EVENT | /oscar/bin/supervisor"
# The shell of a job with a mount writes a file into this folder at its end. OSCAR 3 mounts the
# folder, so the shell ends with 0. OSCAR 4 does not: it ends with an error, unless the script
# makes the folder.
FINISH_FOLDER = "/tmpfolder"  # noqa: S108 - the container's
FINISH = ';echo "I finish" > /tmpfolder/finish-file;'
FOLDERS = ("config", "secrets", "tmp", "tmpfolder", "cgroup")


@dataclass(frozen=True, slots=True)
class Image:
    """A host directory that containers of one image see at a path, as if the image held it."""

    name: str
    source: Path
    target: str


def parse_image(text: str) -> Image:
    name, _, rest = text.partition("=")
    source, _, target = rest.rpartition(":")
    if not name or not source or not target.startswith("/"):
        raise ValueError(f"images are given as NAME=HOSTDIR:/PATH, got {text!r}")
    directory = Path(source).resolve()
    if not directory.is_dir():
        raise ValueError(f"{source} of image {name} is not a directory")
    return Image(name, directory, target)


@dataclass(frozen=True, slots=True)
class PodOptions:
    """What is the same for all pods of a sandbox."""

    profile: Profile
    images: tuple[Image, ...] = ()
    mount_delay_s: float = 0.0
    """How long after a job its mount starts; 0: the job starts when its mount is there."""


class Pods:
    """The files and processes of all jobs of a sandbox."""

    def __init__(
        self,
        state: Path,
        provider: Provider,
        service: Callable[[str], Service | None],
        options: PodOptions,
    ) -> None:
        self._state = state
        self._profile = options.profile
        self._mount_delay_s = options.mount_delay_s
        self._provider = provider
        self._images = options.images
        self._service = service
        self.fuse = False
        self.endpoint = provider.endpoint
        """Of the storage, as jobs that start from now on see it."""
        self._programs = state / "bin"
        self._write_programs()

    def accept(self, job: Job, event: bytes) -> None:
        """Write the event to a file: it may be long, and the job may start more than once."""
        directory = self._find_directory(job)
        directory.mkdir(parents=True)
        (directory / "event").write_bytes(event)

    def start(self, job: Job) -> subprocess.Popen[bytes]:
        service = self._service(job.service)
        if service is None:
            raise ValueError("the service is gone")
        directory = self._find_directory(job)
        self._write_files(directory, service)
        argv = ["/bin/sh", "-c", COMMAND]
        if service.mount_path:
            argv = [
                *_make_python_command("-m", f"{__package__}.mount"),
                "/bin/sh",
                "-c",
                COMMAND + FINISH,
            ]
        event = (directory / "event").read_bytes()
        view = self._make_view(directory, service)
        with (directory / "log").open("wb") as output:
            process = subprocess.Popen(
                [*NICE, *containers.make_container_command(view, argv)],
                env=make_environment(job, service, event, self._profile),
                stdin=subprocess.PIPE if service.mount_path else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        if process.stdin is not None:
            process.stdin.write(json.dumps(self._make_mount_settings(service)).encode())
            process.stdin.close()
        return process

    def find_log(self, job: Job) -> Path:
        return self._find_directory(job) / "log"

    def find_limits(self, job: Job) -> Path:
        """The directory of the files that tell the container its memory limit and usage."""
        return self._find_directory(job) / "cgroup"

    def explain(self, job: Job, reason: str) -> None:
        """Write the log of a container that could not start: the reason."""
        self.find_log(job).write_text(reason, "utf-8")
        self._remove_files(job)

    def end(self, job: Job, process: subprocess.Popen[bytes]) -> None:
        """Kill what is left of the job's processes, then remove its files."""
        reaper.end_job(process)
        self._remove_files(job)

    def _remove_files(self, job: Job) -> None:
        """Remove all files of an ended job except its log."""
        for name in FOLDERS:
            shutil.rmtree(self._find_directory(job) / name, ignore_errors=True)

    def forget(self, job: Job) -> None:
        shutil.rmtree(self._find_directory(job), ignore_errors=True)

    def probe(self, *, without_fuse: bool = False) -> str:
        """Try namespaces and FUSE, and set ``fuse``; return why FUSE does not work, or nothing.

        Raises OSError with the message of bwrap if no job can run.
        """
        plain = View((), visible=self._list_visible(), cwd=str(CHECKOUT))
        attempt = _run_probe(containers.make_container_command(plain, ["/bin/true"]))
        if attempt.returncode != 0:
            raise OSError(attempt.stderr.strip() or f"bwrap ended with {attempt.returncode}")
        if without_fuse:
            return "it was started without FUSE"
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            return "/dev/fuse is not there or not readable and writable for this user"
        view = View((), visible=self._list_visible(), cwd=str(CHECKOUT), fuse=True)
        attempt = _run_probe(
            containers.make_container_command(
                view, [*_make_python_command("-m", f"{__package__}.mount"), "--probe"]
            )
        )
        self.fuse = attempt.returncode == 0
        return "" if self.fuse else (attempt.stdout + attempt.stderr).strip()

    def _find_directory(self, job: Job) -> Path:
        return self._state / "jobs" / f"{job.name}.{job.uid[:8]}"

    def _write_programs(self) -> None:
        here = Path(__file__).resolve().parent
        self._programs.mkdir()
        for name, module in (("supervisor", "supervisor"), ("fusermount3", "fusermount")):
            command = shlex.join([sys.executable, "-I", str(here / f"{module}.py")])
            path = self._programs / name
            path.write_text(f'#!/bin/sh\nexec {command} "$@"\n', "utf-8")
            path.chmod(0o755)

    def _write_files(self, directory: Path, service: Service) -> None:
        for name in FOLDERS:
            (directory / name).mkdir()
        config = yaml.safe_dump(
            make_function_config(service.definition, self.endpoint),
            sort_keys=False,
            allow_unicode=True,
        )
        files = {
            "config/script.sh": service.definition["script"],
            "config/function_config.yaml": config,
            "secrets/accessKey": self._provider.access_key,
            "secrets/secretKey": self._provider.secret_key,
            f"cgroup/{LIMIT_FILE}": f"{service.needs.memory_bytes}\n",
            f"cgroup/{USAGE_FILE}": "0\n",
        }
        for name, text in files.items():
            (directory / name).write_text(text, "utf-8", newline="")

    def _make_view(self, directory: Path, service: Service) -> View:
        secrets = f"{containers.find_run_directory()}/secrets/providers/minio.default"
        bindings = [
            Binding(directory / "config", "/oscar/config"),
            Binding(self._programs / "supervisor", "/oscar/bin/supervisor"),
            Binding(directory / "secrets", secrets),
            Binding(directory / "tmp", "/tmp", writable=True),  # noqa: S108 - the container's
            Binding(directory / "cgroup", "/sys/fs/cgroup"),
        ]
        if service.mount_path:
            bindings.append(Binding(self._programs, SIDECAR))
            if self._profile.mount_always_succeeds:
                bindings.append(Binding(directory / "tmpfolder", FINISH_FOLDER, writable=True))
        bindings += [
            Binding(image.source, image.target)
            for image in self._images
            if image.name == service.definition["image"]
        ]
        return View(
            tuple(bindings),
            hidden=(self._state,),
            visible=self._list_visible(),
            fuse=bool(service.mount_path) and self.fuse,
            cwd=str(CHECKOUT) if service.mount_path else "/",
        )

    def _make_mount_settings(self, service: Service) -> Mapping[str, object]:
        return {
            "path": service.mount_path,
            "options": str(service.definition["mount"].get("options") or "").split(),
            "rclone": _find_beside_python("rclone"),
            "sidecar": SIDECAR,
            "fuse": self.fuse,
            "delay_s": self._mount_delay_s,
            "endpoint": self.endpoint,
            "access_key": self._provider.access_key,
            "secret_key": self._provider.secret_key,
        }

    @staticmethod
    def _list_visible() -> tuple[Path, ...]:
        return (CHECKOUT, Path(sys.prefix), Path(sys.base_prefix))


def _make_python_command(*arguments: str) -> list[str]:
    return [sys.executable, "-E", "-s", *arguments]


def _find_beside_python(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name) or name


def _run_probe(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=20
    )
