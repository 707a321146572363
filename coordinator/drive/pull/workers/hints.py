# SPDX-License-Identifier: Apache-2.0
"""Explains from OSCAR's list of jobs why workers are overdue. It proves nothing about their work.

The list is read only while a worker is overdue, and at most once a minute for each call that it
takes.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from ....model.cluster import JobList, Phase
from ....model.errors import ClusterError

log = logging.getLogger(__name__)

_CALL_S = 60.0
_TEXTS = {
    Phase.PENDING: "its job waits for a node, or is suspended",
    Phase.RUNNING: "its job runs and has given no sign of life yet: its image or model loads",
    Phase.SUCCEEDED: "its job ended without any sign of life: does its script start the kit?",
    Phase.FAILED: "its job failed before its worker gave a sign of life",
}
_GONE = "its job is not in OSCAR's list"


@dataclass(slots=True)
class JobHints:
    """The phases of jobs, as far as they were asked for."""

    list_jobs: Callable[[], JobList]
    named: bool
    """Whether jobs have the names that invocations ask for. If not, no job can be found."""
    _phases: dict[str, Phase | None] = field(default_factory=dict)
    _overdue: tuple[str, ...] = ()
    _next_s: float = 0.0

    def look(self, overdue: Collection[str], now_s: float) -> None:
        """Reads the list if some job is overdue and it is time."""
        self._overdue = tuple(overdue)
        if not overdue or not self.named or now_s < self._next_s:
            return
        self._next_s = now_s + _CALL_S
        try:
            jobs = self.list_jobs()
        except ClusterError as error:
            log.warning("why %d workers have not started is not known: %s", len(overdue), error)
            return
        self._next_s = now_s + _CALL_S * jobs.calls
        listed = any(job in jobs.phases for job in (*overdue, *self._phases))
        for job in overdue:
            # OSCAR may not list jobs that a service's token invoked.
            if listed:
                self._phases[job] = jobs.phases.get(job)

    def has_ended(self, job: str) -> bool:
        """Whether a job that gave no sign of life has ended."""
        phase = self._phases.get(job)
        return phase is not None and phase.final

    def describe(self) -> str:
        """Why workers wait, for a line of progress: the most frequent reason."""
        waiting = [text for job in self._overdue if (text := self.explain(job))]
        if not waiting:
            return ""
        text, count = Counter(waiting).most_common(1)[0]
        return f" ({count} waiting: {text})"

    def explain(self, job: str) -> str:
        """Why a worker has not started, as far as that is known."""
        if job not in self._phases:
            return ""
        phase = self._phases[job]
        return _GONE if phase is None else _TEXTS[phase]
