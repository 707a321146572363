# SPDX-License-Identifier: Apache-2.0
"""Divides each node: used by others, used by this run, left to others, stranded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...model.cluster import Capacity, NodeSlots, Resources
from ...model.units import format_bytes, format_cores


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a bar."""

    kind: str
    name: str
    left: float
    """In percent of the bar."""
    percent: float
    text: str


@dataclass(frozen=True, slots=True)
class NodeBar:
    """One resource of a node."""

    resource: str
    whole: str
    """What the node has; what is free, if OSCAR reports only that."""
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        return f"{self.resource}: " + ", ".join(f"{part.name} {part.text}" for part in self.parts)


def draw_node(node: NodeSlots, capacity: Capacity) -> tuple[NodeBar, ...]:
    """The bars of a node: CPU, memory, and GPUs if it has any."""
    needs = capacity.needs
    if needs is None:
        return ()
    return tuple(_list_bars(node, needs))


def _list_bars(node: NodeSlots, needs: Resources) -> Iterator[NodeBar]:
    size, free, stranded = node.size, node.free, node.stranded
    for name, cell, whole, is_free, need, rest in (
        (
            "CPU",
            format_cores,
            size.cpu_millicores if size else None,
            free.cpu_millicores,
            needs.cpu_millicores,
            stranded.cpu_millicores,
        ),
        (
            "memory",
            format_bytes,
            size.memory_bytes if size else None,
            free.memory_bytes,
            needs.memory_bytes,
            stranded.memory_bytes,
        ),
        ("GPU", _format_gpus, size.gpus if size else None, free.gpus, needs.gpus, stranded.gpus),
    ):
        total, ours = max(whole or 0, is_free, 0), node.slots * need
        if not total or (name == "GPU" and not need):
            continue
        left_over = max(0, is_free - ours - rest)
        amounts = (
            ("others", "used by others", max(0, (whole or 0) - max(0, is_free)) if whole else 0),
            ("ours", "this run", ours),
            ("stranded", "stranded", rest),
            ("left", "left to others", left_over),
        )
        parts, left = [], 0.0
        for kind, label, amount in amounts:
            if amount > 0:
                percent = round(100 * amount / total, 2)
                parts.append(Part(kind, label, round(left, 2), percent, cell(amount)))
                left += percent
        known = cell(total) if whole else f"{cell(total)} free"
        yield NodeBar(name, known, tuple(parts))


def _format_gpus(count: int) -> str:
    return f"{count} GPU"
