# SPDX-License-Identifier: Apache-2.0
"""Removes the folders of runs that have ended, except for `stop` and `end.json`."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from ...model.errors import StorageError
from ...model.selection import parse_time
from ...model.units import format_duration
from ...run.active import list_runs
from ...run.folder import RunFolder, RunState, read_folder
from ...run.layout import RunLayout
from ...run.store import put_stop
from ...storage.bucket import Bucket
from ...storage.pages import ListQuery

log = logging.getLogger(__name__)

# Only the newest runs of a batch are read: older ones were read when they were among these.
_MOST_RUNS = 100


def find_obstacle(state: Bucket, run: RunFolder, lost_after_s: float) -> str:
    """Why the folder of a run must stay; empty if it may be removed. Raises StorageError."""
    if run.state is not RunState.ENDED:
        return "it has not ended: drop its config again to continue it, or cancel it"
    if run.began is None:
        return "its folder was removed already"
    now, layout = state.read_clock(run.layout.end), run.layout
    signs = [*_list_times(state, layout.leases), *_list_times(state, layout.beats)]
    age = now - max(signs, default=run.began)
    if age < timedelta(seconds=lost_after_s):
        return (
            "its coordinator or a worker gave a sign of life "
            f"{format_duration(max(0.0, age.total_seconds()))} ago; try again in "
            f"{format_duration(lost_after_s)}"
        )
    return ""


def is_older(state: Bucket, run: RunFolder, days: float) -> bool:
    """Whether a run ended more than so many days ago, by the storage's clock."""
    if run.ended is None:
        return False
    return state.read_clock(run.layout.end) - run.ended > timedelta(days=days)


def remove_run(state: Bucket, layout: RunLayout) -> int:
    """Removes the folder of a run, except for `stop` and `end.json`; returns the number of objects.

    The `stop` is written first, so that a late worker takes no chunk. `start.json` is removed last:
    while it is there, the removal can be repeated. Raises StorageError.
    """
    put_stop(state, layout)
    kept, removed = {layout.stop, layout.end, layout.start}, 0
    for page in state.list_objects(ListQuery(layout.folder)):
        names = (key.decode(errors="replace") for key in page.keys)
        found = [key for key in names if key not in kept]
        state.delete(found)
        removed += len(found)
    state.delete([layout.start])
    return removed + 1


def remove_earlier(
    state: Bucket, layout: RunLayout, batch: str, days: float, lost_after_s: float
) -> None:
    """Removes the folders of old runs of a batch; failures are only logged."""
    try:
        for run_id in list_runs(state, layout, batch, _MOST_RUNS):
            run = read_folder(state, layout.with_run(run_id), 0)
            if run is None or not is_older(state, run, days):
                continue
            if not find_obstacle(state, run, lost_after_s):
                count = remove_run(state, run.layout)
                log.info("run %s ended %g days ago: %d objects removed", run_id, days, count)
    except StorageError as error:
        log.warning("the folders of earlier runs are not removed (run.keep): %s", error)


def _list_times(state: Bucket, prefix: str) -> Iterable[datetime]:
    for page in state.list_objects(ListQuery(prefix, times=True)):
        yield from map(parse_time, page.times or ())
