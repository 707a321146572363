# SPDX-License-Identifier: Apache-2.0
"""Carries a plan out: saves it, sends its invocations, follows them as far as the mode allows."""

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
from .events.items import drive_items, name_item_post
from .events.job_run import JobRun, Proof
from .events.ranges import drive_ranges, name_range_post
from .events.window import Pauses
from .payload import make_range_invocations
from .posting import Poster
from .posts import PostBook, find_invoked_worker
from .progress import Progress
from .pull.pull_run import PullRun
from .pull.rounds import make_first_round, save_table
from .pull.watch import drive_rounds
from .pull.workers.free_slots import FreeSlots
from .pull.workers.hints import JobHints


def make_invocations(plan: Plan, payload: str) -> Sequence[Invocation]:
    """What is sent to the service at once in range mode: a range for each chunk.

    Events and workers are made when their turn comes.
    """
    return make_range_invocations(plan, payload=payload) if plan.mode is Mode.RANGE else ()


def save_run(config: Config, clients: Clients, entry: Entry, plan: Plan) -> Plan:
    """Writes the plan, the chunk table, and the index where the first tool's targets expect it.

    Returns the plan that counts: another coordinator may have been faster.
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
    """Sends what the plan says and follows it, as far as the mode and the config allow."""
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
    """The run with all that following its jobs needs."""
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
        posts=PostBook(clients.state, entry.layout, progress.clock),
        rules=rules,
        payload=config.payload,
        began_s=clients.clock.now_s(),
        # Two calls a minute, unless the config asks for more.
        pauses=Pauses(min(2.0, rules.poll_s), 2 * rules.poll_s, rules.pending_timeout_s),
    )


def make_pull_run(
    config: Config, clients: Clients, run: JobRun, lanes: Lanes, progress: Progress
) -> PullRun:
    """The run with all that driving its workers needs."""
    oscar, capacity_rules = clients.oscar, config.capacity_rules
    poster = Poster(run, clients.pace, progress, find_invoked_worker)
    read_capacity = partial(
        find_capacity, run.service, capacity_rules, oscar.read_cluster, oscar.read_quota
    )
    # A config that continues a run may allow other times.
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
