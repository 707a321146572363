# SPDX-License-Identifier: Apache-2.0
"""Cuts an index into chunks and completes the plan of a run.

A strategy that the config names is used; `auto` leaves the choice to a simulation of its
candidates.
"""

from __future__ import annotations

from dataclasses import replace

from ..model.items import Chunk, Index, Item
from ..model.planning import Choice, ChunkRules, Cost, Strategy
from ..model.run import Plan
from ..model.service import Service
from . import auto, strategies
from .capacity import cap_capacity
from .workload import Workload


def choose_chunks(
    index: Index, slots: int, rules: ChunkRules, cost: Cost
) -> tuple[tuple[Chunk, ...], Choice]:
    """The chunks under the rules of the config, and how they were chosen."""
    if slots < 1 or not index.items:
        return (), Choice(Strategy.BALANCED, "there are no items", cost)
    if rules.strategy is not Strategy.AUTO:
        chunks, choice = _cut(index, slots, rules, cost, "plan.strategy says so")
    elif rules.fixed:
        reason = "plan.chunk_items or plan.chunk_bytes says so"
        chunks, choice = _cut(index, slots, replace(rules, strategy=Strategy.FIXED), cost, reason)
    else:
        chunks, choice = auto.choose_fastest(index, slots, cost, rules.min_chunk_items)
    waiting = _describe_queue(chunks, slots, choice.strategy)
    return chunks, replace(choice, reason=choice.reason + waiting)


def make_plan(draft: Plan, service: Service, rules: ChunkRules, cost: Cost) -> Plan:
    """The plan of a run, complete: the draft with its capacity capped and its chunks cut."""
    index = draft.index
    capacity = cap_capacity(draft.capacity, "items", index.items, "the number of items")
    chunks, choice = choose_chunks(index, capacity.slots, rules, cost)
    return replace(
        draft,
        index=index.without_working_values(),
        capacity=capacity,
        chunks=chunks,
        choice=choice,
        oversized=find_oversized(index, service),
    )


def find_oversized(index: Index, service: Service) -> tuple[Item, ...]:
    """The items that are larger than an invocation's memory, or than the disk it requests.

    A script that reads a whole file into memory, or OSCAR's own download onto the node's disk,
    is then likely to be killed. A mounted bucket needs no disk. Whether the script streams its
    input is not known here, so such items are listed and not refused.
    """
    bounds = [service.needs.memory_bytes]
    bounds += [service.scratch_bytes] if service.scratch_bytes and not service.mount else []
    return tuple(item for item in index.largest if item.size_bytes > min(bounds) > 0)


def _cut(
    index: Index, slots: int, rules: ChunkRules, cost: Cost, reason: str
) -> tuple[tuple[Chunk, ...], Choice]:
    """The chunks of the strategy that is asked for; of pulled chunks no time is estimated."""
    work = Workload.from_index(index, cost)
    chunks = _cut_by_strategy(work, slots, rules, cost)
    timed = cost.timed and rules.strategy is not Strategy.PULL
    estimate = auto.estimate_time(work, chunks, slots, cost) if timed else None
    if timed and cost.startup_s is None:
        reason += "; the start-up time is not known: the estimate does not include it"
    return chunks, Choice(rules.strategy, reason, cost, estimate)


def _cut_by_strategy(
    work: Workload, slots: int, rules: ChunkRules, cost: Cost
) -> tuple[Chunk, ...]:
    least = rules.min_chunk_items
    if rules.strategy is Strategy.FIXED:
        return strategies.cut_fixed(work)
    if rules.strategy is Strategy.FACTORING:
        return strategies.cut_factoring(work, slots, cost.startup_s or 0.0, least_items=least)
    if rules.strategy is Strategy.PULL:
        return strategies.cut_for_pull(work, slots, least)
    return strategies.cut_balanced(work, slots, least_items=least)


def _describe_queue(chunks: tuple[Chunk, ...], slots: int, strategy: Strategy) -> str:
    if strategy is Strategy.PULL or len(chunks) <= slots:
        return ""
    waiting = len(chunks) - slots
    subject = (
        "1 chunk waits as a pending pod"
        if waiting == 1
        else f"{waiting} chunks wait as pending pods"
    )
    return f"; {subject} until a slot is free"
