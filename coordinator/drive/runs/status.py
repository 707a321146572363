# SPDX-License-Identifier: Apache-2.0
"""Reads how far a run is from its folder, without asking OSCAR.

the run                                     its items and workers are counted from
driven, running or stopping                 progress.json, which its coordinator refreshes
driven by nobody, in pull mode              the results and the beats
driven by nobody, in another mode           progress.json, as far as it was known then
ended, with the report that it ended with   end.json
ended, with another report, in pull mode    the results
ended, with another report, another mode    end.json
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from ...model.errors import ConfigError
from ...model.pull.documents import End
from ...model.run import Plan, Speed
from ...model.service import Folder
from ...run.folder import RunFolder, RunState, find_runs, read_folder, read_json
from ...run.layout import RunLayout, make_report_key
from ...run.store import load_plan
from ...storage.bucket import Bucket
from .counting import ResultCounter

_MAX_REPORT_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How far a run is."""

    folder: RunFolder
    counts: Mapping[str, int] = field(default_factory=dict)
    """Items by state; empty if not known yet."""
    source: str = ""
    """Where the counts are from."""
    workers: Mapping[str, int] = field(default_factory=dict)
    """By state: the invocations if a coordinator drives the run, else the workers' processes."""
    speed: Speed | None = None
    message: str = ""
    """What its coordinator does."""
    foreign_report: bool = False
    """Whether the report in the folder is not the one that the run ended with."""


def find_newest(state: Bucket, layout: RunLayout, service: str, ttl_s: float) -> RunLayout:
    """The newest run of a service and a data folder. Raises ConfigError if there is none."""
    data = layout.locations.data
    for run in find_runs(state, layout, ttl_s):
        known = not run.service or (run.service == service and Folder.parse(run.data) == data)
        if run.began and known:
            return run.layout
    raise ConfigError(
        [f"there is no run of {service} on {data} in {layout.locations.state}; `runs` lists all"]
    )


class StatusReader:
    """Reads the status of one run, as often as it is asked to."""

    def __init__(self, state: Bucket, layout: RunLayout, ttl_s: float) -> None:
        self._state, self._layout, self._ttl_s = state, layout, ttl_s
        self._plan: Plan | None = None
        self._counter: ResultCounter | None = None

    def read(self) -> RunStatus:
        """The status now. Raises StorageError, and ConfigError if there is no such run."""
        folder = read_folder(self._state, self._layout, self._ttl_s)
        if folder is None:
            where = self._layout.locations.state
            raise ConfigError([f"there is no run {self._layout.run_id} in {where}"])
        if folder.end:
            return self._read_ended(folder, folder.end)
        progress = read_json(self._state, self._layout.progress)
        if folder.lease.is_held(self._ttl_s) and progress:
            return _describe_progress(folder, progress)
        return self._count(folder) or _describe_progress(folder, progress)

    def _read_ended(self, folder: RunFolder, end: End) -> RunStatus:
        foreign = folder.began is not None and not self._has_files(end)
        counted = self._count(folder, foreign=True) if foreign else None
        return counted or RunStatus(folder, end.counts, "end.json", foreign_report=foreign)

    def _count(self, folder: RunFolder, *, foreign: bool = False) -> RunStatus | None:
        """The status, counted from the results; None if the mode writes none."""
        if self._plan is None and folder.planned:
            self._plan = load_plan(self._state, self._layout.plan)
        plan = self._plan
        if plan is None or plan.lanes is None:
            return None
        if self._counter is None:
            self._counter = ResultCounter(self._state, self._layout, plan, plan.lanes)
        counts, workers = self._counter.count()
        return RunStatus(folder, counts, "the results", workers, foreign_report=foreign)

    def _has_files(self, end: End) -> bool:
        """Whether the report in the folder is the one that the end of the run names."""
        return all(digest == self._digest(name) for name, digest in end.files.items())

    def _digest(self, name: str) -> str:
        key = make_report_key(self._layout.locations.state, self._layout.run_id, name)
        return sha256(self._state.read_small(key, _MAX_REPORT_BYTES) or b"").hexdigest()


def read_progress(state: Bucket, layout: RunLayout) -> str:
    """What the coordinator of a run says of it, in one line; empty if it has said nothing yet."""
    progress = read_json(state, layout.progress)
    text, speed = str(progress.get("message") or ""), _read_speed(progress)
    return f"{text}; {speed.describe()}" if text and speed else text


def write_status(status: RunStatus) -> dict[str, Any]:
    """A status as JSON values."""
    folder, speed = status.folder, status.speed
    known = speed if speed and speed.items_per_s else None
    return {
        "schema": "oscar-batch/status/1",
        **write_folder(folder),
        "counts": dict(status.counts),
        "counted_from": status.source,
        "workers": dict(status.workers),
        "items_per_s": speed.items_per_s if speed else None,
        "left_s": known.left_s if known else None,
        "left_s_range": [known.least_left_s, known.most_left_s] if known else None,
        "report_replaced": status.foreign_report,
    }


def write_folder(run: RunFolder) -> dict[str, Any]:
    """What the folder of a run says, as JSON values."""
    return {
        "run": run.run_id,
        "state": str(run.state),
        "service": run.service,
        "data": run.data,
        "began": run.began.isoformat() if run.began else None,
        "ended": run.ended.isoformat() if run.ended else None,
        "ending": run.end.ending if run.end else None,
        "epoch": run.lease.epoch or None,
        "lease_age_s": run.lease.age_s if run.lease.epoch else None,
        "left": run.lease.left,
    }


def read_counts(state: Bucket, run: RunFolder) -> dict[str, int]:
    """The items of a run by state, from end.json or else progress.json; empty without either."""
    if run.end:
        return dict(run.end.counts)
    return dict(_read_counts(read_json(state, run.layout.progress).get("counts")))


def _describe_progress(folder: RunFolder, progress: Mapping[str, Any]) -> RunStatus:
    """The status that the coordinator of a run wrote last."""
    return RunStatus(
        folder,
        dict(_read_counts(progress.get("counts"))),
        "progress.json" if progress else "",
        dict(_read_counts(progress.get("workers"))),
        _read_speed(progress) if folder.state is RunState.RUNNING else None,
        str(progress.get("message") or ""),
    )


def _read_counts(raw: object) -> Iterator[tuple[str, int]]:
    for name, count in raw.items() if isinstance(raw, dict) else ():
        if type(count) is int:
            yield str(name), count


def _read_speed(progress: Mapping[str, Any]) -> Speed | None:
    """The speed of a run; None if it is not known."""
    numbers = [progress.get("items_per_s"), progress.get("left_s")]
    spread = progress.get("left_s_range")
    numbers += spread if isinstance(spread, list) and len(spread) == 2 else [None, None]
    found = [each if isinstance(each, int | float) else 0.0 for each in numbers]
    return Speed(*map(float, found)) if found[0] else None
