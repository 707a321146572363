# SPDX-License-Identifier: Apache-2.0
"""Runs and their states → lines for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from ....drive.runs.status import RunStatus
from ....model.errors import clean_text
from ....model.units import format_duration
from ....run.folder import RunFolder, RunState
from ....run.layout import REPORT_HTML, make_report_key

_COUNTED = ("done", "failed", "pending", "skipped", "left_out")


def render_status(status: RunStatus) -> list[str]:
    """A run as a table of two columns."""
    run = status.folder
    rows = [("run", clean_text(run.run_id, 80)), ("state", _describe_state(run))]
    if run.service:
        rows.append(("work", clean_text(f"{run.service} on {run.data}", 120)))
    if run.began:
        rows.append(("began", _format_time(run.began)))
    if run.ended:
        rows.append(("ended", _format_time(run.ended)))
    if run.lease.epoch:
        said = "left" if run.lease.left else f"renewed {format_duration(run.lease.age_s)} ago"
        rows.append(("lease", f"epoch {run.lease.epoch}, {said}"))
    listing = run.state is RunState.RUNNING and not status.counts.get("listed")
    rows.append(("items", _describe_items({} if listing else status.counts)))
    if status.workers:
        rows.append(("workers", _join(status.workers)))
    if status.speed:
        rows.append(("speed", status.speed.describe()))
    elif run.state is RunState.RUNNING and status.message:
        rows.append(("now", clean_text(status.message, 120)))
    if status.source:
        rows.append(("counted", f"from {status.source}"))
    if run.began:
        rows.append(("report", clean_text(_locate_report(run), 200)))
    if status.foreign_report:
        rows.append(("report", "the report in the folder is not the one that the run ended with"))
    rows.append(("next", _advise(run, status.counts)))
    width = max(len(name) for name, _ in rows)
    return [f"{name:{width}}  {text}" for name, text in rows]


def render_line(status: RunStatus) -> str:
    """A run in one line of a log; in its coordinator's words as long as no item is counted."""
    if status.message and status.speed is None and status.folder.state is RunState.RUNNING:
        return f"{_describe_state(status.folder)}: {clean_text(status.message, 120)}"
    text = f"{_describe_state(status.folder)}: {_describe_items(status.counts)}"
    text += f"; workers: {_join(status.workers)}" if status.workers else ""
    return f"{text}; {status.speed.describe()}" if status.speed else text


def render_runs(runs: Sequence[tuple[RunFolder, Mapping[str, int]]]) -> list[str]:
    """A table with a line for each run."""
    rows = [["run", "began (UTC)", "state", "done", "failed", "pending", "service"]]
    for run, counts in runs:
        state = run.end.ending if run.end else str(run.state)
        began = f"{run.began:%Y-%m-%d %H:%M}" if run.began else "folder removed"
        numbers = [f"{counts[name]:,}" if counts else "" for name in ("done", "failed", "pending")]
        texts = [clean_text(run.run_id, 80), began, clean_text(state, 40), *numbers]
        rows.append([*texts, clean_text(run.service, 80)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numeric = {3, 4, 5}
    return [
        "  ".join(
            f"{text:>{width}}" if at in numeric else f"{text:{width}}"
            for at, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def render_end(run: RunFolder) -> str:
    """How a run ended, in one line."""
    items = _describe_items(run.end.counts if run.end else {})
    return f"run {clean_text(run.run_id, 80)} has {_describe_state(run)}; {items}"


def _describe_state(run: RunFolder) -> str:
    if run.end:
        return f"{run.state}: {clean_text(run.end.ending, 40)}"
    if run.state is RunState.LEFT and not run.lease.left:
        return "left: its coordinator gives no sign of life"
    return str(run.state)


def _describe_items(counts: Mapping[str, int]) -> str:
    if not counts:
        return "not counted yet"
    listed, done = counts.get("listed", 0), counts.get("done", 0)
    share = f" ({done / listed:.0%})" if listed else ""
    others = {name: counts.get(name, 0) for name in _COUNTED[1:]}
    text = f"{done:,} of {listed:,} done{share}"
    return "".join(
        [text, *(f", {n:,} {name.replace('_', ' ')}" for name, n in others.items() if n)]
    )


def _join(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _locate_report(run: RunFolder) -> str:
    """The bucket and the key of the page."""
    state = run.layout.locations.state
    return f"{state.bucket}/{make_report_key(state, run.run_id, REPORT_HTML)}"


def _advise(run: RunFolder, counts: Mapping[str, int]) -> str:
    """What the user may do with a run.

    ended, something failed or is pending   redrive it
    ended, nothing did                      remove its folder, if it is still there
    stopping                                wait
    left by its coordinator                 continue it
    driven                                  nothing
    """
    if run.state is RunState.ENDED:
        if run.began and (counts.get("failed") or counts.get("pending")):
            return "run.redrive: true with run.id processes what failed or is pending, in a new run"
        removed = "clean removes its folder" if run.began else "its folder was removed"
        return f"nothing needs to be done; {removed}"
    if run.state is RunState.STOPPING:
        return "its workers end the items in hand; cancel waits for the end of the run"
    if run.state is RunState.LEFT:
        return "run or drop the same config again to continue it; cancel ends it for good"
    return "its coordinator is at work; cancel ends it for good"


def _format_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
