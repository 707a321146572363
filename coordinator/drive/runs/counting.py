# SPDX-License-Identifier: Apache-2.0
"""Counts the items and the workers of a pull run from its results and its beats."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime, timedelta

from ...model.pull.documents import BeatState
from ...model.pull.findings import WorkerState
from ...model.pull.lanes import Lanes
from ...model.run import Plan
from ...run.layout import RunLayout
from ...storage.bucket import Bucket
from ..pull.ledger import Ledger
from ..pull.looks import Looks
from ..pull.rounds import has_table, make_first_round, open_retries, read_counted
from ..pull.workers.judge import Sighting

log = logging.getLogger(__name__)


class ResultCounter:
    """Counts results. Reads each result once: a second count reads only new ones."""

    def __init__(self, state: Bucket, layout: RunLayout, plan: Plan, lanes: Lanes) -> None:
        self._state, self._layout, self._plan, self._lanes = state, layout, plan, lanes
        self._ledger = Ledger(plan.index.items)
        self._looks = Looks(state, layout, self._ledger, lanes.timing, log.warning)
        first = make_first_round(plan, lanes)
        self._ledger.begin_round(first, read_counted(state, layout, 1))

    def count(self) -> tuple[dict[str, int], dict[str, int]]:
        """The items by state as a report has them, and the workers by state. StorageError."""
        now = self._looks.look()
        while self._next_round():
            now = self._looks.look()
        items = self._plan.index.count_objects(self._ledger.done, self._ledger.failed)
        lost_after = timedelta(seconds=self._lanes.timing.lost_after_s)
        sightings = self._looks.sightings.values()
        workers = Counter(str(judge_beat(each, now, lost_after)) for each in sightings)
        return items, dict(sorted(workers.items()))

    def _next_round(self) -> bool:
        """Begins the next round if all of this one is settled and somebody cut it."""
        ledger, number = self._ledger, self._ledger.round.number + 1
        if ledger.open_chunks or not ledger.has_retries():
            return False
        if not has_table(self._state, self._layout, number):
            return False
        ledger.choose_retries()
        round_ = open_retries(self._state, self._layout, self._plan, self._lanes, ledger)
        ledger.begin_round(round_, read_counted(self._state, self._layout, number))
        return True


def judge_beat(seen: Sighting, now: datetime, lost_after: timedelta) -> WorkerState:
    """Judges a process by its last beat."""
    if seen.beat.state is BeatState.ENDED:
        return WorkerState.ENDED
    return WorkerState.GONE if now - seen.modified > lost_after else WorkerState.WORKING
