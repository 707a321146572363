# SPDX-License-Identifier: Apache-2.0
"""Turns a directory into the one place where a sandbox keeps everything, and empties it again.

A directory that holds anything else is refused, never emptied. A lock shows whether its sandbox
is alive.
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
    """The directory cannot be used, in one sentence."""


class State:
    """A claimed state directory; the lock goes when the process does."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._lock = -1

    def claim(self) -> None:
        directory = self.directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        marker = directory / MARKER
        if not marker.exists() and any(directory.iterdir()):
            raise StateError(f"{directory} is not empty and no sandbox made it: choose another")
        self._lock = os.open(marker, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(f"a sandbox is already up in {directory}: `down` it first") from None
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
    """All or nothing, for the owner's eyes only: it holds credentials."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    fresh.replace(path)


def read_announcement(directory: Path) -> dict[str, Any] | None:
    """What the sandbox that lives in the directory announced; None if none lives there."""
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
    """End the sandbox that lives in the directory; False if none does."""
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
