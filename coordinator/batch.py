# SPDX-License-Identifier: Apache-2.0
"""The spine: a config becomes a report, stage by stage, in the order of the data.

    config ─▶ service ─▶ capacity ─▶ index ─▶ plan ─▶ invoke ─▶ report

Everything is decided before the first invocation leaves. A dry run walks the same way, counts the
index lines instead of writing them, and stops after the plan. Called by `__main__`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from .config.load import Config
from .drive import preflight
from .drive.payload import job_name, range_body
from .drive.progress import Story
from .drive.submission import Pace, Post, invoke_all
from .index.builder import IndexBuilder
from .index.manifest import inventory
from .index.manifest import objects as named_in
from .index.selection import Selection
from .index.skip_done import Done
from .model.cluster import Capacity
from .model.errors import BatchError, Ending, NoStatus, StorageError
from .model.items import Chunk, Index
from .model.object_columns import Objects
from .model.planning import Cost
from .model.run import Plan, Reply, Report, State, Verdict
from .model.service import Service
from .oscar.client import Oscar
from .plan.capacity import bounded, capped, cluster_capacity, extended, fixed_capacity
from .plan.choose import chosen
from .plan.timing import MAX_BYTES as COST_BYTES
from .plan.timing import cost_key, known, measured
from .report.render import files, plan_document
from .storage.bucket import Bucket
from .storage.pages import Folder

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outside:
    """The world that a run touches."""

    oscar: Oscar
    data: Bucket
    state: Bucket
    report: Bucket | None
    pace: Pace = field(default_factory=Pace)

    @classmethod
    def of(cls, config: Config) -> Outside:
        """Real clients for a config. Opens no connection."""
        return cls(
            oscar=Oscar(config.cluster),
            data=Bucket(config.storage, config.data.bucket),
            state=Bucket(config.storage, config.state.bucket),
            report=Bucket(config.storage, config.report.bucket) if config.report else None,
        )


@dataclass(frozen=True, slots=True)
class Found:
    """What a plan is made of, as the world tells it."""

    service: Service
    capacity: Capacity
    index: Index


def run_batch(config: Config, outside: Outside, story: Story) -> Report:
    """One run from end to end. Raises BatchError where it cannot go on; `story` tells how far."""
    with story.stage("service"):
        service = outside.oscar.service(config.service)
        preflight.refuse_triggers(config, service)
        story.warn(*preflight.warnings(config, service))
    with story.stage("capacity"):
        story.capacity = find_capacity(config, outside.oscar, service)
        story.warn(*story.capacity.warnings)
    if not story.capacity.slots:
        return story.report(Ending.NO_CAPACITY, f"no room: {story.capacity.explanation}")
    with story.stage("index"):
        index = build_index(config, outside, story.run_id)
    with story.stage("plan"):
        found = Found(service, story.capacity, index)
        story.plan = make_plan(config, story.run_id, found, known_cost(config, outside))
        story.warn(*preflight.oversize_warning(story.plan.oversized, service))
        story.warn(*preflight.submission_warning(len(story.plan.chunks)))
    if config.dry_run or not story.plan.chunks:
        return story.report(*_without_invocations(config, story.plan))
    with story.stage("save"):
        save_plan(config, outside, story.plan)
    with story.stage("invoke"):
        post = posting(outside.oscar, service, story.plan)
        story.outcomes = invoke_all(story.plan.chunks, post, outside.pace)
    return story.report(*_with_invocations(story))


def find_capacity(config: Config, oscar: Oscar, service: Service) -> Capacity:
    """How many invocations fit now, or the configured number where the cluster does not tell."""
    asked = config.max_parallel
    try:
        cluster = oscar.nodes()
        if not cluster.nodes and asked:
            # Before OSCAR 4.0 the only node of a cluster is left out, and so are nodes without
            # metrics.
            raise NoStatus("the cluster status names no node")
        capacity = cluster_capacity(cluster, service.needs, headroom=config.headroom)
    except NoStatus as error:
        if asked is None:
            advice = "set plan.max_parallel to run without it"
            raise NoStatus(f"{error}; {advice}") from error
        capacity = fixed_capacity(asked, why=str(error))
    else:
        if not config.extra_slots and (problem := preflight.misfit(cluster, service)):
            return preflight.without_room(cluster, service, config.headroom, problem)
        capacity = extended(capacity, config.extra_slots)
    return bounded(capacity, service, oscar.quota(service.owner), asked)


def build_index(config: Config, outside: Outside, run_id: str) -> Index:
    """Lists the data folder into the run's index object; a dry run only counts."""
    builder = IndexBuilder()
    selection = Selection(config.rules, _of_runs(config))
    items = selection.items(_candidates(config, outside.data))
    if config.skip_done:
        existing = outside.data.objects(Folder(config.skip_done.prefix))
        items = Done(config.skip_done, existing, builder.skip).to_do(items)
    lines = builder.lines(items)
    if config.dry_run:
        for _ in lines:
            continue
    else:
        outside.state.put_lines(index_key(config, run_id), lines, "text/plain; charset=utf-8")
    return builder.index(selection.left_out)


