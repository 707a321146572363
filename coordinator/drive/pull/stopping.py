# SPDX-License-Identifier: Apache-2.0
"""Waits for the workers of a run that has a `stop`, and deletes the jobs that have not started.

A worker that sees the `stop` finishes the item in hand and takes no other. Jobs that have not
started are deleted where jobs have names, so that they do not take slots from others.
"""

from __future__ import annotations

import logging

from ...model.errors import ClusterError
from ...model.pull.findings import WorkerState
from .follow import Follower
from .pull_run import PullRun

log = logging.getLogger(__name__)


def end_workers(run: PullRun, follower: Follower) -> None:
    """Returns when no worker of the round is at work. Raises HeldByOther and StorageError."""
    deleted: set[str] = set()
    while True:
        working = False
        if follower.look():
            for worker in follower.workers.list_workers():
                if worker.state is WorkerState.WAITING and worker.job not in deleted:
                    deleted.add(worker.job)
                    _delete_job(run, worker.job)
                working |= worker.state is WorkerState.WORKING
            if not working:
                return
        follower.wait()


def _delete_job(run: PullRun, job: str) -> None:
    """Deletes a job of this run that has not started. It is no error if the job is gone."""
    if not run.named:
        return
    run.lease.check_holder()
    try:
        run.delete_job(job)
    except ClusterError as error:
        log.warning("job %s is not deleted: %s", job, error)
