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
from ..model.service import Mode, Service
from . import auto, strategies
from .capacity import cap_capacity
from .parts import cut_parts
from .simulate import simulate_pull, simulate_queue
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


def choose_lanes(
    index: Index, slots: int, rules: ChunkRules, cost: Cost
) -> tuple[tuple[int, ...], tuple[Chunk, ...], Choice]:
    """The chunks of each worker's lane, all chunks in the order of the lanes, and why so."""
    reason = "one worker per slot claims one chunk after the other"
    if rules.fixed:
        reason += "; plan.chunk_items or plan.chunk_bytes sets their size"
    elif rules.strategy not in {Strategy.AUTO, Strategy.PULL}:
        reason += f"; plan.strategy {rules.strategy} is for ranges and is not used"
    if slots < 1 or not index.items:
        return (), (), Choice(Strategy.PULL, "there are no items", cost)
    chunks, choice = _cut(index, slots, replace(rules, strategy=Strategy.PULL), cost, reason)
    return *strategies.deal_lanes(chunks, slots), choice


def make_plan(draft: Plan, service: Service, rules: ChunkRules, cost: Cost) -> Plan:
    """The plan of a run, complete: the draft with its capacity capped and its chunks cut."""
    index = draft.index
    capacity = cap_capacity(draft.capacity, "items", index.items, "the number of items")
    lanes = draft.lanes
    if draft.mode is Mode.EVENT:
        reason = "an invocation for every item, the larger files first"
        chunks, choice = cut_parts(index), Choice(Strategy.EVENT, reason, cost)
    elif lanes:
        counts, chunks, choice = choose_lanes(index, capacity.slots, rules, cost)
        lanes = replace(lanes, counts=counts)
    else:
        chunks, choice = choose_chunks(index, capacity.slots, rules, cost)
    return replace(
        draft,
        index=index.without_working_values(),
        capacity=capacity,
        chunks=chunks,
        choice=choice,
        lanes=lanes,
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
    """The chunks of the strategy that is asked for, with an estimate where times are known."""
    work = Workload.from_index(index, cost)
    chunks = _cut_by_strategy(work, slots, rules, cost)
    simulate = simulate_pull if rules.strategy is Strategy.PULL else simulate_queue
    estimate = auto.estimate_time(work, chunks, slots, cost, simulate) if cost.timed else None
    if cost.timed and cost.startup_s is None:
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
        if rules.fixed:
            return strategies.order_heaviest(work, strategies.cut_fixed(work))
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
