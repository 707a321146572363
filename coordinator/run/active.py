# SPDX-License-Identifier: Apache-2.0
"""Finds and registers the newest run of a batch.

A batch is the work that a config asks for: the same config dropped twice is one batch. Every run
creates the next number in the folder of its batch. Nothing there is deleted, so the highest number
names the newest run.
"""

from __future__ import annotations

import json

from ..model.errors import StorageError, clean_text
from ..storage.bucket import Bucket
from ..storage.pages import ListQuery
from .layout import RunLayout

_MAX_BYTES = 4096


def find_newest_run(state: Bucket, layout: RunLayout, batch: str) -> tuple[int, str]:
    """The number and the id of the newest run of a batch; 0 and empty if it has none.

    Raises StorageError if the object that names it cannot be read.
    """
    number = max(_list_numbers(state, layout, batch), default=0)
    return (number, _read_run(state, layout.active(batch, number))) if number else (0, "")


def list_runs(state: Bucket, layout: RunLayout, batch: str, most: int) -> list[str]:
    """The ids of the newest runs of a batch, at most `most`. Raises StorageError."""
    numbers = sorted(_list_numbers(state, layout, batch), reverse=True)
    return [_read_run(state, layout.active(batch, number)) for number in numbers[:most]]


def register_run(state: Bucket, layout: RunLayout, batch: str, number: int, process: str) -> None:
    """Makes the run the newest of its batch. Raises Conflict if another run took the number."""
    content = json.dumps({"run": layout.run_id, "process": process}).encode()
    state.put_new(layout.active(batch, number), content, "application/json")


def _list_numbers(state: Bucket, layout: RunLayout, batch: str) -> list[int]:
    folder = layout.batch(batch)
    keys = [key for page in state.list_objects(ListQuery(folder)) for key in page.keys]
    names = [key.decode(errors="replace").removeprefix(folder) for key in keys]
    return [int(name) for name in names if name.isascii() and name.isdecimal()]


def _read_run(state: Bucket, key: str) -> str:
    try:
        found = json.loads(state.read_small(key, _MAX_BYTES) or b"")
    except (ValueError, RecursionError):
        found = None
    name = found.get("run") if isinstance(found, dict) else None
    if not isinstance(name, str) or not name:
        raise StorageError(
            f"{state.name}/{clean_text(key)} should name the newest run of this config and cannot "
            "be read: delete it, or set run.new: true to start another run"
        )
    return clean_text(name, 80)
