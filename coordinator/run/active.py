# SPDX-License-Identifier: Apache-2.0
"""Which run of a batch is the newest, and whether an earlier one may still be at work.

A batch is what a config asks for: the same config dropped twice is one batch and two runs. Each run
creates the next number below the folder of its batch, so of two that start at once each sees the
other.
"""

from __future__ import annotations

import json
import secrets

from ..model.errors import Conflict, clean_text
from ..model.selection import parse_time
from ..model.units import format_duration
from ..storage.bucket import Bucket
from ..storage.pages import ListQuery
from .layout import REPORT_JSON, RunLayout, make_report_key

# As many runs of one batch may start at the same moment.
_TRIES = 50
# An older run without a report has been ended by force.
_LONGEST_S = 3600.0
_MAX_BYTES = 4096


def register_run(state: Bucket, layout: RunLayout, batch: str) -> tuple[str, ...]:
    """Registers the run under its batch; a warning if another run may be doing the same work."""
    content = json.dumps({"run": layout.run_id, "process": secrets.token_hex(8)}).encode()
    for _ in range(_TRIES):
        number = max(_list_times(state, layout, batch), default=0) + 1
        try:
            state.put_new(layout.active(batch, number), content, "application/json")
        except Conflict:
            continue
        return _find_other(state, layout, batch, number)
    return (f"more than {_TRIES} runs of this config start now: each processes every item",)


def _find_other(state: Bucket, layout: RunLayout, batch: str, number: int) -> tuple[str, ...]:
    """A warning if the run before this one is young and has left no report."""
    other = _read_run(state, layout.active(batch, number - 1)) if number > 1 else ""
    if not other:
        return ()
    # The storage's clock is the only one that both runs have.
    times = _list_times(state, layout, batch)
    if number not in times or number - 1 not in times:
        return ()
    age_s = (parse_time(times[number]) - parse_time(times[number - 1])).total_seconds()
    report = make_report_key(layout.locations.state, other, REPORT_JSON)
    if age_s > _LONGEST_S or state.exists(report):
        return ()
    return (
        f"THE SAME CONFIG IS RUNNING ALREADY: run {other} began {format_duration(max(0, age_s))} "
        "before this one and has left no report; if it is still at work, every item is processed "
        "twice: delete the jobs of one of the two runs",
    )


def _list_times(state: Bucket, layout: RunLayout, batch: str) -> dict[int, str]:
    """The numbers that runs of the batch have taken, and when."""
    folder = layout.batch(batch)
    pages = list(state.list_objects(ListQuery(folder, times=True)))
    found = [pair for page in pages for pair in zip(page.keys, page.times or (), strict=True)]
    names = [(key.decode(errors="replace").removeprefix(folder), time) for key, time in found]
    return {int(name): time for name, time in names if name.isascii() and name.isdecimal()}


def _read_run(state: Bucket, key: str) -> str:
    try:
        found = json.loads(state.read_small(key, _MAX_BYTES) or b"")
    except (ValueError, RecursionError):
        return ""
    name = found.get("run") if isinstance(found, dict) else None
    return clean_text(name, 80) if isinstance(name, str) else ""