def make_plan(config: Config, run_id: str, found: Found, cost: Cost) -> Plan:
    """The whole plan of a run, frozen."""
    index = found.index
    capacity = capped(found.capacity, "items", index.items, "the number of items")
    chunks, choice = chosen(index, capacity.slots, config.cutting, cost)
    return Plan(
        run_id=run_id,
        service=config.service,
        data=config.data,
        index_bucket=config.state.bucket,
        index_key=index_key(config, run_id),
        index=index,
        capacity=capacity,
        chunks=chunks,
        choice=choice,
        oversized=preflight.oversized(index, found.service),
    )


def known_cost(config: Config, outside: Outside) -> Cost:
    """What is known of times: from the config, and from the last run of the service."""
    key = cost_key(config.state.prefix, config.service)
    try:
        content = outside.state.get(key, COST_BYTES)
    except StorageError as error:  # a plan without it is a plan too
        log.info("no cost of an earlier run is known: %s", error)
        content = None
    return known(config.cost, measured(content) if content else None)


def save_plan(config: Config, outside: Outside, plan: Plan) -> None:
    """Puts the plan beside the index, and the index where the first tool's targets expect it."""
    document = json.dumps(plan_document(plan), indent=2).encode()
    outside.state.put(f"{config.state.prefix}{plan.run_id}/plan.json", document, "application/json")
    if config.index_copy:
        outside.data.copy_from(outside.state, plan.index_key, config.index_copy)


def posting(oscar: Oscar, service: Service, plan: Plan) -> Post:
    """Invokes the service; a rejected token is read again once, since an update may renew it."""

    def post(chunk: Chunk, attempt: int) -> tuple[str, Reply]:
        nonlocal service
        job, body = job_name(plan, chunk, attempt), range_body(plan, chunk, attempt)
        reply = oscar.invoke(service, body, job=job)
        if reply.verdict is Verdict.STALE_TOKEN:
            try:
                service = oscar.service(plan.service)
            except BatchError as error:
                return job, Reply(Verdict.REFUSED, f"{reply.detail}; {error}")
            reply = oscar.invoke(service, body, job=job)
        return job, reply

    return post


def publish(config: Config, outside: Outside, report: Report) -> None:
    """Puts a run's report into its folder in the bucket, and where the config asks for it."""
    targets = [(outside.state, config.state.prefix)]
    if outside.report and config.report:
        targets.append((outside.report, config.report.prefix))
    for name, (content, content_type) in files(report).items():
        for bucket, prefix in targets:
            bucket.put(f"{prefix}{report.run_id}/{name}", content, content_type)


def index_key(config: Config, run_id: str) -> str:
    """Where a run's index lies in the state bucket."""
    return f"{config.state.prefix}{run_id}/index.txt"


def _candidates(config: Config, data: Bucket) -> Iterator[Objects]:
    """What the items are selected from: the folder, or what a manifest names."""
    manifest = config.manifest
    if manifest is None:
        return data.objects(Folder(config.data.prefix, config.recursive, config.rules.times))
    if not manifest.is_inventory:
        return named_in(manifest, data.read(manifest.key))
    files = inventory(b"".join(data.read(manifest.key)))
    return chain.from_iterable(named_in(file, data.read(file.key)) for file in files)


def _of_runs(config: Config) -> tuple[str, ...]:
    """What runs leave in the bucket, within reach of the listing: folders and keys."""
    data = config.data
    folders = [place for place in (config.state, config.report) if place and place.prefix]
    left = [place.prefix for place in folders if place.bucket == data.bucket]
    left += [config.index_copy] if config.index_copy else []
    return tuple(key for key in left if key.startswith(data.prefix) or data.prefix.startswith(key))


def _without_invocations(config: Config, plan: Plan) -> tuple[Ending, str]:
    index, size = plan.index, len(plan.chunks)
    if not index.items:
        looked = f"{config.data} holds no items ({index.listed} objects listed)"
        return Ending.NOTHING_TO_DO, f"nothing to do: {looked}"
    return Ending.PLANNED, f"{index.items} items planned in {size} chunks; nothing was started"


def _with_invocations(story: Story) -> tuple[Ending, str]:
    states = [outcome.state for outcome in story.outcomes]
    sent = sum(state in {State.INVOKED, State.UNCERTAIN} for state in states)
    text = f"{sent} of {len(states)} invocations sent"
    if State.PENDING in states:
        return Ending.INTERRUPTED, f"interrupted: {text}"
    if State.FAILED in states:
        failed = next(outcome for outcome in story.outcomes if outcome.state is State.FAILED)
        return Ending.PARTLY_SUBMITTED, f"{text}; chunk {failed.chunk.number}: {failed.detail}"
    if State.UNCERTAIN in states:
        doubtful = states.count(State.UNCERTAIN)
        text += f", {doubtful} of them without a clear answer: their jobs may not exist"
    items = story.plan.index.items if story.plan else 0
    return Ending.SUBMITTED, f"{items} items submitted: {text}"
