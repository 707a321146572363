# SPDX-License-Identifier: Apache-2.0
"""The main flow of a run: stage by stage, from the config to the report.

    config ─▶ service ─▶ capacity ─▶ index ─▶ plan ─▶ save ─▶ invoke ─▶ report

Everything is decided before the first invocation is sent. A dry run has the same stages, but counts
the index lines instead of writing them, and stops after the plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from .config.load import Config
from .drive import preflight
from .drive.endings import end_with_outcomes, end_without_capacity, end_without_invocations
from .drive.indexing import build_index, count_only, refuse_empty_folder
from .drive.modes import choose_mode
from .drive.payload import make_range_invocations
from .drive.posting import make_post
from .drive.progress import Progress
from .drive.submission import Clock, Pace, Post, Steps, submit
from .index.skip_done import locate_outputs
from .model.cluster import Capacity
from .model.errors import ClusterError, ConfigError
from .model.items import Index
from .model.run import Invocation, Outcome, Plan, Report, Sent, State
from .model.service import Service
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


def run_batch(config: Config, clients: Clients, progress: Progress) -> Report:
    """Runs a config from start to end. Raises BatchError if the run cannot go on."""
    layout = RunLayout(config.locations, progress.run_id)
    with progress.stage("service"):
        service = clients.oscar.read_service(config.service)
        repeat_lost = clients.oscar.names_jobs()
        selection = locate_outputs(config.selection, service, config.locations.data)
        config = replace(config, selection=selection)
        check(config, clients, layout, service, progress)
        begin(config, clients, layout, service, progress)
        progress.warn(*preflight.find_warnings(config.locations.data, service))
        progress.warn(*preflight.warn_unverified(config.storage, config.cluster))
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
        draft = draft_plan(config, layout, progress.capacity, index)
        last = load_last_cost(clients.state, layout.cost(config.service))
        cost = merge_costs(config.cost, last)
        plan = progress.plan = make_plan(draft, service, config.chunk_rules, cost)
        progress.warn(*preflight.warn_oversized(plan.oversized, service))
        invocations = make_range_invocations(plan, payload=config.payload)
        progress.warn(*preflight.warn_slow_submission(len(invocations)))
    if config.dry_run or not plan.chunks:
        return progress.make_report(*end_without_invocations(plan))
    with progress.stage("save"):
        save(config, clients, layout, plan)
    with progress.stage("invoke"):
        post = make_post(clients.oscar, service)
        outcomes = invoke(clients, post, invocations, progress, repeat_lost=repeat_lost)
    return progress.make_report(*end_with_outcomes(plan, outcomes))


def check(
    config: Config, clients: Clients, layout: RunLayout, service: Service, progress: Progress
) -> None:
    """Raises ConfigError if the run may not start, before anything is written."""
    places = config.locations
    preflight.refuse_coordinator(places, service)
    outputs = config.selection.skip_done
    preflight.refuse_buckets(places, outputs, service, config.allowed_buckets)
    try:
        triggers = clients.oscar.read_triggers()
    except ClusterError as error:
        triggers = ()
        known = "the input folders of the target and of this coordinator are checked"
        progress.warn(f"{error}; only {known}: if the run writes into another's, it starts jobs")
    preflight.refuse_triggers(places, service, triggers, layout.run_id)
    decide_mode(config, service, progress)


def decide_mode(config: Config, service: Service, progress: Progress) -> None:
    """Records the mode of the run. Raises ConfigError if there is none; a dry run only warns."""
    choice = choose_mode(config.mode, service, config.locations.data)
    if choice.mode:
        progress.setting["mode"] = f"{choice.mode}, because {choice.reason}"
    elif config.dry_run:
        progress.warn(f"a run would be refused: {choice.reason}")
    else:
        raise ConfigError([choice.reason])


def begin(
    config: Config, clients: Clients, layout: RunLayout, service: Service, progress: Progress
) -> None:
    """Writes the first objects of the run; a dry run has none."""
    if config.dry_run:
        return
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


def save(config: Config, clients: Clients, layout: RunLayout, plan: Plan) -> None:
    """Writes the plan, and the index where the first tool's targets expect it."""
    save_plan(clients.state, layout.plan, plan)
    if copy := config.locations.index_copy:
        note_copy(clients.state, layout, clients.data.name, copy)
        clients.data.copy_from(clients.state, layout.index, copy)


def invoke(
    clients: Clients,
    post: Post,
    invocations: Sequence[Invocation],
    progress: Progress,
    *,
    repeat_lost: bool,
) -> tuple[Outcome, ...]:
    """Invokes the service for every chunk of the plan; records each outcome when it is known."""
    chunks = {chunk.number: chunk for chunk in progress.plan.chunks} if progress.plan else {}

    def settle(sent: Sent) -> Outcome:
        invocation = sent.invocation
        job = invocation.job if sent.attempts else ""
        chunk = chunks[invocation.number]
        return Outcome(chunk, sent.state, sent.attempts, job, sent.detail)

    def note_request(invocation: Invocation) -> None:
        # What a report says if the run ends before the answer comes.
        detail = "the answer was not waited for"
        progress.record_outcome(settle(Sent(invocation, State.UNCERTAIN, 1, detail)))

    sent = submit(
        invocations,
        post,
        repeat_lost=repeat_lost,
        pace=clients.pace,
        clock=clients.clock,
        steps=Steps(
            before_post=note_request,
            on_sent=lambda sent: progress.record_outcome(settle(sent)),
        ),
    )
    return tuple(map(settle, sent))
