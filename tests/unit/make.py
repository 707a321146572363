# SPDX-License-Identifier: Apache-2.0
"""Makers of model values for the unit tests: only what a test cares for is given."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from coordinator.index.builder import IndexBuilder
from coordinator.index.checkpoints import MAX_CHECKPOINTS
from coordinator.model.cluster import Resources
from coordinator.model.errors import Ending
from coordinator.model.items import Chunk, Index, Item
from coordinator.model.object_columns import ObjectColumns
from coordinator.model.planning import ChunkRules, Cost, Strategy
from coordinator.model.run import Invocation, Outcome, Plan, Report
from coordinator.model.service import Folder, Service
from coordinator.plan.capacity import assume_capacity
from coordinator.plan.choose import choose_chunks

RUN_ID = "20261122t101500z-3f9a1c"
MIB = 1024 * 1024


def index(
    sizes: Sequence[int], *, limit: int = MAX_CHECKPOINTS, rules: ChunkRules | None = None
) -> Index:
    """The index of items of these sizes."""
    items = [Item(f"data/{i}", size) for i, size in enumerate(sizes)]
    return indexed(items, limit=limit, rules=rules)


def indexed(
    items: Sequence[Item],
    *,
    limit: int = MAX_CHECKPOINTS,
    batch: int = 7,
    rules: ChunkRules | None = None,
) -> Index:
    builder = IndexBuilder(rules, limit=limit)
    for _ in builder.build_lines(batches(items, batch)):
        continue
    return builder.index()


def batches(items: Sequence[Item], size: int = 7) -> list[ObjectColumns]:
    """Items as pages of a listing."""
    pages = [items[i : i + size] for i in range(0, len(items), size)]
    return [
        ObjectColumns(
            [each.key.encode(errors="surrogatepass") for each in page],
            [each.size_bytes for each in page],
        )
        for page in pages
    ]


def plan(
    sizes: Sequence[int] = (10, 20, 30),
    *,
    slots: int = 3,
    service: str = "target",
    run_id: str = RUN_ID,
    bucket: str = "data",
    index_key: str = ".oscar-batch/run/index.txt",
    of: Index | None = None,
) -> Plan:
    planned = index(sizes) if of is None else of
    return Plan(
        run_id=run_id,
        service=service,
        data=Folder(bucket, "input/"),
        index_bucket=bucket,
        index_key=index_key,
        index=planned.without_working_values(),
        capacity=assume_capacity(slots, why="the test says so"),
        chunks=choose_chunks(planned, slots, ChunkRules(Strategy.BALANCED), Cost())[0],
    )


def chunks(count: int) -> tuple[Chunk, ...]:
    return tuple(
        Chunk(number, number - 1, number, 1, 2 * (number - 1), 2) for number in range(1, count + 1)
    )


def invocations(count: int) -> tuple[Invocation, ...]:
    return tuple(
        Invocation(number, f"chunk {number}", f"job-{number}", b"{}")
        for number in range(1, count + 1)
    )


def service(
    *,
    name: str = "target",
    inputs: tuple[Folder, ...] = (),
    outputs: tuple[Folder, ...] = (),
    mount: Folder | None = None,
) -> Service:
    return Service(
        name=name,
        needs=Resources(cpu_millicores=1000, memory_bytes=1024 * MIB),
        token="canary-service-token",
        inputs=inputs,
        outputs=outputs,
        mount=mount,
    )


def outcomes(plan: Plan | None) -> tuple[Outcome, ...]:
    """All chunks of a plan, pending."""
    return tuple(Outcome(chunk) for chunk in plan.chunks) if plan else ()


def report(
    ending: Ending = Ending.SUBMITTED,
    *,
    of: Plan | None = None,
    settled: tuple[Outcome, ...] = (),
    message: str = "as it went",
    problems: tuple[str, ...] = (),
) -> Report:
    return Report(
        run_id=RUN_ID,
        ending=ending,
        message=message,
        started_at=datetime(2026, 11, 22, 10, 15, tzinfo=UTC),
        finished_at=datetime(2026, 11, 22, 10, 16, tzinfo=UTC),
        problems=problems,
        capacity=of.capacity if of else None,
        plan=of,
        outcomes=settled or outcomes(of),
    )
