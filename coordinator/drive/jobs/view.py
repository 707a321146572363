# SPDX-License-Identifier: Apache-2.0
"""Shows how far a run is whose jobs are followed, and keeps the times of its jobs.

In event mode a lane of the timeline is a part of the window, and a bar is an item: from its
invocation to the look that found its end. In range mode a lane is the invocation of a chunk, and a
bar is its job: from the times that OSCAR lists. No call is made for any of it.
"""

from __future__ import annotations

import logging
from array import array
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

from ...model.errors import StorageError
from ...model.items import Chunk
from ...model.pull.findings import MOST_FAILURES, ItemFailure
from ...model.pull.history import History, Span
from ...model.service import Mode
from ..progress import Progress
from ..pull.history import Recorder, read_moment
from ..rate import Rate
from .job_run import JobRun
from .judge import LineState
from .ledger import ItemLedger
from .outcomes import account_items, list_outcomes, settle_by_outputs
from .window import Flight

# The chunks are counted no more often than this: there may be many.
_OUTCOMES_S = 10.0
# The outputs are listed this often, and that takes at most this part of the time.
_OUTPUTS_S, _SHARE = 10.0, 0.05

log = logging.getLogger(__name__)


class JobView:
    """What is shown of a run, from its ledger."""

    def __init__(self, run: JobRun, ledger: ItemLedger, progress: Progress) -> None:
        self._run, self._ledger, self._progress = run, ledger, progress
        self._rate, self._recorder = Rate(), Recorder()
        self._failures: dict[int, ItemFailure] = {}
        """The first failed items, by line."""
        self._chunks: dict[tuple[int, int], Chunk] = {}
        """The chunks whose jobs have ended, by round and number."""
        self._lines: dict[int, array[int]] = {}
        """The lines of the items of later rounds."""
        self._next_s, self._outputs_s = 0.0, run.clock.now_s() + _OUTPUTS_S
        progress.make_history = self._make_history

    @property
    def started_at(self) -> datetime:
        """When this coordinator began."""
        return self._progress.started_at

    def begin_round(self, number: int, lines: array[int]) -> None:
        """Begins a later round of range mode, of these lines of the index."""
        self._lines[number] = lines

    def show(self, round_: int, in_flight: int) -> None:
        """Shows the counts of now, and the speed since the run began or was continued."""
        progress, now_s = self._progress, self._run.clock.now_s()
        failures = tuple(self._failures.values())
        progress.accounts = found = account_items(self._run.plan, self._ledger, failures)
        if now_s >= self._next_s:
            progress.outcomes |= list_outcomes(self._run.plan, self._ledger)
            self._next_s = now_s + _OUTCOMES_S
        settled = found.done + found.failed + found.unconfirmed
        pending = self._run.plan.index.items - settled
        progress.speed = self._rate.measure(settled, pending, now_s)
        again = f"round {round_}, " if round_ > 1 else ""
        jobs = "job" if in_flight == 1 else "jobs"
        progress.show(f"{again}{in_flight:,} {jobs} in flight")

    def show_outputs(self, round_: int, in_flight: int) -> None:
        """The same, with the items whose outputs are there by now."""
        proof, now_s = self._run.proof, self._run.clock.now_s()
        if proof and now_s >= self._outputs_s:
            try:
                index = self._run.state.read_pieces(self._run.plan.index_key)
                existing = proof.list_outputs()
                settle_by_outputs(self._ledger, index, proof.outputs, existing, final=False)
            except StorageError as error:
                log.warning("the outputs so far are not counted: %s", error)
            spent_s = self._run.clock.now_s() - now_s
            self._outputs_s = now_s + max(_OUTPUTS_S, spent_s / _SHARE)
        self.show(round_, in_flight)

    def note_item(self, number: int, flight: Flight, state: LineState, reason: str) -> None:
        """Keeps the time of an item in round `number`, and why it failed if it is among the first.

        Its failure is forgotten when it is done after all.
        """
        line, key = flight.entry.line, flight.entry.key
        if state is not LineState.FAILED:
            self._failures.pop(line, None)
        elif len(self._failures) < MOST_FAILURES:
            self._failures[line] = ItemFailure(key, reason, attempts=number)
        now = self._progress.clock()
        began = now - timedelta(seconds=self._run.clock.now_s() - flight.sent_s)
        self._add(f"lane {flight.lane:03}", (began, now), number, line + 1, state)

    def note_chunk(self, number: int, flight: Flight, chunk: Chunk) -> None:
        """Keeps the time of the job of a chunk in round `number`."""
        now = self._progress.clock()
        sent = now - timedelta(seconds=self._run.clock.now_s() - flight.sent_s)
        began = read_moment(flight.times.started) or sent
        ended = read_moment(flight.times.ended) or now
        again = f", round {number}" if number > 1 else ""
        name = f"chunk {chunk.number:03}{again}"
        self._chunks[number, chunk.number] = chunk
        self._add(name, (began, ended), number, chunk.number, LineState.UNCONFIRMED)

    def _add(
        self,
        lane: str,
        times: tuple[datetime, datetime],
        round_: int,
        number: int,
        state: LineState,
    ) -> None:
        began, ended = times
        done, failed = int(state is LineState.DONE), int(state is LineState.FAILED)
        ended = max(began, ended)
        span = Span(lane, began, ended, round_, 0, number, done=done, failed=failed)
        self._recorder.add_span(span, lane)

    def _make_history(self) -> History:
        history = self._recorder.make_history()
        if self._run.plan.mode is not Mode.RANGE:
            return history
        return replace(history, spans=tuple(map(self._count_span, history.spans)))

    def _count_span(self, span: Span) -> Span:
        """A chunk with what became of its items.

        It is not known of several chunks together, and of rounds that an earlier coordinator cut.
        """
        chunk, lines = self._chunks[span.round, span.chunk], self._lines.get(span.round)
        if span.chunks > 1 or (span.round > 1 and lines is None):
            return span
        if lines is None:
            found = self._ledger.count(chunk.start, chunk.stop)
        else:
            found = Counter(map(self._ledger.read, lines[chunk.start : chunk.stop]))
        return replace(span, done=found[LineState.DONE], failed=found[LineState.FAILED])
