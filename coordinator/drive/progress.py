# SPDX-License-Identifier: Apache-2.0
"""What has happened so far in a run, growing into its `Report`.

The only value of a run that changes: the spine notes each stage's result here, so that every
ending, an error or Ctrl-C in the middle included, has a report that tells all that was known.
Called by `batch` and `__main__`. Next: `report`.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..model.cluster import Capacity
from ..model.errors import Ending
from ..model.run import Outcome, Plan, Report, Stage

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Progress:
    """A run in the making."""

    clock: Clock = now
    run_id: str = ""
    started_at: datetime = field(init=False)
    setting: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    capacity: Capacity | None = None
    plan: Plan | None = None
    outcomes: tuple[Outcome, ...] = ()

    def __post_init__(self) -> None:
        self.started_at = self.clock()
        self.run_id = self.run_id or new_run_id(self.started_at)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times one step; its name is on every line of progress that it logs."""
        begun = self.clock()
        log.info("%s: %s …", self.run_id, name)
        try:
            yield
        finally:
            self.stages.append(Stage(name, (self.clock() - begun).total_seconds()))

    def warn(self, *warnings: str) -> None:
        """Notes what the user should know, in the log and for the report."""
        for warning in warnings:
            log.warning("%s: %s", self.run_id, warning)
        self.warnings += warnings

    def report(self, ending: Ending, message: str, problems: tuple[str, ...] = ()) -> Report:
        """The story, ended."""
        return Report(
            run_id=self.run_id,
            ending=ending,
            message=message,
            started_at=self.started_at,
            finished_at=self.clock(),
            setting=dict(self.setting),
            problems=problems,
            warnings=tuple(self.warnings),
            stages=tuple(self.stages),
            capacity=self.capacity,
            plan=self.plan,
            outcomes=self.outcomes,
        )


def new_run_id(moment: datetime) -> str:
    """Sorts by time and is DNS-safe: `20261122t101500z-3f9a1c`."""
    return f"{moment:%Y%m%dt%H%M%Sz}-{secrets.token_hex(3)}"
