# SPDX-License-Identifier: Apache-2.0
"""The main flow of a run: stage by stage, from the config to the report.

    config ─▶ service ─▶ enter ─▶ index ─▶ capacity ─▶ plan ─▶ save ─▶ carry out ─▶ report
                           └───── a run that was planned before ──────────┘

Everything is decided before the first invocation is sent. A dry run enters no run, counts the index
lines instead of writing them, and stops after the plan. A run that is continued takes its plan from
its folder.
"""

from __future__ import annotations

from dataclasses import replace

from .config.load import Config
from .drive.clients import Clients
from .drive.endings import end_without_capacity, end_without_invocations
from .drive.entering import preflight
from .drive.entering.checks import (
    adopt_plan,
    check_target,
    enter_run,
    find_outputs,
    read_target,
)
from .drive.execution import carry_out, make_invocations, save_run
from .drive.planning.draft import (
    complete_plan,
    draft_plan,
    draft_workers,
    wait_for_capacity,
    write_index,
)
from .drive.progress import Progress
from .model.run import Plan, Report
from .model.service import Mode
from .run.layout import RunLayout


def run_batch(config: Config, clients: Clients, progress: Progress) -> Report:
    """Runs a config from start to end. Raises BatchError if the run cannot go on."""
    with progress.stage("service"):
        config, clients = adopt_plan(config, clients)
        service = read_target(config, clients, progress)
        config = find_outputs(config, service)
        mode = check_target(config, clients, service, progress)
        entry = enter_run(config, clients, service, progress)
        progress.warn(*preflight.find_warnings(config.locations.data, service))
        progress.warn(*preflight.warn_unverified(config.storage, config.cluster))
    layout = entry.layout if entry else RunLayout(config.locations, progress.run_id)
    plan = entry.plan if entry else None
    if plan is None:
        with progress.stage("index"):
            index = write_index(config, clients, layout, service, progress)
            draft = draft_plan(config, layout, mode or Mode.RANGE, index)
        with progress.stage("capacity"):
            progress.capacity = wait_for_capacity(config, clients, service, progress)
            draft = replace(draft, capacity=progress.capacity)
        with progress.stage("plan"):
            if mode is Mode.PULL:
                lanes = draft_workers(config, clients, service, entry, progress)
                draft = replace(draft, lanes=lanes)
            plan = complete_plan(config, clients, service, layout, draft)
    progress.plan, progress.invocations = plan, make_invocations(plan, config.payload)
    progress.warn(*preflight.warn_oversized(plan.oversized, service))
    progress.warn(*preflight.warn_slow_submission(_count_invocations(plan)))
    if plan.index.items and not plan.capacity.slots:
        return progress.make_report(*end_without_capacity(plan.capacity))
    if config.dry_run or entry is None or not plan.chunks:
        progress.over = entry is not None
        return progress.make_report(*end_without_invocations(plan))
    with progress.stage("save"):
        plan = progress.plan = save_run(config, clients, entry, plan)
    return progress.make_report(*carry_out(config, clients, service, entry, plan, progress))


def _count_invocations(plan: Plan) -> int:
    """How many invocations the plan sends in its first round."""
    if plan.mode is Mode.EVENT:
        return plan.index.items
    return len(plan.lanes.counts) if plan.lanes else len(plan.chunks)
