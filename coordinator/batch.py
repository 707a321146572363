# SPDX-License-Identifier: Apache-2.0
"""The main flow of a run: stage by stage, from the config to the report.

    config ─▶ service ─▶ capacity ─▶ index ─▶ plan ─▶ save ─▶ invoke ─▶ (watch) ─▶ report

Everything is decided before the first invocation is sent. A dry run has the same stages, but counts
the index lines instead of writing them, and stops after the plan. Only pull mode is watched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from .config.load import Config
from .drive import preflight
from .drive.endings import (
    end_with_sent,
    end_without_capacity,
    end_without_invocations,
    is_under_way,
)
from .drive.events.watch import JobRun, Proof, watch_items, watch_ranges
from .drive.events.window import Pauses
from .drive.indexing import build_index, count_only, refuse_empty_folder
from .drive.modes import choose_mode
from .drive.payload import make_range_invocations
from .drive.posting import make_invoke
from .drive.progress import Progress
from .drive.pull.follow import PullRun
from .drive.pull.invocations import make_worker_invocations
from .drive.pull.start import (
    KEEPS_LANE,
    WITHOUT_STEALING,
    OpenBucket,
    draft_lanes,
    measure_lanes,
    refuse_other_store,
    save_table,
)
from .drive.pull.watch import watch_workers
from .drive.submission import Clock, Pace
from .index.skip_done import locate_outputs
from .model.cluster import Capacity
from .model.errors import ClusterError, ConfigError, Ending
from .model.items import Index
from .model.pull.lanes import Lanes, Timing
from .model.run import Invocation, Plan, Report
from .model.service import Mode, Service
from .oscar.client import OscarClient
from .plan.capacity import find_capacity
from .plan.choose import make_plan
from .plan.timing import merge_costs
from .run.active import register_run
from .run.copies import find_copies, note_copy
from .run.layout import RunLayout, find_run_files, make_batch_key
from .run.store import claim_run, load_last_cost, save_plan
from .storage.bucket import Bucket

INDEX_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Clients:
    """The servers that a run uses, and its clock."""

    oscar: OscarClient
    data: Bucket
    state: Bucket
    report: Bucket | None
    """Where a copy of the report goes."""
    clock: Clock
    pace: Pace = field(default_factory=Pace)
    timing: Timing = field(default_factory=Timing)
    open_bucket: OpenBucket = Bucket


def run_batch(config: Config, clients: Clients, progress: Progress) -> Report:
    """Runs a config from start to end. Raises BatchError if the run cannot go on."""
    layout = RunLayout(config.locations, progress.run_id)
    with progress.stage("service"):
        service = clients.oscar.read_service(config.service)
        progress.secrets += (service.token,)
        config = find_outputs(config, service)
        mode = check(config, clients, layout, service, progress)
        begin(config, clients, layout, service, progress)
    progress.setting["outputs"] = ", ".join(map(str, service.outputs)) or "none"
    with progress.stage("capacity"):
        oscar, rules = clients.oscar, config.capacity_rules
        progress.capacity = find_capacity(service, rules, oscar.read_cluster, oscar.read_quota)
        progress.warn(*progress.capacity.warnings)
    if not progress.capacity.slots:
        return progress.make_report(*end_without_capacity(progress.capacity))
    with progress.stage("index"):
        index = write_index(config, clients, layout, progress)
        refuse_empty_folder(clients.data, config.locations.data, config.selection, index)
        progress.warn(*preflight.warn_control_characters(index.control_keys, service))
    with progress.stage("plan"):
        pull = mode is Mode.PULL
        lanes = draft_workers(config, clients, layout, service, progress) if pull else None
        draft = draft_plan(config, layout, progress.capacity, index)
        draft = replace(draft, mode=mode or Mode.RANGE, lanes=lanes)
        cost = merge_costs(config.cost, load_last_cost(clients.state, layout.cost(config.service)))
        plan = progress.plan = measure_lanes(make_plan(draft, service, config.chunk_rules, cost))
        invocations = progress.invocations = make_invocations(plan, config.payload)
        progress.warn(*preflight.warn_oversized(plan.oversized, service))
        progress.warn(*preflight.warn_slow_submission(len(invocations) or index.items))
    if config.dry_run or not plan.chunks:
        return progress.make_report(*end_without_invocations(plan))
    with progress.stage("save"):
        save(config, clients, layout, plan)
    run = make_job_run(config, clients, service, layout, plan)
    version, logs = clients.oscar.version, clients.oscar.locate_logs(config.service)
    progress.origin = replace(progress.origin, oscar=version, job_logs=logs)
    return progress.make_report(*carry_out(config, clients, run, progress))


def carry_out(
    config: Config, clients: Clients, run: JobRun, progress: Progress
) -> tuple[Ending, str]:
    """Sends what the plan says and follows it, as far as the mode and the config allow."""
    plan, rules = run.plan, config.pull_rules
    invoke = make_invoke(run, clients.pace, progress)
    if plan.mode is Mode.EVENT:
        with progress.stage("watch"):
            return watch_items(run, invoke, progress)
    with progress.stage("invoke"):
        sent = invoke(progress.invocations)
    known = plan.lanes or run.proof or config.selection.sample
    if not (rules.watch and is_under_way(sent) and known):
        return end_with_sent(plan, sent)
    with progress.stage("watch"):
        if plan.lanes is None:
            return watch_ranges(run, sent, progress)
        workers = PullRun(run.state, run.layout, plan, plan.lanes, rules, run.clock)
        return watch_workers(workers, sent, invoke, progress)


def find_outputs(config: Config, service: Service) -> Config:
    """The config with the places of outputs, which may be an output path of the service."""
    data, done = config.locations.data, config.selection.skip_done
    done = locate_outputs(done, service, data, "bucket.skip_done")
    verify = locate_outputs(config.verify, service, data, "run.verify")
    return replace(config, selection=replace(config.selection, skip_done=done), verify=verify)


def check(
    config: Config, clients: Clients, layout: RunLayout, service: Service, progress: Progress
) -> Mode | None:
    """The mode of the run. Raises ConfigError if it may not start, before anything is written."""
    places = config.locations
    preflight.refuse_coordinator(places, service)
    outputs = {"bucket.skip_done": config.selection.skip_done, "run.verify": config.verify}
    preflight.refuse_buckets(places, outputs, service, config.allowed_buckets)
    try:
        triggers = clients.oscar.read_triggers()
    except ClusterError as error:
        triggers = ()
        known = "the input folders of the target and of this coordinator are checked"
        progress.warn(f"{error}; only {known}: if the run writes into another's, it starts jobs")
    preflight.refuse_triggers(places, service, triggers, layout.run_id)
    return decide_mode(config, service, progress)


def decide_mode(config: Config, service: Service, progress: Progress) -> Mode | None:
    """The mode of the run; None for a dry run that could not start. Raises ConfigError."""
    choice = choose_mode(config.mode, service, config.locations.data)
    if choice.mode:
        progress.setting["mode"] = f"{choice.mode}, because {choice.reason}"
    elif config.dry_run:
        progress.warn(f"a run would be refused: {choice.reason}")
    else:
        raise ConfigError([choice.reason])
    payload, watch = bool(config.payload), config.pull_rules.watch
    preflight.refuse_unsuited_keys(choice.mode, payload=payload, watch=watch)
    return choice.mode


def draft_workers(
    config: Config, clients: Clients, layout: RunLayout, service: Service, progress: Progress
) -> Lanes:
    """The lanes of a run in pull mode, still empty. Raises ConfigError."""
    exclusive = not service.keeps_lane
    progress.warn(*([] if exclusive else [KEEPS_LANE]))
    if not config.dry_run:
        refuse_other_store(clients.oscar, clients.open_bucket, clients.state, layout.start)
        if exclusive and not clients.state.honours_condition(layout.probe):
            exclusive = False
            progress.warn(WITHOUT_STEALING)
    proof = config.verify or config.selection.skip_done
    return draft_lanes(config.pull_rules, proof, clients.timing, exclusive=exclusive)


def begin(
    config: Config, clients: Clients, layout: RunLayout, service: Service, progress: Progress
) -> None:
    """Writes the first objects of the run, if it is no dry run, and warns of its setting."""
    if not config.dry_run:
        register(config, clients, layout, service, progress)
    progress.warn(*preflight.find_warnings(config.locations.data, service))
    progress.warn(*preflight.warn_unverified(config.storage, config.cluster))


def register(
    config: Config, clients: Clients, layout: RunLayout, service: Service, progress: Progress
) -> None:
    """Writes the first objects of the run."""
    claim_run(clients.state, layout.start, layout.run_id)
    progress.begun = True
    state = (config.storage.url, config.locations.state)
    work = (config.cluster.url, config.service, config.locations.data, config.selection)
    batch = make_batch_key(*work, service.outputs, *state)
    progress.warn(*register_run(clients.state, layout, batch))


def write_index(config: Config, clients: Clients, layout: RunLayout, progress: Progress) -> Index:
    """Lists the data folder into the index of the run; a dry run only counts."""
    copies, warnings = find_copies(clients.state, clients.data, layout)
    progress.warn(*warnings)

    def write(lines: Iterable[bytes]) -> str:
        return clients.state.write_lines(layout.index, lines, INDEX_TYPE).sha256

    return build_index(
        clients.data,
        config.selection,
        (*find_run_files(config.locations), *copies),
        config.chunk_rules,
        count_only if config.dry_run else write,
    )


def draft_plan(config: Config, layout: RunLayout, capacity: Capacity, index: Index) -> Plan:
    """The plan as far as it is known before the chunks are cut."""
    return Plan(
        run_id=layout.run_id,
        service=config.service,
        data=config.locations.data,
        index_bucket=config.locations.state.bucket,
        index_key=layout.index,
        index=index,
        capacity=capacity,
        chunks=(),
    )


def make_invocations(plan: Plan, payload: str) -> Sequence[Invocation]:
    """What is sent to the service at once: a worker for each lane, or a range for each chunk.

    Events are made when their turn comes, because there may be millions.
    """
    if plan.mode is Mode.EVENT:
        return ()
    if plan.lanes:
        lanes = range(1, len(plan.lanes.counts) + 1)
        return make_worker_invocations(plan, plan.lanes, zip(lanes, lanes, strict=True))
    return make_range_invocations(plan, payload=payload)


def save(config: Config, clients: Clients, layout: RunLayout, plan: Plan) -> None:
    """Writes the plan, the chunk table, and the index where the first tool's targets expect it."""
    save_plan(clients.state, layout.plan, plan)
    save_table(clients.state, layout, plan)
    if copy := config.locations.index_copy:
        note_copy(clients.state, layout, clients.data.name, copy)
        clients.data.copy_from(clients.state, layout.index, copy)


def make_job_run(
    config: Config, clients: Clients, service: Service, layout: RunLayout, plan: Plan
) -> JobRun:
    """The run with all that following its jobs needs."""
    rules, verify = config.pull_rules, config.verify
    return JobRun(
        plan=plan,
        service=service,
        state=clients.state,
        layout=layout,
        oscar=clients.oscar,
        named=clients.oscar.names_jobs(),
        proof=Proof(verify, clients.data.beside(verify.bucket)) if verify else None,
        clock=clients.clock,
        # Two calls a minute, unless the config asks for more.
        pauses=Pauses(min(2.0, rules.poll_s), 2 * rules.poll_s, rules.pending_timeout_s),
    )
