# SPDX-License-Identifier: Apache-2.0
"""Reads the answer of `GET /system/status`, of every OSCAR release.

Six shapes exist. Their keys distinguish them, never a version string:

    A  a list                                              3.1 to 3.2
    B  numberNodes + detail                                3.3 to 3.6.2
    C  B with isInterLink in the details                   3.6.3
    D  C with OSCAR                                        3.6.4
    E  cluster.nodes without requests                      3.6.5 to 3.7
    F  cluster.nodes with requests                         4.0 and later

In all of them CPU is in millicores (also where a key says `cores`), memory in bytes, and
capacity is the node's allocatable. A to D write numbers as strings; E and F leave out zeros and
write `null` for no nodes. Only F has what is *requested*; elsewhere free resources are computed
from live usage.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model.cluster import PRESSURES, Basis, Cluster, Node, Resources
from ..model.errors import NoStatus, clean_text
from ..model.units import parse_amount

# Longer than any secret, because secrets are hidden before a name is cut to its final length.
_LONGEST_NAME = 8192


def parse_status(raw: object) -> Cluster:
    """The nodes of a decoded status. Raises NoStatus if the shape is none of the six."""
    try:
        if isinstance(raw, list):
            return Cluster(
                tuple(_parse_detail(node) for node in raw), Basis.USAGE, gpus_known=False
            )
        if isinstance(raw, dict) and isinstance(raw.get("cluster"), dict):
            return _parse_current(raw["cluster"])
        if isinstance(raw, dict) and "numberNodes" in raw:
            return _parse_detailed(raw)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise NoStatus(f"the cluster status has an unreadable node: {error!r}") from error
    raise NoStatus("the cluster status has none of the six known shapes")


def _parse_detailed(raw: Mapping[str, Any]) -> Cluster:
    """Shapes B to D. C says which nodes have GPUs; D also says how many there are in sum."""
    details = raw.get("detail") or []
    owners = sum(bool(node.get("hasGPU")) for node in details)
    # Each of several owners has at least one; which one has more is not reported.
    each = parse_amount(raw.get("gpusTotal", 1)) if owners == 1 else 1
    return Cluster(
        tuple(_parse_detail(node, gpus=each) for node in details),
        Basis.USAGE,
        gpus_known=any("hasGPU" in node for node in details),
    )


def _parse_detail(raw: Mapping[str, Any], gpus: int = 0) -> Node:
    """A node of shapes A to D: numbers are strings; C may list nodes without metrics as 0."""
    size = Resources(
        cpu_millicores=parse_amount(raw["cpuCapacity"]),
        memory_bytes=parse_amount(raw["memoryCapacity"]),
        gpus=gpus if raw.get("hasGPU") else 0,
    )
    return Node(
        name=clean_text(str(raw["nodeName"]), _LONGEST_NAME),
        free=_subtract(
            size, Resources(parse_amount(raw["cpuUsage"]), parse_amount(raw["memoryUsage"]))
        ),
        ready=_is_ready(raw.get("conditions")),
        pressure=_find_pressure(raw.get("conditions")),
        virtual=bool(raw.get("isInterLink", False)),
        size=size,
    )


def _subtract(size: Resources, taken: Resources) -> Resources:
    """What is free; no release reports which GPUs are in use."""
    return Resources(
        cpu_millicores=size.cpu_millicores - taken.cpu_millicores,
        memory_bytes=size.memory_bytes - taken.memory_bytes,
        gpus=size.gpus,
    )


def _parse_current(raw: Mapping[str, Any]) -> Cluster:
    """Shapes E and F; the totals show which, because a node leaves out a request of zero."""
    cpu_totals = ((raw.get("metrics") or {}).get("cpu")) or {}
    by_requests = "total_schedulable_cores" in cpu_totals
    taken = "request" if by_requests else "usage"
    nodes = tuple(_parse_node(node, taken) for node in raw.get("nodes") or [])
    return Cluster(nodes, Basis.REQUESTS if by_requests else Basis.USAGE)


def _parse_node(raw: Mapping[str, Any], taken: str) -> Node:
    cpu, memory = raw.get("cpu") or {}, raw.get("memory") or {}
    size = Resources(
        cpu_millicores=parse_amount(cpu.get("capacity_cores", 0)),
        memory_bytes=parse_amount(memory.get("capacity_bytes", 0)),
        gpus=parse_amount(raw.get("gpu", 0)),
    )
    used = Resources(
        parse_amount(cpu.get(f"{taken}_cores", 0)), parse_amount(memory.get(f"{taken}_bytes", 0))
    )
    return Node(
        name=clean_text(str(raw["name"]), _LONGEST_NAME),
        free=_subtract(size, used),
        ready=raw.get("status", "Ready") == "Ready" and _is_ready(raw.get("conditions")),
        pressure=_find_pressure(raw.get("conditions")),
        virtual=bool(raw.get("is_interlink", False)),
        size=size,
    )


def _is_ready(conditions: object) -> bool:
    """Whether the Ready condition holds; shape D says "True", E and F say true, A to C nothing."""
    for condition in conditions if isinstance(conditions, list) else []:
        if condition.get("type") == "Ready":
            return str(condition.get("status")).lower() == "true"
    return True


def _find_pressure(conditions: object) -> str:
    """The first condition that keeps jobs off the node; empty if none does."""
    for condition in conditions if isinstance(conditions, list) else []:
        name = str(condition.get("type"))
        if name in PRESSURES and str(condition.get("status")).lower() == "true":
            return name
    return ""
