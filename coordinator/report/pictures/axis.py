# SPDX-License-Identifier: Apache-2.0
"""The time axis of the pictures: from the first start of a worker to the last chunk or beat."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ...model.run import Report

# The widths of all pictures; the page stretches them.
WIDTH = 10_000
MOST_TICKS = 8
# If the clock of a node is wrong by more than this, the pictures leave its times out.
_TOLERANCE = timedelta(hours=1)
_STEPS_S = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800,
    3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 1_209_600,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of an axis, at a percentage of its length."""

    percent: float
    label: str


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """An axis from one moment to another."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()

    def locate(self, moment: datetime) -> int:
        """The position of a moment, between 0 and WIDTH."""
        share = (moment - self.start).total_seconds() / self.seconds
        return round(WIDTH * min(1.0, max(0.0, share)))

    def list_ticks(self) -> tuple[Tick, ...]:
        """Marks at round times since the start."""
        longest = _STEPS_S[-1] * (1 + int(self.seconds / _STEPS_S[-1] / MOST_TICKS))
        steps = (step for step in _STEPS_S if self.seconds / step <= MOST_TICKS)
        step = next(steps, longest)
        count = int(self.seconds / step)
        return tuple(
            Tick(round(100 * step * number / self.seconds, 2), format_elapsed(step * number))
            for number in range(count + 1)
        )


def fit_axis(moments: Iterable[datetime]) -> TimeAxis | None:
    """The axis that shows all these moments; None if there are none."""
    found = list(moments)
    if not found:
        return None
    start, end = min(found), max(found)
    return TimeAxis(start, max(end, start + timedelta(seconds=1)))


def find_bounds(report: Report) -> tuple[datetime, datetime]:
    """The earliest and latest plausible times: the clock of a node may be wrong.

    If another coordinator began the run, it is older than this report; its id has the time.
    """
    began = min(report.started_at, _parse_run_id(report.run_id) or report.started_at)
    return _shift(began, -_TOLERANCE), _shift(report.finished_at, _TOLERANCE)


def format_elapsed(seconds: int) -> str:
    """A round time for an axis: `0`, `30 s`, `15 min`, `1 h 30 min`, `2 d`."""
    parts = []
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, seconds = divmod(seconds, size)
        parts += [f"{count} {unit}"] if count else []
    return " ".join(parts) or "0"


def _parse_run_id(run_id: str) -> datetime | None:
    try:
        return datetime.strptime(run_id.partition("-")[0], "%Y%m%dt%H%M%Sz").replace(tzinfo=UTC)
    except ValueError:
        return None


def _shift(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:  # a time at the end of the calendar
        return moment
