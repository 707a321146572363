# SPDX-License-Identifier: Apache-2.0
"""What a run has done so far, from which a report can be made at any moment.

The only value of a run that changes. `batch` records each result here, so that a run has a complete
report also if it ends by an error or Ctrl-C.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..model.cluster import Capacity
from ..model.errors import (
    MAX_MESSAGE,
    SHORTEST_HIDDEN,
    Ending,
    clean_text,
    escape_text,
    hide_secrets,
)
from ..model.run import Outcome, Plan, Report, Stage
from .endings import end_interrupted

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]


def read_utc_clock() -> datetime:
    """The present time in UTC, in whole milliseconds, as reports have it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@dataclass(slots=True)
class Progress:
    """A run until it ends."""

    clock: Clock = read_utc_clock
    run_id: str = ""
    started_at: datetime = field(init=False)
    setting: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    """What the report must not show."""
    begun: bool = False
    """Whether the run has written its first object."""
    warnings: list[str] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    capacity: Capacity | None = None
    plan: Plan | None = None
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    """By the number of the chunk; those that are missing are pending."""

    def __post_init__(self) -> None:
        self.started_at = self.clock()
        self.run_id = self.run_id or make_run_id(self.started_at)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times one stage of the run."""
        started_at = self.clock()
        log.info("%s …", name)
        try:
            yield
        finally:
            self.stages.append(Stage(name, (self.clock() - started_at).total_seconds()))

    def warn(self, *warnings: str) -> None:
        """Records what the user should know, in the log and for the report."""
        cleaned = [self._clean(warning) for warning in warnings]
        for warning in cleaned:
            log.warning("%s", warning)
        self.warnings += cleaned

    def _clean(self, message: str) -> str:
        return clean_text(self._hide(message), MAX_MESSAGE)

    def _hide(self, text: str) -> str:
        return escape_text(hide_secrets(text, self.secrets, SHORTEST_HIDDEN))

    def record_outcome(self, outcome: Outcome) -> None:
        """Records the outcome of a chunk; called from several threads."""
        self.outcomes[outcome.chunk.number] = outcome

    def make_report(self, ending: Ending, message: str, problems: tuple[str, ...] = ()) -> Report:
        """The report of the run, which ends now."""
        return Report(
            run_id=self.run_id,
            ending=ending,
            message=self._clean(message),
            started_at=self.started_at,
            finished_at=self.clock(),
            setting={name: self._hide(value) for name, value in self.setting.items()},
            problems=tuple(self._clean(problem) for problem in problems),
            warnings=tuple(self.warnings),
            stages=tuple(self.stages),
            capacity=self.capacity,
            plan=self.plan,
            outcomes=self._list_outcomes(),
        )

    def make_interrupted_report(self) -> Report:
        """The report of a run that was interrupted, with the outcomes known so far."""
        return self.make_report(*end_interrupted(self.plan, self._list_outcomes()))

    def _list_outcomes(self) -> tuple[Outcome, ...]:
        chunks = self.plan.chunks if self.plan else ()
        return tuple(self.outcomes.get(chunk.number, Outcome(chunk)) for chunk in chunks)


def make_run_id(moment: datetime) -> str:
    """Sorts by time and is DNS-safe: `20261122t101500z-3f9a1c`."""
    return f"{moment:%Y%m%dt%H%M%Sz}-{secrets.token_hex(3)}"
