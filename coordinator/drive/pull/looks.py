# SPDX-License-Identifier: Apache-2.0
"""Looks at the folder of a run: the beats that changed and the results that are new.

Every result is read once. Beats are read before results, so that a process that is seen to have
ended has no result that the same look does not see.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from ...model.pull.documents import Beat, ChunkResult
from ...model.pull.lanes import Timing
from ...model.selection import parse_time
from ...report.values import BadDocument
from ...run.layout import ResultKey, RunLayout
from ...run.pull_documents import decode_document
from ...storage.bucket import Bucket
from ...storage.pages import ListQuery
from .ledger import Ledger
from .workers.judge import Sighting

log = logging.getLogger(__name__)

# `Last-Modified` may have whole seconds, so two beats within one second look the same.
_TICK = timedelta(seconds=2)
MOST_BEAT_BYTES = 64 * 1024
# A thousand failed items, each with its key and 2 KB of stderr in the longest escapes of JSON.
MOST_RESULT_BYTES = 32 * 1024 * 1024


class Looks:
    """What the looks at one run showed so far."""

    def __init__(
        self,
        state: Bucket,
        layout: RunLayout,
        ledger: Ledger,
        timing: Timing,
        warn: Callable[[str], None],
    ) -> None:
        self._state, self._layout, self._ledger = state, layout, ledger
        self._timing, self._warn = timing, warn
        self._blind = False
        """Whether the last look failed."""
        self.stopped = False
        """Whether somebody asked for the end of the run."""
        self._young: set[str] = set()
        """Processes whose beat may have been written again in the second when it was read."""
        self.sightings: dict[str, Sighting] = {}
        """By process."""

    def look(self) -> datetime:
        """Reads what is new; the storage's clock before that. Raises StorageError."""
        blind, self._blind = self._blind, True
        now = self._state.read_clock(self._layout.start)
        self.stopped = self.stopped or self._state.exists(self._layout.stop)
        if blind:  # what was seen before a failed call proves nothing
            later = now + timedelta(seconds=self._timing.look_gap_s)
            self.sightings = {
                process: replace(each, first_look=later) for process, each in self.sightings.items()
            }
        self._look_at_beats(now)
        self._look_at_results()
        self._blind = False
        return now

    def list_claims(self) -> dict[tuple[int, int], datetime]:
        """When the newest attempt at each chunk of the round was claimed. Raises StorageError."""
        number, found = self._ledger.round.number, dict[tuple[int, int], datetime]()
        query = ListQuery(self._layout.claims(number), times=True)
        for page in self._state.list_objects(query):
            for raw, time in zip(page.keys, page.times or (), strict=True):
                key = self._layout.parse_claim(number, raw.decode(errors="replace"))
                if key:  # in the order of their attempts
                    found[key.lane, key.chunk] = parse_time(time)
        return found

    def _look_at_beats(self, now: datetime) -> None:
        for page in self._state.list_objects(ListQuery(self._layout.beats, times=True)):
            for key, time in zip(page.keys, page.times or (), strict=True):
                name, modified = key.decode(), parse_time(time)
                known = self.sightings.get(self._layout.parse_beat(name))
                young = self._layout.parse_beat(name) in self._young
                if known is None or known.modified != modified or young:
                    self._read_beat(name, modified, now)

    def _read_beat(self, key: str, modified: datetime, now: datetime) -> None:
        content = self._state.read_small(key, MOST_BEAT_BYTES)
        try:
            beat = decode_document(Beat, content or b"")
        except BadDocument as error:
            log.warning("%s/%s is no beat: %s", self._state.name, key, error)
            return
        process = self._layout.parse_beat(key)
        known = self.sightings.get(process)
        if known and known.modified == modified:
            self.sightings[process] = replace(known, beat=beat)
        else:
            self.sightings[process] = Sighting(beat, modified, now)
        (self._young.add if now - modified < _TICK else self._young.discard)(process)

    def _look_at_results(self) -> None:
        number = self._ledger.round.number
        folder = self._layout.results(number)
        for page in self._state.list_objects(ListQuery(folder)):
            for raw in page.keys:
                key = self._layout.parse_result(number, raw.decode(errors="replace"))
                if key and self._ledger.is_new(key):
                    self._read_result(key)

    def _read_result(self, key: ResultKey) -> None:
        name = self._layout.result(self._ledger.round.number, key)
        content = self._state.read_small(name, MOST_RESULT_BYTES)
        try:
            self._ledger.add(key, decode_document(ChunkResult, content or b""))
        except BadDocument as error:
            # Nobody processes a chunk again that has a result.
            self._ledger.close(key)
            self._warn(
                f"{self._state.name}/{name} cannot be read ({error}): the items of its chunk "
                "count as pending"
            )
