# SPDX-License-Identifier: Apache-2.0
"""Computes how many invocations fit on the nodes, and what limits them.

Kubernetes places a pod on one node, by what it requests, and a job requests the cpu, memory and GPU
of its service. So slots are counted on each node and then added; free resources of several nodes do
not add up to a slot. A quota, the service or the config may allow fewer. All arithmetic is in whole
numbers: a slot that lacks one byte is no slot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

from ..model.cluster import (
    Allowance,
    Basis,
    Cap,
    Capacity,
    CapacityRules,
    Cluster,
    Node,
    NodeSlots,
    Quota,
    Resources,
)
from ..model.errors import NoStatus, clean_text
from ..model.service import Service
from .explain import explain_capacity, explain_misfit, pair_resources

# The kubelet's default. OSCAR does not report how many pods already run on a node.
MAX_PODS = 110

_OVERCOMMITS = (
    "this OSCAR release reports what is in use, not what is reserved: more invocations may be "
    "planned than the scheduler accepts at once, and the others will wait"
)
_GPUS_UNSEEN = "OSCAR does not report which GPUs are in use: all are counted as free"
_PODS_UNSEEN = (
    f"some nodes are full at {MAX_PODS} pods, the default limit of a node; OSCAR "
    "does not report how many pods run there already, so a few invocations may wait"
)


ReadCluster = Callable[[], Cluster]
ReadQuota = Callable[[str], Quota | None]


def find_capacity(
    service: Service, rules: CapacityRules, read_cluster: ReadCluster, read_quota: ReadQuota
) -> Capacity:
    """How many invocations fit now, or the configured number where OSCAR reports no usable status.

    `read_cluster` and `read_quota` (of the owner that it is given) ask OSCAR or read saved
    answers. Raises NoStatus if that cannot be known.
    """
    if rules.slots is not None:
        return Capacity(
            slots=rules.slots,
            limited_by="slots",
            explanation=f"{rules.slots} at a time, as --slots says",
            caps=(Cap("slots", rules.slots, "--slots"),),
            warnings=("the cluster was not asked for its capacity, because --slots was given",),
        )
    try:
        cluster = read_cluster()
        if not cluster.nodes and rules.max_parallel:
            # Before OSCAR 4.0 the only node of a cluster is missing from the answer, and so are
            # nodes without metrics.
            raise NoStatus("the cluster status names no node")
        capacity = compute_capacity(
            cluster, service.needs, headroom=rules.headroom, interlink_node=service.interlink_node
        )
    except NoStatus as error:
        if rules.max_parallel is None:
            advice = "set plan.max_parallel to run without it"
            raise NoStatus(f"{error}; {advice}") from error
        capacity = assume_capacity(rules.max_parallel, why=str(error))
    else:
        if not rules.extra_slots and (problem := explain_misfit(cluster, service)):
            # Without slots whatever is free now: waiting for others to end would not help.
            return replace(capacity, slots=0, limited_by="node size", explanation=problem)
        capacity = add_extra_slots(capacity, rules.extra_slots)
        warnings = (*capacity.warnings, *_warn_unreported(service))
        capacity = replace(capacity, warnings=warnings)
    return apply_caps(capacity, service, read_quota(service.owner), rules.max_parallel)


def compute_capacity(
    cluster: Cluster, needs: Resources, *, headroom: float, interlink_node: str = ""
) -> Capacity:
    """Slots on every node; the share `headroom` of its free resources is left to others.

    The jobs of a service with an `interlink_node` run on that virtual node only, all others on
    real nodes only.

    Raises NoStatus if the service needs a GPU and OSCAR does not report GPUs.
    """
    if needs.gpus and not cluster.gpus_known:
        raise NoStatus("this OSCAR release does not report how many GPUs its nodes have")
    # From the decimal as written, not from the nearest binary: 20 % of 5,000 are exactly 1,000.
    share = 1 - Fraction(str(headroom))
    nodes = tuple(
        _count_node_slots(node, _find_obstacle(node, interlink_node), needs, share)
        for node in cluster.nodes
    )
    eligible = [node for node in cluster.nodes if not _find_obstacle(node, interlink_node)]
    slots = sum(node.slots for node in nodes)
    caps = (
        Cap("sum", _count_by_sums(eligible, needs, share), "the sum of the free resources"),
        Cap("nodes", slots, "what fits on the nodes now"),
    )
    return Capacity(
        slots=slots,
        limited_by="nodes",
        explanation=explain_capacity(nodes, caps, needs, headroom),
        nodes=nodes,
        caps=caps,
        warnings=_find_warnings(cluster, needs, nodes),
        needs=needs,
    )


def assume_capacity(max_parallel: int, *, why: str) -> Capacity:
    """The configured parallelism, where OSCAR does not report its nodes."""
    return Capacity(
        slots=max_parallel,
        limited_by="max_parallel",
        explanation=f"{max_parallel} at a time, as plan.max_parallel says",
        caps=(Cap("max_parallel", max_parallel, "plan.max_parallel"),),
        warnings=(f"plan.max_parallel is used unchecked, because {why}",),
    )


def add_extra_slots(capacity: Capacity, extra_slots: int) -> Capacity:
    """The capacity with slots beyond what fits now: their pods wait, and an elastic cluster grows.

    Only bounds that hold for a grown cluster too may be applied after this.
    """
    if not extra_slots:
        return capacity
    text = f"plan.extra_slots adds {extra_slots}, to wait as pending pods until the cluster grows"
    return replace(
        capacity,
        slots=capacity.slots + extra_slots,
        limited_by="extra_slots",
        explanation=f"{capacity.explanation}; {text}",
        caps=(*capacity.caps, Cap("extra_slots", capacity.slots + extra_slots, text)),
        extra_slots=extra_slots,
    )


def cap_capacity(capacity: Capacity, name: str, slots: int | None, reason: str) -> Capacity:
    """The capacity under one more upper bound; None is no bound."""
    if slots is None:
        return capacity
    caps = (*capacity.caps, Cap(name, slots, reason))
    if slots >= capacity.slots:
        return replace(capacity, caps=caps)
    explanation = f"{capacity.explanation}; {reason} allows {slots or 'none'}"
    return replace(capacity, slots=slots, limited_by=name, explanation=explanation, caps=caps)


def apply_caps(
    capacity: Capacity, service: Service, quota: Quota | None, max_parallel: int | None
) -> Capacity:
    """The capacity under all bounds that do not depend on the nodes."""
    if quota:
        capacity = cap_capacity(capacity, "quota", count_allowed(quota.left, service), "your quota")
    total = count_allowed(service.total, service)
    capacity = cap_capacity(capacity, "total", total, "the service's total_cpu or total_memory")
    return cap_capacity(capacity, "max_parallel", max_parallel, "plan.max_parallel")


def count_allowed(allowance: Allowance, service: Service) -> int | None:
    """How many invocations an allowance admits; None if it bounds nothing that they need."""
    pairs = (
        (allowance.cpu_millicores, service.needs.cpu_millicores),
        (allowance.memory_bytes, service.needs.memory_bytes),
        (allowance.gpus, service.needs.gpus),
        (allowance.scratch_bytes, service.scratch_bytes),
    )
    bounds = [max(0, bound) // need for bound, need in pairs if bound is not None and need > 0]
    return min(bounds, default=None)


def _find_obstacle(node: Node, interlink_node: str) -> str:
    """Why a node takes no jobs of the service at all; empty if it may."""
    if not node.ready:
        return "not ready"
    if interlink_node:
        return "" if node.virtual and node.name == interlink_node else "another node"
    return "virtual" if node.virtual else node.pressure


def _count_node_slots(node: Node, obstacle: str, needs: Resources, share: Fraction) -> NodeSlots:
    name = clean_text(node.name)
    if obstacle:
        return NodeSlots(name, 0, obstacle, node.free, Resources(0, 0), node.size)
    usable = _apply_headroom(node.free, share)
    fits = {name: have // need for name, have, need in pair_resources(usable, needs) if need > 0}
    fits["pods"] = MAX_PODS
    binding = min(fits, key=lambda resource: fits[resource])
    slots = fits[binding]
    stranded = _compute_stranded(usable, needs, slots)
    return NodeSlots(name, slots, binding, node.free, stranded, node.size)


def _apply_headroom(free: Resources, share: Fraction) -> Resources:
    """What is left to this run. Headroom of a GPU would be a whole GPU: it has none."""
    return Resources(
        cpu_millicores=max(0, free.cpu_millicores) * share.numerator // share.denominator,
        memory_bytes=max(0, free.memory_bytes) * share.numerator // share.denominator,
        gpus=free.gpus,
    )


def _compute_stranded(usable: Resources, needs: Resources, slots: int) -> Resources:
    return Resources(
        cpu_millicores=usable.cpu_millicores - slots * needs.cpu_millicores,
        memory_bytes=usable.memory_bytes - slots * needs.memory_bytes,
        gpus=usable.gpus - slots * needs.gpus,
    )


def _warn_unreported(service: Service) -> tuple[str, ...]:
    """What the service requests besides and OSCAR does not report of any node."""
    found = ["its ephemeral_storage_request"] if service.scratch_bytes else []
    found += ["enable_sgx"] if service.sgx else []
    return tuple(
        f"OSCAR does not report what {service.name} needs for {name}: fewer invocations may fit"
        for name in found
    )


def _count_by_sums(nodes: Sequence[Node], needs: Resources, share: Fraction) -> int:
    """What the minimum of the cluster-wide sums would promise."""
    usable = [_apply_headroom(node.free, share) for node in nodes]
    total = Resources(
        cpu_millicores=sum(each.cpu_millicores for each in usable),
        memory_bytes=sum(each.memory_bytes for each in usable),
        gpus=sum(each.gpus for each in usable),
    )
    bounds = [have // need for _, have, need in pair_resources(total, needs) if need > 0]
    return min([*bounds, MAX_PODS * len(usable)])


def _find_warnings(
    cluster: Cluster, needs: Resources, nodes: tuple[NodeSlots, ...]
) -> tuple[str, ...]:
    found = [_OVERCOMMITS] if cluster.basis is Basis.USAGE else []
    found += [_GPUS_UNSEEN] if needs.gpus else []
    found += [_PODS_UNSEEN] if any(node.limited_by == "pods" for node in nodes) else []
    return tuple(found)
