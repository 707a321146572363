# SPDX-License-Identifier: Apache-2.0
"""Executes a plan: saves it, sends its invocations, and follows them as far as the mode allows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from ..config.load import Config
from ..model.errors import Conflict, Ending
from ..model.pull.lanes import Lanes
from ..model.run import Invocation, Plan
from ..model.service import Mode, Service
from ..plan.capacity import find_capacity
from ..run.copies import note_copy
from ..run.store import save_plan
from .clients import Clients
from .entering.entry import Entry
from .jobs.items import drive_items, name_item_post
from .jobs.job_run import JobRun, Proof
from .jobs.ranges import drive_ranges, name_range_post
from .jobs.window import Pauses
from .payload import make_range_invocations
from .post_notes import PostNotes, find_invoked_worker
from .poster import Poster
from .progress import Progress
from .pull.pull_run import PullRun
from .pull.rounds import make_first_round, save_table
from .pull.watch import drive_rounds
from .pull.workers.free_slots import FreeSlots
from .pull.workers.hints import JobHints


def make_invocations(plan: Plan, payload: str) -> Sequence[Invocation]:
    """The invocations of range mode, one for each chunk. Empty in other modes.

    The invocations of events and of workers are made later, when they are sent.
    """
    return make_range_invocations(plan, payload=payload) if plan.mode is Mode.RANGE else ()


def save_run(config: Config, clients: Clients, entry: Entry, plan: Plan) -> Plan:
    """Writes the plan, the chunk table, and the index where the first tool's targets expect it.

    Returns the plan in the bucket: another coordinator may have written its plan first.
    """
    state, layout = clients.state, entry.layout
    if entry.plan is None:
        entry.lease.check()
        plan = save_plan(state, layout.plan, plan)
    if plan.lanes:
        with suppress(Conflict):  # an earlier coordinator wrote the same
            save_table(state, layout, make_first_round(plan, plan.lanes))
    copy = config.locations.index_copy
    if copy and entry.plan is None:
        note_copy(state, layout, clients.data.name, copy)
        clients.data.copy_from(state, plan.index_key, copy)
    return plan


def carry_out(
    config: Config,
    clients: Clients,
    service: Service,
    entry: Entry,
    plan: Plan,
    progress: Progress,
) -> tuple[Ending, str]:
    """Sends the invocations of the plan and follows them as the mode and the config allow."""
    run = make_job_run(config, clients, service, entry, plan, progress)
    version, logs = clients.oscar.version, clients.oscar.locate_logs(config.service)
    progress.origin = replace(progress.origin, oscar=version, job_logs=logs)
    if plan.lanes:
        with progress.stage("watch"):
            pull = make_pull_run(config, clients, run, plan.lanes, progress)
            return drive_rounds(pull, progress)
    if plan.mode is Mode.EVENT:
        with progress.stage("watch"):
            poster = Poster(run, clients.pace, progress, name_item_post)
            return drive_items(run, poster.send, progress)
    poster = Poster(run, clients.pace, progress, name_range_post)
    follow = config.rules.watch and bool(run.proof or config.selection.sample)
    return drive_ranges(run, poster.send, progress, follow=follow)


def make_job_run(
    config: Config, clients: Clients, service: Service, entry: Entry, plan: Plan, progress: Progress
) -> JobRun:
    """Collects what is needed to follow the jobs of a run."""
    rules, verify = config.rules, config.verify
    return JobRun(
        plan=plan,
        service=service,
        state=clients.state,
        layout=entry.layout,
        oscar=clients.oscar,
        named=clients.oscar.names_jobs(),
        proof=Proof(verify, clients.data.beside(verify.bucket)) if verify else None,
        clock=clients.clock,
        lease=entry.lease,
        posts=PostNotes(clients.state, entry.layout, progress.clock),
        rules=rules,
        payload=config.payload,
        began_s=clients.clock.now_s(),
        # Two calls a minute, unless the config asks for more.
        pauses=Pauses(min(2.0, rules.poll_s), 3 * rules.poll_s, rules.pending_timeout_s),
    )


def make_pull_run(
    config: Config, clients: Clients, run: JobRun, lanes: Lanes, progress: Progress
) -> PullRun:
    """Collects what is needed to drive the workers of a run."""
    oscar, capacity_rules = clients.oscar, config.capacity_rules
    poster = Poster(run, clients.pace, progress, find_invoked_worker)
    read_capacity = partial(
        find_capacity, run.service, capacity_rules, oscar.read_cluster, oscar.read_quota
    )
    # The config that continues a run may have another time limit.
    lanes = replace(lanes, item_timeout_s=config.rules.item_timeout_s)
    return PullRun(
        state=run.state,
        layout=run.layout,
        plan=run.plan,
        lanes=lanes,
        rules=config.rules,
        clock=run.clock,
        lease=run.lease,
        posts=run.posts,
        free_slots=FreeSlots(read_capacity, run.clock.now_s, capacity_rules.max_parallel),
        hints=JobHints(lambda: oscar.list_jobs(run.service.name), run.named),
        invoke=poster.send,
        delete_job=lambda job: oscar.delete_job(run.service.name, job),
        named=run.named,
    )
