# SPDX-License-Identifier: Apache-2.0
"""Enters a run: begins a new one, or continues the unfinished run of the same config.

    run.id names a run that has begun          continue it
    the newest run of the config has no end    continue it
    else, or with run.new                      begin the next run

A run whose coordinator is alive is left alone (HeldByOther), and so is one that has ended, if
`run.id` names it (AlreadyEnded).
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from ...model.errors import AlreadyEnded, ConfigError, Conflict, HeldByOther, clean_text
from ...model.run import Plan
from ...run.active import find_newest_run, register_run
from ...run.folder import read_json
from ...run.layout import REPORT_JSON, RunLayout, make_report_key
from ...run.lease import Lease, compute_ttl_s, take_lease
from ...run.store import load_plan
from ...storage.bucket import Bucket

log = logging.getLogger(__name__)

_MAX_REPORT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """A run that this coordinator may drive."""

    lease: Lease
    plan: Plan | None
    """The plan of an earlier coordinator, which is continued; None for a new run."""
    exclusive: bool
    """Whether the storage honours conditional writes."""

    @property
    def layout(self) -> RunLayout:
        return self.lease.layout


@dataclass(frozen=True, slots=True)
class BatchRuns:
    """The runs of one config, and how one of them is entered."""

    state: Bucket
    batch: str
    """The key of the batch."""
    ttl_s: float
    read_clock: Callable[[], datetime]
    second: bool = False
    """Whether a run may start beside an unfinished one."""
    about: Mapping[str, str] = field(default_factory=dict)
    """The first object of a new run."""
    canary: str = ""
    """The run of the canary, which did a few of the items."""

    def enter(self, layout: RunLayout) -> Entry:
        """Begins or continues a run. Raises BatchError."""
        # The end of a run stays when its folder is removed.
        if self.state.exists(layout.start) or self.state.exists(layout.end):
            self._refuse_foreign(layout)
            return self._continue(layout)
        begun: Entry | None = None
        while True:
            number, newest = find_newest_run(self.state, layout, self.batch)
            if newest and not self.second:
                other = layout.with_run(newest)
                if not self.state.exists(other.end):
                    return self._continue(other)
            begun = begun or self._begin(layout)
            try:
                register_run(self.state, begun.layout, self.batch, number + 1, secrets.token_hex(8))
            except Conflict:
                log.info("another run of this config starts at this moment")
                continue
            return begun

    def _begin(self, layout: RunLayout) -> Entry:
        names = {"run": layout.run_id, "process": secrets.token_hex(8)}
        canary = {"canary": self.canary} if self.canary else {}
        content = json.dumps({**names, **self.about, **canary}).encode()
        with suppress(Conflict):  # a second drop with the same id wrote it: the lease decides
            self.state.put_new(layout.start, content, "application/json")
        return self._take(layout, None)

    def _continue(self, layout: RunLayout) -> Entry:
        self._refuse_ended(layout)
        entry = self._take(layout, load_plan(self.state, layout.plan))
        self._refuse_ended(layout)  # its coordinator may have ended it before the lease was taken
        log.info("continuing run %s under epoch %d", layout.run_id, entry.layout.epoch)
        return entry

    def _refuse_foreign(self, layout: RunLayout) -> None:
        """Raises ConfigError if a run that the config names is of another service or folder.

        One that has a `stop` only ends, and that needs neither.
        """
        begun = read_json(self.state, layout.start)
        others = {
            name: clean_text(str(begun[name]), 120)
            for name, own in self.about.items()
            if begun.get(name) and begun[name] != own
        }
        if others and not self.state.exists(layout.stop):
            said = " and ".join(f"{name} {text}" for name, text in others.items())
            raise ConfigError(
                [
                    f"run.id: run {layout.run_id} is of {said}, and this config names another: "
                    "drop the config that the run was begun with, or leave run.id out"
                ]
            )

    def _refuse_ended(self, layout: RunLayout) -> None:
        if self.state.exists(layout.end):
            raise AlreadyEnded(
                f"run {layout.run_id} has ended, and this drop changes nothing; run.redrive: true "
                "processes what failed or is pending in it, in a new run"
            )

    def _take(self, layout: RunLayout, plan: Plan | None) -> Entry:
        exclusive = self.state.honours_condition(layout.probe)
        ttl_s = compute_ttl_s(self.ttl_s, exclusive=exclusive)
        try:
            lease = take_lease(self.state, layout, ttl_s, self.read_clock)
        except HeldByOther as error:
            raise HeldByOther(f"{error}{self._describe_progress(layout)}") from error
        return Entry(lease, plan, exclusive)

    def _describe_progress(self, layout: RunLayout) -> str:
        """How far the run of another coordinator is, from its report so far."""
        key = make_report_key(layout.locations.state, layout.run_id, REPORT_JSON)
        try:
            report = json.loads(self.state.read_small(key, _MAX_REPORT_BYTES) or b"")
            counts = report["counts"]
            return (
                f". It began at {report['started_at']}; {counts['done']} of {counts['listed']} "
                f"items were done and {counts['failed']} had failed at {report['finished_at']}"
            )
        except (ValueError, RecursionError, KeyError, TypeError):
            return ". It has left no report yet"
