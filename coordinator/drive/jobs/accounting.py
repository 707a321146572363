# SPDX-License-Identifier: Apache-2.0
"""Accounts for the items of a run whose jobs were followed, however the run ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event

from ...model.errors import ClusterError, Ending, LimitReached, StopRequested, StorageError
from ...run.store import put_stop
from ..endings import UNNAMED, end_stopped, end_with_accounts
from ..progress import Progress
from .files import write_item_files
from .job_run import JobRun
from .judge import LineState
from .ledger import ItemLedger
from .outcomes import account_items, list_outcomes, settle_by_outputs

log = logging.getLogger(__name__)

# How long Kubernetes lets the pod of a deleted job run on, and a little more.
_GRACE_S = 35.0


def account_run(
    run: JobRun, ledger: ItemLedger, progress: Progress, work: Callable[[], str]
) -> tuple[Ending, str]:
    """Does the work and records the state of every item, however the work ends."""
    obstacle, stopped = "", None
    # The report has these if it is made before the accounts are complete.
    progress.accounts = account_items(run.plan, ledger)
    try:
        obstacle = work()
    except KeyboardInterrupt:
        _record(run, ledger, progress)
        return end_with_accounts(run.plan, account_items(run.plan, ledger), interrupted=True)
    except StopRequested as error:
        stopped = error
        _end_jobs(run, progress)
        settle_items(run, ledger, progress)
    finally:
        _record(run, ledger, progress)
    written = _write_lists(run, ledger, progress)
    progress.over = written and not obstacle
    accounts = progress.accounts or account_items(run.plan, ledger)
    if stopped:
        by_limit = isinstance(stopped, LimitReached)
        return end_stopped(run.plan, accounts, str(stopped), by_limit=by_limit)
    tolerated = run.rules.tolerated_failures
    ending, text = end_with_accounts(run.plan, accounts, interrupted=False, tolerated=tolerated)
    return ending, f"{text}; {obstacle}" if obstacle else text


def stop_run(
    run: JobRun, ledger: ItemLedger, progress: Progress, stop: StopRequested
) -> tuple[Ending, str]:
    """Ends a run that was stopped before this coordinator began its work."""

    def work() -> str:
        raise stop

    return account_run(run, ledger, progress, work)


def settle_items(run: JobRun, ledger: ItemLedger, progress: Progress) -> None:
    """Looks for the outputs of all items that are not done, if the config says where they are."""
    plan, proof = run.plan, run.proof
    if proof is None or ledger.count()[LineState.DONE] == plan.index.items:
        return
    try:
        index = run.state.read_pieces(plan.index_key)
        settle_by_outputs(ledger, index, proof.outputs, proof.list_outputs())
    except StorageError as error:
        progress.warn(f"not all outputs were looked for: {error}")


def _record(run: JobRun, ledger: ItemLedger, progress: Progress) -> None:
    known = progress.accounts.failures if progress.accounts else ()
    progress.accounts = account_items(run.plan, ledger, known)
    progress.outcomes |= list_outcomes(run.plan, ledger)


def _write_lists(run: JobRun, ledger: ItemLedger, progress: Progress) -> bool:
    """Whether the lists of items are in the bucket. Raises HeldByOther."""
    try:
        run.lease.check_holder()
        failures = write_item_files(run.state, run.layout, run.plan, ledger)
    except StorageError as error:
        progress.warn(f"the lists of items are not in the bucket: {error}")
        return False
    progress.accounts = account_items(run.plan, ledger, failures)
    return True


def _end_jobs(run: JobRun, progress: Progress) -> None:
    """Writes the stop, and deletes the jobs of this run that have not ended."""
    run.lease.check_holder()
    put_stop(run.state, run.layout)
    if not run.named:
        progress.warn(UNNAMED)
        return
    try:
        jobs = run.oscar.list_jobs(run.plan.service).phases
    except ClusterError as error:
        log.warning("the jobs of the run are not deleted: %s", error)
        return
    unfinished = [
        job for job, phase in jobs.items() if f"-{run.plan.run_id}-" in job and not phase.final
    ]
    for job in unfinished:
        run.lease.check_holder()
        try:
            run.oscar.delete_job(run.plan.service, job)
        except ClusterError as error:
            log.warning("job %s is not deleted: %s", job, error)
    if unfinished:  # a deleted job runs on, and may still store its outputs
        run.clock.wait(Event(), _GRACE_S)
