# SPDX-License-Identifier: Apache-2.0
"""Plays OSCAR's mount sidecar: mounts a bucket at /mnt/<path> while a job runs.

A program that runs inside the job's namespace and reads its settings from stdin. `python -m
sandbox.jobs.mount COMMAND…` starts rclone with OSCAR's flags, then COMMAND. When COMMAND ends, it
unmounts and exits with the status of COMMAND. `--probe` says whether FUSE works here. Where FUSE
does not work, files are copied before and after COMMAND, and the job's log says so.

Two differences from OSCAR. By default COMMAND starts when the mount is there, or after
READY_WAIT_S; OSCAR waits for nothing. Files belong to uid 0, not 1000, because the job's user
namespace has no other user.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from . import fusermount

READY_WAIT_S = 5.0
FLUSH_WAIT_S = 60.0
WORKDIR = "/"
FLAGS = (
    *("--dir-cache-time", "10s", "--allow-other", "--allow-non-empty", "--umask", "0007"),
    *("--uid", "0", "--gid", "0", "--no-checksum"),
)


def make_rclone_environment(settings: dict[str, Any]) -> dict[str, str]:
    """Configure the remote by variables, so that no key is on a command line or in a file."""
    return {
        "PATH": f"{settings['sidecar']}:{os.environ['PATH']}",
        "HOME": "/run",
        "RCLONE_CONFIG": "",
        "RCLONE_CACHE_DIR": "/run/rclone",
        "RCLONE_VFS_WRITE_BACK": "0s",
        "RCLONE_CONFIG_OSCAR_TYPE": "s3",
        "RCLONE_CONFIG_OSCAR_PROVIDER": "Minio",
        "RCLONE_CONFIG_OSCAR_ENDPOINT": settings["endpoint"],
        "RCLONE_CONFIG_OSCAR_ACCESS_KEY_ID": settings["access_key"],
        "RCLONE_CONFIG_OSCAR_SECRET_ACCESS_KEY": settings["secret_key"],
        "RCLONE_CONFIG_OSCAR_REGION": "us-east-1",
    }


def is_mounted(directory: Path) -> bool:
    spelt = str(directory).replace("\\", "\\134").replace(" ", "\\040")
    lines = Path("/proc/self/mounts").read_text("utf-8", "surrogateescape").splitlines()
    return any(line.split(" ")[1] == spelt for line in lines)


def run(command: list[str]) -> int:
    """Run the command in a process group of its own, and kill what is left of it at the end."""
    fusermount.drop_locale()
    process = subprocess.Popen(
        command, cwd=WORKDIR, start_new_session=True, stdin=subprocess.DEVNULL
    )
    status = process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return 128 - status if status < 0 else status


def run_with_mount(settings: dict[str, Any], directory: Path, command: list[str]) -> int:
    delay_s = settings["delay_s"]
    rclone = [settings["rclone"], "mount", f"oscar:{settings['path']}", str(directory), *FLAGS]
    later = ["/bin/sh", "-c", 'sleep "$0"; exec "$@"', str(delay_s)] if delay_s else []
    with open("/run/mount.log", "wb") as log:
        sidecar = subprocess.Popen(
            [*later, *rclone, *settings["options"]],
            env=make_rclone_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + (0 if delay_s else READY_WAIT_S)
    while not is_mounted(directory) and sidecar.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    try:
        return run(command)
    finally:
        sidecar.terminate()
        try:
            sidecar.wait(FLUSH_WAIT_S)
        except subprocess.TimeoutExpired:
            print("sandbox: the mount did not end in time", file=sys.stderr)


def run_with_copies(settings: dict[str, Any], directory: Path, command: list[str]) -> int:
    print(
        "sandbox: FUSE does not work here, so the mount is simulated: the bucket's content is "
        "copied in before and new or changed files back after the script; deletions are not",
        file=sys.stderr,
        flush=True,
    )
    remote, environment = f"oscar:{settings['path']}", make_rclone_environment(settings)
    copy = [settings["rclone"], "copy"]
    subprocess.run([*copy, remote, str(directory)], env=environment, check=False)
    # Scripts, and the worker kit, wait until the mount is listed.
    with contextlib.suppress(OSError):
        fusermount.bind(str(directory))
    status = run(command)
    subprocess.run([*copy, str(directory), remote], env=environment, check=False)
    return status


def probe() -> int:
    directory = Path("/mnt/probe")
    directory.mkdir()
    try:
        fusermount.mount(str(directory), {"subtype": "probe"})
    except OSError as error:
        print(error)
        return 1
    fusermount.unmount(str(directory), lazy=True)
    return 0


def main(argv: list[str]) -> int:
    if argv == ["--probe"]:
        return probe()
    settings = json.load(sys.stdin)
    directory = Path("/mnt") / settings["path"]
    directory.mkdir(parents=True)
    way = run_with_mount if settings["fuse"] else run_with_copies
    return way(settings, directory, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
