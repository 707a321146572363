# SPDX-License-Identifier: Apache-2.0
"""Drops a config, and drops it again until its run has begun.

If MinIO or OSCAR's manager restarts at that moment, the event of a drop is lost, and nothing says
so. So the config contains the id of its run, and the run's first object and its report are looked
for. Two drops start one run: the second coordinator finds the first object and ends.

The run of a drop may have another id: an unfinished run of the same config is continued, one that
is at work is left alone, and a redrive is a new run. The report of each names the dropped file.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from ..model.errors import ClusterError, Ending
from ..model.run import Report
from ..model.service import Folder
from ..report.document import read_report
from ..report.values import BadDocument
from ..run.folder import RunState, list_run_ids, read_folder
from ..run.layout import REPORT_JSON, RunLayout, make_report_key
from ..run.plan_document import read_plan
from ..storage.bucket import Bucket
from .planning.canary import PASSED
from .runs.status import read_progress

log = logging.getLogger(__name__)

DROPS = 5
"""After so many drops without a run, `submit` gives up."""
LOOK_S = 1.0
_MOST_RUNS = 50
"""Only so many of the newest runs are looked at for one that a drop may continue."""
# A plan of a million chunks.
_MAX_BYTES = 512 * 1024 * 1024

Wait = Callable[[float], object]


@dataclass(frozen=True, slots=True)
class Drop:
    """A config to drop, and the places where its run can be seen."""

    content: bytes
    trigger: Bucket
    key: str
    state: Bucket
    layout: RunLayout
    reports: tuple[tuple[Bucket, Folder], ...]
    """Where OSCAR and the run put the report."""
    canary: RunLayout | None = None
    """Of the run that comes first, where the config asks for one."""
    redrive: bool = False
    """Whether the run of `layout` is an earlier one, which a new run processes again."""

    @property
    def what(self) -> str:
        """What begins, for messages."""
        return f"{'the redrive of ' if self.redrive else ''}run {self.layout.run_id}"

    def put(self) -> None:
        """Drops the config, and overwrites an earlier drop: every write starts a job."""
        self.trigger.write(self.key, self.content, "application/json")

    def has_begun(self) -> bool:
        """Whether the run wrote its first object, or ended early and left a report."""
        if self.redrive:
            return False
        runs = filter(None, (self.layout, self.canary))
        started = any(self.state.read_small(run.start, 4096) for run in runs)
        return started or self.read_report() is not None

    def list_ended_runs(self) -> frozenset[str]:
        """The ids of the runs that this drop cannot continue, before it is made."""
        runs = list_run_ids(self.state, self.layout)
        newest = frozenset(runs[:_MOST_RUNS])
        return frozenset(run for run in runs if run not in newest or not self._is_open(run))

    def find_other(self, ended: Collection[str]) -> str:
        """The id of the run that the drop began under another id, continued, or found at work."""
        name = self.key.rpartition("/")[2]
        for run_id in list_run_ids(self.state, self.layout):
            if run_id not in ended:
                key = make_report_key(self.layout.locations.state, run_id, REPORT_JSON)
                found = _decode(self.state.read_small(key, _MAX_BYTES)) or {}
                origin = found.get("origin")
                if isinstance(origin, dict) and origin.get("config") == name:
                    return run_id
        return ""

    def _is_open(self, run_id: str) -> bool:
        found = read_folder(self.state, self.layout.with_run(run_id), 0)
        return found is not None and found.state is not RunState.ENDED

    def read_plan(self) -> dict[str, Any] | None:
        """The plan of the run, once it is saved."""
        return _decode(self.state.read_small(self.layout.plan, _MAX_BYTES))

    def read_progress(self) -> str:
        """How far the run is, or its canary, in one line; empty if that is not known yet."""
        runs = filter(None, (self.layout, self.canary))
        return next(filter(None, (read_progress(self.state, run) for run in runs)), "")

    def read_report(self) -> dict[str, Any] | None:
        """The report of the run, once it ended, or of its canary, if it ended the run there."""
        if found := self._read_report(self.layout.run_id):
            return found
        found = self._read_report(self.canary.run_id) if self.canary else None
        return None if found and found.get("ending") in PASSED else found

    def _read_report(self, run_id: str) -> dict[str, Any] | None:
        """Reads the report of a run that has ended; a report so far does not count."""
        for bucket, folder in self.reports:
            key = make_report_key(folder, run_id, REPORT_JSON)
            found = _decode(bucket.read_small(key, _MAX_BYTES))
            if found and found.get("ending") != Ending.RUNNING:
                return found
        return None


def drop_until_begun(drop: Drop, patience_s: float, wait: Wait) -> Drop:
    """Drops the config until a run has begun for it; the drop with that run. Raises ClusterError.

    A redrive is dropped once, because every drop of it is a run of its own.
    """
    looks, ended = max(1, round(patience_s / LOOK_S)), drop.list_ended_runs()
    drops = 1 if drop.redrive else DROPS
    for number in range(DROPS):
        if number < drops:
            drop.put()
            log.info("dropped %s/%s", drop.trigger.name, drop.key)
        for _ in range(looks):
            wait(LOOK_S)
            if drop.has_begun():
                log.info("run %s has begun", drop.layout.run_id)
                return drop
            if run_id := drop.find_other(ended):
                log.info("run %s belongs to this drop", run_id)
                return replace(drop, layout=drop.layout.with_run(run_id), canary=None)
        log.warning("%s has not begun within %.0f s", drop.what, patience_s)
    raise ClusterError(
        f"{drop.what} has not begun after {drops} drops of {drop.key}: look at the log of "
        "the coordinator's service; its image may still be loading, it may have no free "
        "node, or it may refuse the config; where OSCAR 3.6 or 3.7 updated the service, drops no "
        "longer start it: delete it and deploy it again"
    )


def follow_run(
    drop: Drop, say: Callable[[str], None], show: Callable[[str], None], wait: Wait
) -> Report:
    """Waits for the end of a run and returns its report; says each step. Raises ClusterError.

    `show` gets how far the run is at every look.
    """
    plan = report = None
    while report is None:
        # In this order, because a report is written after its plan.
        report = drop.read_report()
        if plan is None and (plan := drop.read_plan()) is not None:
            index, chunks = plan.get("index") or {}, plan.get("chunks") or []
            say(f"planned: {index.get('items')} items in {len(chunks)} chunks")
        if report is None:
            if text := drop.read_progress():
                show(text)
            wait(LOOK_S)
    try:
        return read_report(report, read_plan(plan) if plan else None)
    except BadDocument as error:
        raise ClusterError(
            f"the report of run {drop.layout.run_id} cannot be read ({error}): is the coordinator "
            "of another version?"
        ) from error


def _decode(content: bytes | None) -> dict[str, Any] | None:
    """The object in a document; None while there is none or it is not whole."""
    try:
        found = json.loads(content or b"")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
