# SPDX-License-Identifier: Apache-2.0
"""`Plan` ⇄ plan.json: complete enough to be read back into the very same value.

Ranges of lines are 1-based and include both ends, as in the bodies of invocations; `offset` and
`length_bytes` say where these lines are in the index, in bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from ..model.cluster import Capacity
from ..model.items import Chunk, Index, Item, Skipped
from ..model.planning import Choice
from ..model.pull.lanes import Lanes
from ..model.run import Plan
from ..model.service import Folder, Mode
from ..report.document import (
    read_choice,
    write_capacity,
    write_choice,
    write_chunk,
    write_index,
)
from ..report.values import check_schema, read_value

SCHEMA = "oscar-batch/plan/1"


def write_plan(plan: Plan) -> dict[str, Any]:
    """The plan as JSON values."""
    sums = {"text_bytes": plan.index.text_bytes, "sha256": plan.index.sha256}
    return {
        "schema": SCHEMA,
        "run": plan.run_id,
        "service": plan.service,
        "mode": str(plan.mode),
        "data": str(plan.data),
        "index": {**write_index(plan), **sums},
        "capacity": write_capacity(plan.capacity),
        "strategy": write_choice(plan.choice) if plan.choice else None,
        "lanes": _write_lanes(plan.lanes) if plan.lanes else None,
        "redrive_of": plan.redrive_of,
        "oversized": [asdict(item) for item in plan.oversized],
        "chunks": [_write_lines(chunk) for chunk in plan.chunks],
        "skipped": [asdict(skipped) for skipped in plan.index.skipped],
    }


def read_plan(raw: object) -> Plan:
    """The plan that `write_plan` wrote. Raises BadDocument."""
    members = check_schema(raw, SCHEMA)
    index = read_value(dict[str, Any], members.get("index"), "index")
    skipped = read_value(tuple[Skipped, ...], members.get("skipped"), "skipped")
    counted = {**index, "skipped": [], "skipped_count": index.get("skipped")}
    chunks = read_value(list[dict[str, Any]], members.get("chunks"), "chunks")
    return Plan(
        run_id=read_value(str, members.get("run"), "run"),
        service=read_value(str, members.get("service"), "service"),
        mode=read_value(Mode, members.get("mode"), "mode"),
        data=Folder.parse(read_value(str, members.get("data"), "data")),
        index_bucket=read_value(str, index.get("bucket"), "index.bucket"),
        index_key=read_value(str, index.get("key"), "index.key"),
        index=replace(read_value(Index, counted, "index"), skipped=skipped),
        capacity=read_value(Capacity, members.get("capacity"), "capacity"),
        chunks=tuple(_read_lines(row) for row in chunks),
        choice=read_choice(members.get("strategy")),
        lanes=_read_lanes(members.get("lanes")),
        redrive_of=read_value(str, members.get("redrive_of", ""), "redrive_of"),
        oversized=read_value(tuple[Item, ...], members.get("oversized"), "oversized"),
    )


def write_cut(index: Index, chunks: Sequence[Chunk], choice: Choice) -> dict[str, Any]:
    """A plan without a cluster, as JSON values: how a saved index is cut."""
    return {
        "schema": SCHEMA,
        "index": {"items": index.items, "size_bytes": index.size_bytes},
        "strategy": write_choice(choice),
        "chunks": [_write_lines(chunk) for chunk in chunks],
    }


def _write_lanes(lanes: Lanes) -> dict[str, Any]:
    return {**asdict(lanes), "counts": list(lanes.counts)}


def _read_lanes(raw: object) -> Lanes | None:
    return None if raw is None else read_value(Lanes, raw, "lanes")


def _write_lines(chunk: Chunk) -> dict[str, Any]:
    return {**write_chunk(chunk), "offset": chunk.offset, "length_bytes": chunk.length_bytes}


def _read_lines(row: Mapping[str, Any]) -> Chunk:
    path = f"chunk {row.get('number')}"
    start = read_value(int, row.get("start"), f"{path}.start") - 1
    return read_value(Chunk, {**row, "start": start, "stop": row.get("end")}, path)
