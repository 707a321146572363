# SPDX-License-Identifier: Apache-2.0
"""Drives a pull run to its end: round after round, and the last steps when it stops.

round over because               then
every chunk has a result         the next round, if items are retried; else the end
stopped, timed out, too many,
hopeless                         `stop`; the workers end their items; the rest is sealed; the end
no capacity, refused, sent       the run is left as it is: the same config continues it
"""

from __future__ import annotations

from datetime import datetime

from ...model.errors import Ending, StorageError
from ...model.selection import parse_time
from ...run.store import put_stop, save_cost
from ...storage.pages import ListQuery
from ..endings import (
    UNNAMED,
    end_left,
    end_refused,
    end_stopped,
    end_with_accounts,
    end_with_sent,
)
from ..progress import Progress
from .files import write_counted, write_item_files
from .follow import Follower, Why
from .history import Recorder
from .keys import KeyFinder
from .ledger import Ledger
from .looks import Looks
from .pull_run import PullRun
from .rounds import has_table, make_first_round, open_retries, read_counted
from .sealing import seal_chunks
from .stopping import end_workers

_STOPS = {Why.STOPPED, Why.TIMED_OUT, Why.TOO_MANY_FAILED}
_UNFOLLOWED = {Why.REFUSED, Why.SENT}


def drive_rounds(run: PullRun, progress: Progress) -> tuple[Ending, str]:
    """Drives the run to its end. After Ctrl-C the workers go on. StorageError, HeldByOther."""
    recorder = Recorder()
    ledger = Ledger(run.plan.index.items, recorder)
    find_key = KeyFinder(run.state, run.plan).find_key
    progress.make_history = lambda: recorder.make_history(find_key)
    looks = Looks(run.state, run.layout, ledger, run.lanes.timing, progress.warn)
    try:
        why = _drive(run, progress, ledger, looks)
    except KeyboardInterrupt:
        return end_with_accounts(run.plan, ledger.account(), interrupted=True)
    if why is Why.REFUSED and (ledger.done or ledger.failed):
        return end_refused(run.plan, ledger.account(), progress.list_sent())
    if why in _UNFOLLOWED:
        progress.accounts = None
        return end_with_sent(run.plan, progress.list_sent())
    if why is Why.NO_CAPACITY:
        return end_left(run.plan, ledger.account(), str(why))
    try:
        run.lease.check_holder()
        write_item_files(run.state, run.layout, run.plan, ledger)
        startups_s = [worker.startup_s for worker in progress.workers if worker.startup_s]
        if cost := ledger.meter.measure(startups_s):
            save_cost(run.state, run.layout, run.plan.service, cost)
        progress.over = True
    except StorageError as error:
        progress.warn(f"the lists of items are not in the bucket: {error}")
    if why in _STOPS:
        return end_stopped(run.plan, ledger.account(), str(why), by_limit=why is not Why.STOPPED)
    return end_with_accounts(
        run.plan, ledger.account(), interrupted=False, tolerated=run.rules.tolerated_failures
    )


def _drive(run: PullRun, progress: Progress, ledger: Ledger, looks: Looks) -> Why:
    """Drives all rounds; returns why the last one is over."""
    posts = run.posts.read_all() if run.layout.epoch > 1 else ()
    began = _read_beginning(run)
    ledger.begin_round(
        make_first_round(run.plan, run.lanes), read_counted(run.state, run.layout, 1)
    )
    while True:
        follower = Follower(run, progress, ledger, looks, began)
        why = follower.follow(posts)
        if why in _STOPS or why is Why.HOPELESS:
            # Also if no worker is alive, so that no later coordinator cuts another round.
            follower.stopping = str(why)
            _stop_workers(run, progress)
            end_workers(run, follower)
            seal_chunks(run, ledger)
            follower.look()
        progress.former_workers = (*progress.former_workers, *follower.workers.list_workers())
        if why is not Why.COMPLETE or not _has_next(run, ledger):
            return why
        run.lease.check_holder()
        write_counted(run.state, run.layout, ledger)
        ledger.choose_retries()
        round_ = open_retries(run.state, run.layout, run.plan, run.lanes, ledger)
        ledger.begin_round(round_, read_counted(run.state, run.layout, round_.number))


def _has_next(run: PullRun, ledger: Ledger) -> bool:
    """Whether there is another round. One that was cut before goes on, whatever `retries` says."""
    number = ledger.round.number
    if not ledger.has_retries():
        return False
    return number <= run.rules.retries or has_table(run.state, run.layout, number + 1)


def _stop_workers(run: PullRun, progress: Progress) -> None:
    """Asks all workers to end, for good."""
    if not run.named:
        progress.warn(UNNAMED)
    run.lease.check_holder()
    put_stop(run.state, run.layout)


def _read_beginning(run: PullRun) -> datetime:
    """When the run began, by the storage's clock."""
    for page in run.state.list_objects(ListQuery(run.layout.start, times=True)):
        return parse_time((page.times or [""])[0])
    raise StorageError(
        f"{run.state.name}/{run.layout.start} is gone: the folder of the run changed"
    )
