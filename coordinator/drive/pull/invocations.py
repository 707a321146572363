# SPDX-License-Identifier: Apache-2.0
"""The plan of a pull run → the invocations of its workers, whose bodies hold no credential."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from ...model.pull.lanes import Lanes, name_worker
from ...model.run import Invocation, Plan
from ..bodies.encoding import encode_body
from ..payload import make_job_name

SCHEMA = "oscar-batch/worker/1"


def make_worker_invocations(
    plan: Plan, lanes: Lanes, workers: Iterable[tuple[int, int]]
) -> list[Invocation]:
    """One invocation for each worker: its number within the epoch, and its lane."""
    made = []
    for number, lane in workers:
        worker = name_worker(lanes.epoch, number)
        body = encode_body(_write_body(plan, lanes, worker, lane))
        job = make_job_name(plan, worker)
        made.append(Invocation(number, f"worker {worker}", job, body, lane))
    return made


def _write_body(plan: Plan, lanes: Lanes, worker: str, lane: int) -> dict[str, Any]:
    body: dict[str, Any] = {
        "schema": SCHEMA,
        "run": plan.run_id,
        "worker": worker,
        "round": 1,
        "lane": lane,
        "state": str(plan.folder),
        "data": str(plan.data),
        "index": f"{plan.index_bucket}/{plan.index_key}",
        "table": asdict(lanes.table),
        "exclusive": lanes.exclusive,
        "item_timeout_s": _shorten(lanes.item_timeout_s),
        "timing": {name: _shorten(value) for name, value in asdict(lanes.timing).items()},
    }
    return {**body, "proof": asdict(lanes.proof)} if lanes.proof else body


def _shorten(seconds: float) -> float:
    """A whole number of seconds as such: `30`, not `30.0`."""
    return int(seconds) if seconds == int(seconds) else seconds
