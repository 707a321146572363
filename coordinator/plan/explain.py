# SPDX-License-Identifier: Apache-2.0
"""Makes the sentence that explains the number of slots.

"the sum says 44, nodes fit 37 of 1 CPU and 2 GiB each: wn-3 short of memory by 1.2 GiB". All
numbers come from `capacity`. For a service that fits on no node the sentence names the node that
comes nearest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..model.cluster import PRESSURES, Cap, Cluster, NodeSlots, Resources
from ..model.errors import clean_text
from ..model.service import Service
from ..model.units import format_bytes, format_cores

# Nodes named in the sentence; the table of nodes has all of them.
_NAMED = 2
_LONGEST_NAME = 63
# The length of a sentence about nodes, so that the other bounds and the advice fit after it.
_LONGEST = 300


def explain_capacity(
    nodes: Sequence[NodeSlots], caps: Sequence[Cap], needs: Resources, headroom: float
) -> str:
    """The sentence for what fits on the nodes."""
    if not nodes:
        return "the cluster status names no node; set plan.max_parallel to run without it"
    summed, fit = (cap.slots for cap in caps)
    nodes = [replace(node, name=clean_text(node.name, _LONGEST_NAME)) for node in nodes]
    text = f"nodes fit {fit or 'none'} of {format_needs(needs)} each"
    if summed > fit:
        text = f"the sum says {summed}, {text}"
    usable = [node for node in nodes if _is_usable(node)]
    if fit and summed > fit:
        text += f": {_describe_lost(usable, needs)}"
    elif not fit and usable:
        text += f": {_describe_nearest(usable, needs)}"
    parts = [text, *_describe_full(usable), *_describe_left_out(nodes)]
    return clean_text("; ".join([*parts, *_describe_headroom(headroom)]), _LONGEST)


def format_needs(needs: Resources) -> str:
    """What one invocation takes: `1 CPU and 2 GiB`."""
    parts = [format_cores(needs.cpu_millicores), format_bytes(needs.memory_bytes)]
    parts += [f"{needs.gpus} GPU"] if needs.gpus else []
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def explain_misfit(cluster: Cluster, service: Service) -> str:
    """Why no node can hold one invocation even when empty; empty text if one can."""
    needs = service.needs
    sizes = [
        (node.name, node.size)
        for node in cluster.nodes
        if node.size and node.virtual == bool(service.interlink_node)
    ]
    if not sizes or (needs.gpus and not cluster.gpus_known):
        return ""
    if not all(find_lacking(size, needs) for _, size in sizes):
        return ""
    name, size = find_nearest(sizes, needs)
    lacking = " and ".join(find_lacking(size, needs))
    name = clean_text(name, _LONGEST_NAME)
    return (
        f"{service.name} needs {format_needs(needs)} and fits on no node that OSCAR lists, even "
        f"when empty; {name} comes nearest and lacks {lacking}: let the service ask for less"
    )


def find_lacking(free: Resources, needs: Resources) -> tuple[str, ...]:
    """What free resources lack for one invocation, in words: `1.2 GiB of memory`."""
    cpu, size = needs.cpu_millicores - free.cpu_millicores, needs.memory_bytes - free.memory_bytes
    gpus = needs.gpus - free.gpus
    found = [format_cores(cpu)] if cpu > 0 else []
    found += [f"{format_bytes(size)} of memory"] if size > 0 else []
    found += [f"{gpus} GPU"] if gpus > 0 else []
    return tuple(found)


def find_nearest(named: Iterable[tuple[str, Resources]], needs: Resources) -> tuple[str, Resources]:
    """The name and the resources that lack the smallest share of the needs."""
    return min(named, key=lambda pair: _compute_lacking_share(pair[1], needs))


def _is_usable(node: NodeSlots) -> bool:
    return node.limited_by in {"cpu", "memory", "gpu", "pods"}


def _describe_lost(nodes: Sequence[NodeSlots], needs: Resources) -> str:
    """Why fewer invocations fit on the nodes than the sum of their resources suggests."""
    scarce = _find_scarce(nodes, needs)
    ranked = sorted(nodes, key=lambda node: -_count_unused(node, needs, scarce))
    losers = [node for node in ranked if _count_unused(node, needs, scarce) >= 1]
    if losers:
        return ", ".join(_describe_shortage(node, needs) for node in losers[:_NAMED])
    return (
        f"what is left on each is too little for one more, {_describe_shortage(ranked[0], needs)}"
    )


def _find_scarce(nodes: Sequence[NodeSlots], needs: Resources) -> int:
    """The position of the resource that the sum of the nodes runs out of first."""
    left = [pair_resources(node.stranded, needs) for node in nodes]
    slots = sum(node.slots for node in nodes)
    needed = [i for i, (_, _, need) in enumerate(left[0]) if need > 0]
    return min(needed, key=lambda i: slots + sum(pairs[i][1] / pairs[i][2] for pairs in left))


def _count_unused(node: NodeSlots, needs: Resources, scarce: int) -> float:
    """How many more slots the unused part of the scarce resource would make."""
    _, have, need = pair_resources(node.stranded, needs)[scarce]
    return have / need


def _describe_shortage(node: NodeSlots, needs: Resources) -> str:
    for name, have, need in pair_resources(node.stranded, needs):
        if name == node.limited_by:
            kind = name if name == "memory" else name.upper()
            return f"{node.name} short of {kind} by {_format_shortage(name, need - have)}"
    return f"{node.name} full at {node.slots} pods"


def _describe_full(nodes: Sequence[NodeSlots]) -> list[str]:
    names = [node.name for node in nodes if node.limited_by == "pods"]
    if not names:
        return []
    who = f"{names[0]} and {len(names) - 1} more are" if len(names) > 1 else f"{names[0]} is"
    return [f"{who} full at the limit of pods per node"]


def _describe_nearest(nodes: Sequence[NodeSlots], needs: Resources) -> str:
    name, free = find_nearest(((node.name, node.stranded) for node in nodes), needs)
    return f"{name} comes nearest and lacks {' and '.join(find_lacking(free, needs))}"


def _describe_left_out(nodes: Sequence[NodeSlots]) -> list[str]:
    found = []
    for limit, singular, plural in (
        ("not ready", "is not ready", "are not ready"),
        ("virtual", "is a virtual (interLink) node", "are virtual (interLink) nodes"),
        (
            "another node",
            "is not the node of its interlink_node_name",
            "are not its interLink node",
        ),
        *((name, f"reports {name}", f"report {name}") for name in PRESSURES),
    ):
        names = [node.name for node in nodes if node.limited_by == limit]
        if len(names) == 1:
            found.append(f"{names[0]} {singular}")
        elif names:
            found.append(f"{names[0]} and {len(names) - 1} more {plural}")
    return found


def _describe_headroom(headroom: float) -> list[str]:
    return [f"{100 * headroom:g}% of the free resources are left to others"] if headroom else []


def _compute_lacking_share(free: Resources, needs: Resources) -> float:
    return sum(
        max(0, need - have) / need for _, have, need in pair_resources(free, needs) if need > 0
    )


def _format_shortage(resource: str, short: int) -> str:
    if resource == "cpu":
        return f"{short / 1000:g} {'core' if short == 1000 else 'cores'}"
    return format_bytes(short) if resource == "memory" else f"{short} GPU"


def pair_resources(available: Resources, needs: Resources) -> tuple[tuple[str, int, int], ...]:
    return (
        ("cpu", available.cpu_millicores, needs.cpu_millicores),
        ("memory", available.memory_bytes, needs.memory_bytes),
        ("gpu", available.gpus, needs.gpus),
    )
