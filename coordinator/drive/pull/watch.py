# SPDX-License-Identifier: Apache-2.0
"""Watches a pull run to its end and writes what became of its items."""

from __future__ import annotations

from collections.abc import Sequence

from ...model.errors import Ending, StorageError
from ...model.run import Sent
from ..endings import end_with_accounts
from ..progress import Progress
from .files import write_item_files
from .follow import Follower, Invoke, PullRun
from .history import Recorder
from .keys import KeyFinder
from .ledger import Ledger
from .looks import Looks


def watch_workers(
    run: PullRun, sent: Sequence[Sent], invoke: Invoke, progress: Progress
) -> tuple[Ending, str]:
    """The ending of the run. Ctrl-C only leaves it. Raises StorageError."""
    recorder = Recorder()
    ledger = Ledger(run.plan, run.lanes, recorder)
    looks = Looks(run.state, run.layout, ledger, run.lanes.timing, progress.warn)
    follower = Follower(run, progress, invoke, looks, ledger)
    interrupted = False
    try:
        follower.follow(sent)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        progress.accounts = follower.account()
        progress.outcomes |= ledger.list_outcomes()
        progress.history = recorder.make_history(KeyFinder(run.state, run.plan).find_key)
    if not interrupted:
        try:
            write_item_files(run.state, run.layout, run.plan, ledger)
        except StorageError as error:
            progress.warn(f"the lists of items are not in the bucket: {error}")
    return end_with_accounts(run.plan, progress.accounts, interrupted=interrupted)
