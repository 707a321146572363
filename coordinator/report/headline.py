# SPDX-License-Identifier: Apache-2.0
"""The sentences of the page: what to do next, how far the run is, why a picture is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..model.errors import Ending
from ..model.run import Report, Speed

_ADVICE: Mapping[Ending, str] = {
    Ending.RUNNING: "Nothing needs to be done. This page reloads until the run ends.",
    Ending.DONE: "Nothing needs to be done: the results are where the service writes its outputs.",
    Ending.NOTHING_TO_DO: "If there should be items, check bucket.folder_prefix and the filters "
    "of the bucket section against what was left out or skipped below.",
    Ending.PLANNED: "To start it, run the same config without the dry run.",
    Ending.SUBMITTED: "Look at the outputs of the service. With run.verify in the config, which "
    "names the output of an item, a run can tell which items are done.",
    Ending.PARTLY_SUBMITTED: "Drop the config again with bucket.skip_done: only the items without "
    "an output are processed then.",
    Ending.UNPROVEN: "Look at the jobs of the service before you drop the config again: some may "
    "exist although their answers were lost.",
    Ending.BAD_CONFIG: "Correct what is named below, and drop the config again. Nothing was "
    "started.",
    Ending.UNAVAILABLE: "Drop the config again when the cluster and its storage can be reached "
    "and allow it.",
    Ending.NO_CAPACITY: "Drop the same config again when the cluster has free nodes: the run goes "
    "on. With run.wait_for_room_s a run waits for free capacity.",
    Ending.TOLERATED: "Fewer items failed than the config tolerates; the reasons are below. "
    "run.redrive: true with run.id processes them again.",
    Ending.STOPPED: "This run has ended. run.redrive: true with run.id, in the same "
    "config, processes what failed or is pending.",
    Ending.HELD: "Nothing needs to be done: the other run goes on, and its folder has its report.",
    Ending.BROKEN: "This is a defect of OSCAR-Batch: please report it, with the coordinator's log.",
    Ending.INTERRUPTED: "The jobs that were started go on. Drop the same config again: the run is "
    "continued, and nothing that is done is done again.",
}
_FAILED = (
    "The reasons are below. Correct the files or the program, then drop the config again with "
    "run.redrive: true and run.id: only what failed or is pending is processed then."
)
_PENDING = (
    "Drop the config again with run.redrive: true and run.id: only what failed or is pending is "
    "processed then."
)


def advise(report: Report) -> str:
    """What to do next; empty if the message says it already."""
    if report.ending is Ending.PARTLY_DONE:
        return _FAILED if report.accounts and report.accounts.failed else _PENDING
    return _ADVICE.get(report.ending, "")


@dataclass(frozen=True, slots=True)
class Share:
    """The items of one state."""

    kind: str
    name: str
    count: int
    left: float
    """In percent of all listed objects."""
    percent: float


def divide_items(report: Report) -> tuple[Share, ...]:
    """The listed objects by state: the parts of the progress bar."""
    counts = report.count_items()
    followed = report.accounts is not None
    sent = bool(report.workers) or any(outcome.attempts for outcome in report.outcomes)
    unconfirmed = report.accounts.unconfirmed if report.accounts else 0
    if sent and not followed:
        unconfirmed = counts["pending"]
    parts = (
        ("done", "done", counts["done"], followed),
        ("failed", "failed", counts["failed"], True),
        ("unconfirmed", "unconfirmed", unconfirmed, False),
        ("pending", "pending", counts["pending"] - unconfirmed, not unconfirmed),
        ("skipped", "skipped", counts["skipped"], True),
        ("left-out", "left out", counts["left_out"], False),
    )
    shares, left = [], 0.0
    for kind, name, count, always in parts:
        if count or always:
            percent = 100 * count / counts["listed"] if counts["listed"] else 0.0
            shares.append(Share(kind, name, count, round(left, 3), round(percent, 3)))
            left += percent
    return tuple(shares)


@dataclass(frozen=True, slots=True)
class Forecast:
    """When a run will end at its present speed."""

    speed: Speed
    moment: datetime


def forecast_end(report: Report) -> Forecast | None:
    """Estimates the end of a run; None while its speed is not known."""
    speed = report.speed
    if not report.running or speed is None or not speed.left_s:
        return None
    try:
        return Forecast(speed, report.finished_at + timedelta(seconds=speed.left_s))
    except OverflowError:  # it would end after the calendar
        return None


def explain_no_timeline(report: Report) -> str:
    """Why there is no timeline; empty if nothing has been sent."""
    if not (report.workers or any(outcome.attempts for outcome in report.outcomes)):
        return ""
    if report.accounts is None and not report.running:
        return (
            "There is no timeline, because this run does not follow its jobs: the config has no "
            "run.verify, or run.watch is false. The log of each job, linked below, has its times."
        )
    first = "worker has started" if report.workers else "job has ended"
    return f"There is no timeline yet: it begins when the first {first}." if report.running else ""
