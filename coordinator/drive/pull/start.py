# SPDX-License-Identifier: Apache-2.0
"""Starts a pull run: what the storage can do, the chunk table, and a note of every invocation."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from ...model.access import StorageAccess
from ...model.errors import ClusterError, ConfigError, StorageError
from ...model.pull.documents import Post
from ...model.pull.lanes import Lanes, Proof, PullRules, Table, Timing, name_worker
from ...model.run import Invocation, Plan, Reply
from ...model.selection import Outputs
from ...oscar.client import OscarClient
from ...run.chunk_table import IndexObject, measure_table, write_table
from ...run.layout import RunLayout
from ...run.pull_documents import encode_document
from ...storage.bucket import Bucket
from ..submission import Steps

log = logging.getLogger(__name__)

OpenBucket = Callable[[StorageAccess, str], Bucket]
WITHOUT_STEALING = (
    "without stealing: the storage does not honour conditional writes, so every worker keeps to "
    "its own lane, and the guarantee is weaker: a chunk may be processed twice at the same time"
)
KEEPS_LANE = (
    "without stealing: the service has the worker in sh, which keeps to its own lane, so a slot "
    "that ends early stays idle, and a new worker takes over the lane of one that is lost"
)
_JSON = "application/json"


def draft_lanes(
    rules: PullRules, proof: Outputs | None, timing: Timing, *, exclusive: bool
) -> Lanes:
    """The lanes of a plan before its chunks are cut."""
    return Lanes(
        counts=(),
        table=Table(0, 0),
        timing=timing,
        exclusive=exclusive,
        item_timeout_s=rules.item_timeout_s,
        proof=Proof(proof.strip, proof.suffix) if proof else None,
    )


def refuse_other_store(
    oscar: OscarClient, open_bucket: OpenBucket, state: Bucket, key: str
) -> None:
    """Raises ConfigError if the workers' provider does not show this object of the run folder.

    Addresses are not compared: one store has several. Where the provider cannot be asked from here
    nothing is known, and nothing is refused.
    """
    content = state.read_small(key, 4096) or b""
    try:
        access = oscar.read_storage()
        shown = open_bucket(access, state.name).shows(key, content)
    except (ClusterError, StorageError) as error:
        log.info("the storage of the workers cannot be asked from here: %s", error)
        return
    if not shown:
        raise ConfigError(
            [
                "service.mode: pull needs the run folder where its workers look: "
                f"{access.url}, the provider minio.default of OSCAR's services, does not show "
                f"{key} in bucket {state.name}; name that store in MinIO and state.bucket"
            ]
        )


def measure_lanes(plan: Plan) -> Plan:
    """The plan with the widths of its chunk table."""
    if plan.lanes is None:
        return plan
    table = measure_table(_find_index(plan), plan.lanes.counts, plan.chunks)
    return replace(plan, lanes=replace(plan.lanes, table=table))


def save_table(state: Bucket, layout: RunLayout, plan: Plan) -> None:
    """Writes the chunk table of a pull run; before any worker is invoked."""
    if plan.lanes:
        content = write_table(_find_index(plan), plan.lanes, plan.chunks)
        state.put_new(layout.table(1), content, "application/jsonl")


def record_posts(
    state: Bucket, layout: RunLayout, read_clock: Callable[[], datetime], steps: Steps
) -> Steps:
    """These steps, and a note in the run's folder before each request and after its answer."""
    noted: dict[int, Post] = {}

    def before_post(invocation: Invocation) -> None:
        if invocation.number not in noted:
            worker = name_worker(layout.epoch, invocation.number)
            since = read_clock().isoformat()
            post = Post(worker, 1, invocation.lane, invocation.job, since)
            state.put_new(layout.post(worker), encode_document(post), _JSON)
            noted[invocation.number] = post
        steps.before_post(invocation)

    def after_answer(invocation: Invocation, reply: Reply) -> None:
        post = replace(noted[invocation.number], verdict=str(reply.verdict), detail=reply.detail)
        try:
            state.write(layout.post(post.worker), encode_document(post), _JSON)
        except StorageError as error:  # the intent is noted, and beats will tell
            log.warning("the answer to %s is not noted: %s", invocation.name, error)

    return replace(steps, before_post=before_post, after_answer=after_answer)


def _find_index(plan: Plan) -> IndexObject:
    return IndexObject(
        f"{plan.index_bucket}/{plan.index_key}", plan.index.text_bytes, plan.index.sha256
    )
