# SPDX-License-Identifier: Apache-2.0
"""Starts what `up --with examples` adds: the services of the examples, with their data."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .jobs.pods import Image, parse_image
from .state import StateError

REPOSITORY = Path(__file__).resolve().parents[1]
_COMMAND = (sys.executable, "-m", "examples.provide")


def fill_images(folder: Path) -> Sequence[Image]:
    """The folders that stand for the images of the examples. Raises StateError."""
    if not (REPOSITORY / "examples" / "provide.py").is_file():
        raise StateError("--with examples: they are in the repository only; clone it")
    filled = subprocess.run(
        [*_COMMAND, "images", str(folder)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    if filled.returncode:
        raise StateError("--with examples: their images could not be made, see above")
    return [parse_image(line) for line in filled.stdout.splitlines()]


def start_services(folder: Path, ready: Path) -> None:
    """Deploys the examples when the sandbox is up; returns at once."""
    command = [*_COMMAND, "services", str(folder), "--ready", str(ready)]
    command += ["--pid", str(os.getpid())]
    subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=sys.stderr)
