"""Nodes + what one invocation needs + headroom → slots, each with the reason that limits it.

Kubernetes places pods by requests, one node at a time, and a job of a service requests exactly
the service's cpu, memory and GPU. So the cluster's slots are the sum of the per-node minima, not
the minimum of the sums. Next: `plan`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

from coordinator.model import Basis, Cap, Capacity, Cluster, Node, NodeSlots, Resources

_MIB = 1024 * 1024


def cluster_capacity(cluster: Cluster, needs: Resources, *, headroom: float) -> Capacity:
    """Slots on every node, leaving the share `headroom` of its free room to others."""
    nodes = tuple(_node_slots(node, needs, headroom) for node in cluster.nodes)
    slots = sum(node.slots for node in nodes)
    warnings = (_OVERCOMMITS,) if cluster.basis is Basis.USAGE else ()
    return Capacity(
        slots=slots,
        limited_by="nodes",
        explanation=_explained(cluster, needs, headroom, nodes),
        nodes=nodes,
        caps=(Cap("nodes", slots, "what fits on the nodes now"),),
        warnings=warnings,
    )


def fixed_capacity(max_parallel: int, *, why: str) -> Capacity:
    """The configured parallelism, where the cluster does not tell of its nodes."""
    return Capacity(
        slots=max_parallel,
        limited_by="max_parallel",
        explanation=f"{_count(max_parallel)} as plan.max_parallel says",
        caps=(Cap("max_parallel", max_parallel, "plan.max_parallel"),),
        warnings=(f"plan.max_parallel is used unchecked, because {why}",),
    )


def capped(capacity: Capacity, name: str, slots: int | None, reason: str) -> Capacity:
    """The capacity under one more upper bound; None is no bound."""
    if slots is None:
        return capacity
    caps = (*capacity.caps, Cap(name, slots, reason))
    if slots >= capacity.slots:
        return replace(capacity, caps=caps)
    explanation = f"{capacity.explanation}; {reason} allows {slots}"
    return replace(capacity, slots=slots, limited_by=name, explanation=explanation, caps=caps)


_OVERCOMMITS = (
    "this OSCAR release tells only what is in use, not what is reserved: more invocations may be "
    "planned than the scheduler accepts at once, and the rest will wait"
)


def _node_slots(node: Node, needs: Resources, headroom: float) -> NodeSlots:
    if not node.ready:
        return NodeSlots(node.name, 0, "not ready")
    if node.virtual:
        return NodeSlots(node.name, 0, "a virtual (interLink) node")
    # Exact: in floats 0.8 * 5000 / 1000 is 3.9999…, and a slack for that would overfill a node.
    share = 1 - Fraction(str(headroom))
    fits = {
        "cpu": _fits(node.free.cpu_millicores * share, needs.cpu_millicores),
        "memory": _fits(node.free.memory_bytes * share, needs.memory_bytes),
        # Headroom of a GPU would be a whole GPU, and their use by others is not told.
        "gpu": _fits(node.free.gpus, needs.gpus),
    }
    binding = min(fits, key=lambda resource: fits[resource])
    slots = fits[binding]
    if math.isinf(slots):
        return NodeSlots(node.name, 0, "the service needs nothing that could be counted")
    return NodeSlots(node.name, int(slots), f"{binding}: {_room(node.free, needs, binding)}")


def _fits(free: Fraction | int, need: int) -> float:
    """How often a need fits; without a need there is no bound."""
    return max(0, math.floor(Fraction(free) / need)) if need > 0 else math.inf


def _room(free: Resources, needs: Resources, resource: str) -> str:
    if resource == "cpu":
        return f"{_cores(free.cpu_millicores)} free, {_cores(needs.cpu_millicores)} each"
    if resource == "memory":
        return f"{_mib(free.memory_bytes)} free, {_mib(needs.memory_bytes)} each"
    return f"{free.gpus} GPUs, {needs.gpus} each"


def _explained(
    cluster: Cluster, needs: Resources, headroom: float, nodes: tuple[NodeSlots, ...]
) -> str:
    if not nodes:
        return "the cluster status names no node; set plan.max_parallel to run without it"
    slots = sum(node.slots for node in nodes)
    usable = [node for node in nodes if node.slots]
    each = f"{_cores(needs.cpu_millicores)}, {_mib(needs.memory_bytes)}"
    each += f", {needs.gpus} GPU" if needs.gpus else ""
    left = f", leaving {headroom:.0%} of the free room to others" if headroom else ""
    text = f"{_count(slots)} of {each} fit on {len(usable)} of {len(nodes)} nodes{left}"
    summed = _node_slots(Node("all", _total(cluster)), needs, headroom).slots
    if summed > slots:
        text += f" (their free room in sum would hold {summed}, but no pod spans two nodes)"
    if not slots:
        text += "; " + "; ".join(f"{node.node}: {node.reason}" for node in nodes[:3])
    return text


def _total(cluster: Cluster) -> Resources:
    free = [node.free for node in cluster.nodes if node.ready and not node.virtual]
    return Resources(
        cpu_millicores=sum(max(0, room.cpu_millicores) for room in free),
        memory_bytes=sum(max(0, room.memory_bytes) for room in free),
        gpus=sum(room.gpus for room in free),
    )


def _count(slots: int) -> str:
    return "1 invocation" if slots == 1 else f"{slots} invocations"


def _cores(millicores: int) -> str:
    return f"{millicores / 1000:g} CPU"


def _mib(size_bytes: int) -> str:
    mib = size_bytes / _MIB
    return f"{mib:.0f} MiB" if mib < 10 * 1024 else f"{mib / 1024:.1f} GiB"
