# SPDX-License-Identifier: Apache-2.0
"""Claims the directory in which a sandbox keeps everything, and empties it at the end.

A directory that holds anything else is refused and not changed. A lock shows whether the sandbox of
a directory runs.
"""

import fcntl
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from .process import reaper

MARKER = ".oscar-sandbox"
READY = "up.json"
STOP_WAIT_S = 15.0


class StateError(Exception):
    """The directory cannot be used; the message says why."""


class State:
    """A claimed state directory; its lock ends with the process."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._lock = -1

    def claim(self) -> None:
        directory = self.directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        marker = directory / MARKER
        if not marker.exists() and any(directory.iterdir()):
            raise StateError(
                f"{directory} holds files that are not a sandbox's: choose another directory"
            )
        self._lock = os.open(marker, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(
                f"a sandbox is already up in {directory}: end it with `down` first"
            ) from None
        reaper.kill_orphans(directory)
        self.clean()
        for name in ("jobs", "storage"):
            (directory / name).mkdir()

    def clean(self) -> None:
        for entry in self.directory.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            elif entry.name != MARKER:
                entry.unlink()


def write_private(path: Path, document: dict[str, Any]) -> None:
    """Write the whole file at once, readable by its owner only: it holds credentials."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    fresh.replace(path)


def read_announcement(directory: Path) -> dict[str, Any] | None:
    """What the running sandbox of the directory announced, {} before that; None if none runs."""
    marker = directory / MARKER
    if not marker.exists():
        return None
    with marker.open("r+b") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            try:
                document: dict[str, Any] = json.loads((directory / READY).read_text("utf-8"))
            except FileNotFoundError:
                return {}
            return document
    return None


def stop(directory: Path) -> bool:
    """End the running sandbox of the directory; False if none runs."""
    found = read_announcement(directory)
    if not found:
        return False
    os.kill(found["pid"], signal.SIGTERM)
    deadline = time.monotonic() + STOP_WAIT_S
    while read_announcement(directory) is not None:
        if time.monotonic() > deadline:
            os.kill(found["pid"], signal.SIGKILL)
            deadline = float("inf")
        time.sleep(0.02)
    return True
