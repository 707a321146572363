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
from .drive.payload import make_job_name, write_range_body
from .drive.progress import Progress
from .drive.submission import Pace, Post, submit_chunks
from .index.builder import IndexBuilder
from .index.manifest import read_inventory
from .index.manifest import read_objects as named_in
from .index.selection import Selection
from .index.skip_done import DoneFilter
from .model.cluster import Capacity
from .model.errors import BatchError, Ending, NoStatus, StorageError
from .model.items import Chunk, Index
from .model.object_columns import ObjectColumns
from .model.planning import Cost
from .model.run import Plan, Reply, Report, State, Verdict
from .model.service import Service
from .oscar.client import OscarClient
from .plan.capacity import (
    add_extra_slots,
    apply_caps,
    assume_capacity,
    cap_capacity,
    compute_capacity,
)
from .plan.choose import choose_chunks
from .plan.timing import MAX_BYTES as COST_BYTES
from .plan.timing import cost_key, merge_costs, read_cost
from .report.render import plan_document, render_files
from .storage.bucket import Bucket
from .storage.pages import ListQuery

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Clients:
    """The world that a run touches."""

    oscar: OscarClient
    data: Bucket
    state: Bucket
    report: Bucket | None
    pace: Pace = field(default_factory=Pace)

    @classmethod
    def of(cls, config: Config) -> Clients:
        """Real clients for a config. Opens no connection."""
        return cls(
            oscar=OscarClient(config.cluster),
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


def run_batch(config: Config, outside: Clients, story: Progress) -> Report:
    """One run from end to end. Raises BatchError where it cannot go on; `story` tells how far."""
    with story.stage("service"):
        service = outside.oscar.read_service(config.service)
        preflight.refuse_triggers(config, service)
        story.warn(*preflight.find_warnings(config, service))
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
        story.warn(*preflight.warn_oversized(story.plan.oversized, service))
        story.warn(*preflight.warn_slow_submission(len(story.plan.chunks)))
    if config.dry_run or not story.plan.chunks:
        return story.report(*_without_invocations(config, story.plan))
    with story.stage("save"):
        save_plan(config, outside, story.plan)
    with story.stage("invoke"):
        post = make_post(outside.oscar, service, story.plan)
        story.outcomes = submit_chunks(story.plan.chunks, post, outside.pace)
    return story.report(*_with_invocations(story))


def find_capacity(config: Config, oscar: OscarClient, service: Service) -> Capacity:
    """How many invocations fit now, or the configured number where the cluster does not tell."""
    asked = config.max_parallel
    try:
        cluster = oscar.read_cluster()
        if not cluster.nodes and asked:
            # Before OSCAR 4.0 the only node of a cluster is left out, and so are nodes without
            # metrics.
            raise NoStatus("the cluster status names no node")
        capacity = compute_capacity(cluster, service.needs, headroom=config.headroom)
    except NoStatus as error:
        if asked is None:
            advice = "set plan.max_parallel to run without it"
            raise NoStatus(f"{error}; {advice}") from error
        capacity = assume_capacity(asked, why=str(error))
    else:
        if not config.extra_slots and (problem := preflight.explain_misfit(cluster, service)):
            return preflight.without_room(cluster, service, config.headroom, problem)
        capacity = add_extra_slots(capacity, config.extra_slots)
    return apply_caps(capacity, service, oscar.read_quota(service.owner), asked)


def build_index(config: Config, outside: Clients, run_id: str) -> Index:
    """Lists the data folder into the run's index object; a dry run only counts."""
    builder = IndexBuilder()
    selection = Selection(config.rules, _of_runs(config))
    items = selection.select(_candidates(config, outside.data))
    if config.skip_done:
        existing = outside.data.list_objects(ListQuery(config.skip_done.prefix))
        items = DoneFilter(config.skip_done, existing, builder.skip).drop_done(items)
    lines = builder.build_lines(items)
    if config.dry_run:
        for _ in lines:
            continue
    else:
        outside.state.write_lines(index_key(config, run_id), lines, "text/plain; charset=utf-8")
    return builder.index(selection.left_out)


def make_plan(config: Config, run_id: str, found: Found, cost: Cost) -> Plan:
    """The whole plan of a run, frozen."""
    index = found.index
    capacity = cap_capacity(found.capacity, "items", index.items, "the number of items")
    chunks, choice = choose_chunks(index, capacity.slots, config.cutting, cost)
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
        oversized=preflight.find_oversized(index, found.service),
    )


def known_cost(config: Config, outside: Clients) -> Cost:
    """What is known of times: from the config, and from the last run of the service."""
    key = cost_key(config.state.prefix, config.service)
    try:
        content = outside.state.read_small(key, COST_BYTES)
    except StorageError as error:  # a plan without it is a plan too
        log.info("no cost of an earlier run is known: %s", error)
        content = None
    return merge_costs(config.cost, read_cost(content) if content else None)


def save_plan(config: Config, outside: Clients, plan: Plan) -> None:
    """Puts the plan beside the index, and the index where the first tool's targets expect it."""
    document = json.dumps(plan_document(plan), indent=2).encode()
    outside.state.write(
        f"{config.state.prefix}{plan.run_id}/plan.json", document, "application/json"
    )
    if config.index_copy:
        outside.data.copy_from(outside.state, plan.index_key, config.index_copy)


def make_post(oscar: OscarClient, service: Service, plan: Plan) -> Post:
    """Invokes the service; a rejected token is read again once, since an update may renew it."""

    def post(chunk: Chunk, attempt: int) -> tuple[str, Reply]:
        nonlocal service
        job, body = make_job_name(plan, chunk, attempt), write_range_body(plan, chunk, attempt)
        reply = oscar.invoke(service, body, job=job)
        if reply.verdict is Verdict.STALE_TOKEN:
            try:
                service = oscar.read_service(plan.service)
            except BatchError as error:
                return job, Reply(Verdict.REFUSED, f"{reply.detail}; {error}")
            reply = oscar.invoke(service, body, job=job)
        return job, reply

    return post


def publish_report(config: Config, outside: Clients, report: Report) -> None:
    """Puts a run's report into its folder in the bucket, and where the config asks for it."""
    targets = [(outside.state, config.state.prefix)]
    if outside.report and config.report:
        targets.append((outside.report, config.report.prefix))
    for name, (content, content_type) in render_files(report).items():
        for bucket, prefix in targets:
            bucket.write(f"{prefix}{report.run_id}/{name}", content, content_type)


def index_key(config: Config, run_id: str) -> str:
    """Where a run's index lies in the state bucket."""
    return f"{config.state.prefix}{run_id}/index.txt"


def _candidates(config: Config, data: Bucket) -> Iterator[ObjectColumns]:
    """What the items are selected from: the folder, or what a manifest names."""
    manifest = config.manifest
    if manifest is None:
        return data.list_objects(
            ListQuery(config.data.prefix, config.recursive, config.rules.times)
        )
    if not manifest.is_inventory:
        return named_in(manifest, data.read_pieces(manifest.key))
    files = read_inventory(b"".join(data.read_pieces(manifest.key)))
    return chain.from_iterable(named_in(file, data.read_pieces(file.key)) for file in files)


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


def _with_invocations(story: Progress) -> tuple[Ending, str]:
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
