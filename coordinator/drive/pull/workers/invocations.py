# SPDX-License-Identifier: Apache-2.0
"""Makes the invocations of workers. Their bodies hold no credential."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from ....model.pull.lanes import Lanes
from ....model.pull.rounds import Round
from ....model.run import Invocation, Plan
from ...bodies.encoding import encode_body
from ...payload import make_job_name

SCHEMA = "oscar-batch/worker/1"
# The workers of an epoch have five digits.
_PER_EPOCH = 100_000


def make_worker_invocations(
    plan: Plan, round_: Round, workers: Iterable[tuple[str, int]]
) -> list[Invocation]:
    """One invocation for each worker: its name, and its lane."""
    made = []
    for worker, lane in workers:
        epoch, _, number = worker.partition("-")
        made.append(
            Invocation(
                number=(int(epoch) - 1) * _PER_EPOCH + int(number),
                name=f"worker {worker}",
                job=make_job_name(plan, worker),
                body=encode_body(_write_body(plan, round_, worker, lane)),
                lane=lane,
            )
        )
    return made


def _write_body(plan: Plan, round_: Round, worker: str, lane: int) -> dict[str, Any]:
    lanes: Lanes = round_.lanes
    body: dict[str, Any] = {
        "schema": SCHEMA,
        "run": plan.run_id,
        "worker": worker,
        "round": round_.number,
        "lane": lane,
        "state": str(plan.folder),
        "data": str(plan.data),
        "index": round_.index.key,
        "table": asdict(lanes.table),
        "exclusive": lanes.exclusive,
        "item_timeout_s": _shorten(lanes.item_timeout_s),
        "timing": {name: _shorten(value) for name, value in asdict(lanes.timing).items()},
    }
    body |= {"proof": asdict(lanes.proof)} if lanes.proof else {}
    return body | ({"wake": lanes.wake} if lanes.wake else {})


def _shorten(seconds: float) -> float:
    """A whole number of seconds as such: `30`, not `30.0`."""
    return int(seconds) if seconds == int(seconds) else seconds
