# SPDX-License-Identifier: Apache-2.0
"""Starts a pull run: what the storage can do, the chunk table, and a note of every invocation."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from ...config.load import Config
from ...model.access import StorageAccess
from ...model.errors import ClusterError, ConfigError, StorageError
from ...model.pull.lanes import Lanes, Proof, Table, Timing
from ...model.pull.rounds import IndexObject
from ...model.run import Plan, RunRules
from ...model.selection import Outputs
from ...oscar.client import OscarClient
from ...run.chunk_table import measure_table
from ...run.layout import RunLayout
from ...storage.bucket import Bucket

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
    rules: RunRules, proof: Outputs | None, timing: Timing, *, exclusive: bool
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

    Addresses are not compared, because one store has several. If the provider cannot be reached
    from here, nothing is refused.
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


def make_wake_key(config: Config, layout: RunLayout) -> str:
    """The bucket and key of the object with which a worker starts a coordinator; empty for none.

    The object is a config that names only the run, so it works only for a coordinator that uses the
    credentials of its own service.
    """
    inputs = config.locations.own_inputs
    if config.allowed_buckets is None or not inputs:
        return ""
    return f"{inputs[0]}{layout.run_id}.wake.json"


def measure_lanes(plan: Plan) -> Plan:
    """The plan with the widths of its chunk table."""
    if plan.lanes is None:
        return plan
    table = measure_table(_find_index(plan), plan.lanes.counts, plan.chunks)
    return replace(plan, lanes=replace(plan.lanes, table=table))


def _find_index(plan: Plan) -> IndexObject:
    return IndexObject(
        f"{plan.index_bucket}/{plan.index_key}", plan.index.text_bytes, plan.index.sha256
    )
