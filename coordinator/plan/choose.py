# SPDX-License-Identifier: Apache-2.0
"""Index + slots + cost → chunks, and why they were cut so.

A strategy that the config names is taken; `auto` leaves the choice to a simulation of its
candidates. Called by `batch` and, for saved indexes, by `offline`. Next: `payload`.
"""

from __future__ import annotations

from dataclasses import replace

from ..model.items import Chunk, Index
from ..model.planning import Choice, ChunkRules, Cost, Strategy
from . import auto, strategies
from .workload import Workload


def choose_chunks(
    index: Index, slots: int, cutting: ChunkRules, cost: Cost
) -> tuple[tuple[Chunk, ...], Choice]:
    """The chunks under what the config asks for, and how they came about."""
    if slots < 1 or not index.items:
        return (), Choice(Strategy.BALANCED, "there is nothing to cut", cost)
    if cutting.strategy is not Strategy.AUTO:
        chunks, choice = _named(index, slots, cutting, cost, "plan.strategy says so")
    elif cutting.chunk_items or cutting.chunk_bytes:
        fixed = replace(cutting, strategy=Strategy.FIXED)
        reason = "plan.chunk_items or plan.chunk_bytes says so"
        chunks, choice = _named(index, slots, fixed, cost, reason)
    else:
        chunks, choice = auto.choose_fastest(index, slots, cost, cutting.min_chunk_items)
    return chunks, replace(choice, reason=choice.reason + _queue(chunks, slots, choice.strategy))


def _named(
    index: Index, slots: int, cutting: ChunkRules, cost: Cost, reason: str
) -> tuple[tuple[Chunk, ...], Choice]:
    """The cut of a strategy that is asked for; no time is told of one that workers pull."""
    work = Workload.from_index(index, cost)
    chunks = _cut(index, work, slots, cutting, cost)
    told = cost.timed and cutting.strategy is not Strategy.PULL
    estimate = auto.estimate_time(work, chunks, slots, cost) if told else None
    if told and cost.startup_s is None:
        reason += "; the start-up is not known: the estimate is without it"
    return chunks, Choice(cutting.strategy, reason, cost, estimate)


def _cut(
    index: Index, work: Workload, slots: int, cutting: ChunkRules, cost: Cost
) -> tuple[Chunk, ...]:
    least = cutting.min_chunk_items
    if cutting.strategy is Strategy.FIXED:
        return strategies.cut_fixed(
            index, work, chunk_items=cutting.chunk_items, chunk_bytes=cutting.chunk_bytes
        )
    if cutting.strategy is Strategy.FACTORING:
        return strategies.cut_factoring(work, slots, cost.startup_s or 0.0, least_items=least)
    if cutting.strategy is Strategy.PULL:
        return strategies.cut_for_pull(work, slots, least)
    return strategies.cut_balanced(work, slots, least_items=least)


def _queue(chunks: tuple[Chunk, ...], slots: int, strategy: Strategy) -> str:
    if strategy is Strategy.PULL or len(chunks) <= slots:
        return ""
    waiting = len(chunks) - slots
    who = (
        "1 chunk waits as a pending pod"
        if waiting == 1
        else f"{waiting} chunks wait as pending pods"
    )
    return f"; {who} until a slot is free"
