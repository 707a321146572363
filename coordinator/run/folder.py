# SPDX-License-Identifier: Apache-2.0
"""Reads the state of a run from its folder, without asking OSCAR."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from ..model.pull.documents import End
from ..model.selection import parse_time
from ..report.values import BadDocument
from ..storage.bucket import Bucket
from ..storage.pages import ListQuery
from .layout import RunLayout
from .lease import LeaseState, read_lease
from .pull_documents import decode_document

_MAX_BYTES = 64 * 1024


class RunState(StrEnum):
    """Whether somebody drives a run."""

    RUNNING = "running"
    LEFT = "left"
    """Nobody drives it: its coordinator left, or gave no sign of life for too long."""
    STOPPING = "stopping"
    """It has a `stop` and is being ended."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The small objects of one run."""

    layout: RunLayout
    state: RunState
    began: datetime | None = None
    """When it began, by the storage's clock; None if its folder was cleaned."""
    lease: LeaseState = field(default_factory=lambda: LeaseState({}))
    service: str = ""
    data: str = ""
    """The folder of its items."""
    end: End | None = None
    ended: datetime | None = None
    planned: bool = False

    @property
    def run_id(self) -> str:
        return self.layout.run_id


def find_runs(state: Bucket, layout: RunLayout, ttl_s: float) -> list[RunFolder]:
    """All runs of a state folder, the newest first. Raises StorageError."""
    looks = (
        read_folder(state, layout.with_run(run_id), ttl_s) for run_id in list_run_ids(state, layout)
    )
    found = [each for each in looks if each]
    return sorted(found, key=_sort, reverse=True)


def list_run_ids(state: Bucket, layout: RunLayout) -> list[str]:
    """The ids of the folders that may be those of runs, the newest first. Raises StorageError."""
    folders = state.list_folders(layout.locations.state.prefix, every=True)
    return sorted(_name(folders, layout), reverse=True)


def read_folder(state: Bucket, layout: RunLayout, ttl_s: float) -> RunFolder | None:
    """Reads the folder of a run; None if there is no such run. Raises StorageError.

    A folder without start.json and end.json has only the report of a drop that changed nothing.
    """
    times = _list_times(state, layout)
    raw = read_json(state, layout.start) if layout.start in times else {}
    found = RunFolder(
        layout,
        RunState.ENDED,
        times.get(layout.start),
        service=str(raw.get("service") or ""),
        data=str(raw.get("data") or ""),
        planned=layout.plan in times,
    )
    if layout.end in times:
        return replace(found, end=_read_end(state, layout), ended=times[layout.end])
    if layout.start not in times:
        return None
    lease = read_lease(state, layout)
    driven = RunState.RUNNING if lease.is_held(ttl_s) else RunState.LEFT
    return replace(found, state=RunState.STOPPING if layout.stop in times else driven, lease=lease)


def read_json(state: Bucket, key: str, limit_bytes: int = _MAX_BYTES) -> dict[str, Any]:
    """Reads the JSON object at a key; returns an empty one if it is missing or damaged."""
    try:
        found = json.loads(state.read_small(key, limit_bytes) or b"")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _name(folders: list[str], layout: RunLayout) -> Iterator[str]:
    """The ids of the runs whose folders these may be."""
    for folder in folders:
        if layout.is_run(folder):
            yield folder.removeprefix(layout.locations.state.prefix).rstrip("/")


def _sort(run: RunFolder) -> tuple[bool, str, str]:
    moment = run.began or run.ended
    return run.began is not None, moment.isoformat() if moment else "", run.run_id


def _list_times(state: Bucket, layout: RunLayout) -> dict[str, datetime]:
    """The objects directly in the folder of a run, with the times when they were written."""
    query = ListQuery(layout.folder, recursive=False, times=True)
    return {
        key.decode(errors="replace"): parse_time(time)
        for page in state.list_objects(query)
        for key, time in zip(page.keys, page.times or (), strict=True)
    }


def _read_end(state: Bucket, layout: RunLayout) -> End | None:
    """Reads end.json; None if it cannot be read."""
    try:
        return decode_document(End, state.read_small(layout.end, _MAX_BYTES) or b"")
    except BadDocument:
        return None
