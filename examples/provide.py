# SPDX-License-Identifier: Apache-2.0
"""The services of the examples, with some data each, on a sandbox that somebody else runs.

`python -m sandbox up --with examples` uses it twice: before the sandbox starts, for the folders
that stand for images (`images`), and when it is up (`services`).
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
from pathlib import Path

from examples.catalogue import EXAMPLES, Example
from examples.demo import Demo
from sandbox.handle import Sandbox, wait_until

ITEMS = 12
_WAIT_S = 60.0


def list_possible() -> list[Example]:
    """The examples that this machine can run: one trains a model, another one needs ffmpeg."""
    missing = {
        "digits": importlib.util.find_spec("sklearn") is None,
        "spectrograms": shutil.which("ffmpeg") is None,
    }
    return [example for name, example in EXAMPLES.items() if not missing.get(name)]


def provide_images(folder: Path) -> None:
    """Fills the folders, and prints the option of the sandbox for each."""
    shutil.rmtree(folder, ignore_errors=True)
    for example in list_possible():
        if example.programs:
            print(example.fill_image(folder / example.name / "image"))


def provide_services(folder: Path, ready: Path, pid: int) -> None:
    """Deploys all services and the coordinator once the sandbox is up, and uploads their data."""

    def find() -> Sandbox | None:
        found = Sandbox.read(ready) if ready.exists() else None
        return found if found and found.pid == pid else None  # not what an earlier one left

    sandbox = wait_until(find, _WAIT_S, lambda: "the sandbox is not up")
    for example in list_possible():
        build = folder / example.name
        build.mkdir(parents=True, exist_ok=True)
        demo = Demo(example, sandbox, build)
        demo.deploy()
        demo.upload(ITEMS)


def main() -> None:
    parser = argparse.ArgumentParser(prog="examples.provide")
    parser.add_argument("what", choices=("images", "services"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ready", type=Path, help="the ready file of the sandbox")
    parser.add_argument("--pid", type=int, help="its process")
    arguments = parser.parse_args()
    if arguments.what == "images":
        provide_images(arguments.folder)
    else:
        provide_services(arguments.folder, arguments.ready, arguments.pid)


if __name__ == "__main__":
    main()
