# SPDX-License-Identifier: Apache-2.0
"""Turns nodes and jobs into the answer of GET /system/status, in any of OSCAR's six shapes.

Pure. A is v3.1, B v3.3 to v3.6.2, C v3.6.3, D v3.6.4, E v3.6.5 to v3.7, F v4. CPU is in
millicores in all of them, also in the fields that are named cores. Usage is what running jobs
request: the sandbox has no metrics server.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..cluster.job_record import Phase
from ..cluster.resources import Node, Resources

SHAPES = ("A", "B", "C", "D", "E", "F")
PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")
CREATED = "2026-01-29T08:00:00Z"

# Shape A lists it. Shape B leaves out the first node, which is this one.
CONTROL_PLANE = Node("control-plane", Resources(2000, 4 * 1024**3))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The cluster at one moment; ``used`` and ``requested`` are by node name."""

    nodes: tuple[Node, ...]
    used: Mapping[str, Resources]
    requested: Mapping[str, Resources]
    phases: Mapping[Phase, int]
    buckets: Mapping[str, int]

    def select_measured(self) -> "Snapshot":
        """Without the nodes that the metrics server does not know."""
        return replace(self, nodes=tuple(node for node in self.nodes if node.measured))

    def compute_free(self, node: Node) -> Resources:
        return node.capacity - self.used.get(node.name, Resources())

    def compute_schedulable(self, node: Node) -> Resources:
        return node.capacity - self.requested.get(node.name, Resources())


class Unpaired(Exception):
    """In shapes A and B, OSCAR panics if it has metrics for fewer nodes than there are."""


def render(snapshot: Snapshot, shape: str) -> Any:
    known = snapshot.select_measured()
    if shape in ("A", "B") and known.nodes != snapshot.nodes:
        raise Unpaired
    if shape == "A":
        return [_make_detail(snapshot, node) for node in (CONTROL_PLANE, *snapshot.nodes)]
    if shape in ("B", "C", "D"):
        return _make_flat(known, shape)
    return _make_nested(known, shape)


def _make_detail(snapshot: Snapshot, node: Node) -> dict[str, Any]:
    """The numbers of a node as decimal strings, as in shapes A to D."""
    used, capacity = snapshot.used.get(node.name, Resources()), node.capacity
    return {
        "nodeName": node.name,
        "cpuCapacity": str(capacity.cpu_millicores),
        "cpuUsage": str(used.cpu_millicores),
        "cpuPercentage": f"{100 * used.cpu_millicores / capacity.cpu_millicores:.2f}",
        "memoryCapacity": str(capacity.memory_bytes),
        "memoryUsage": str(used.memory_bytes),
        "memoryPercentage": f"{100 * used.memory_bytes / capacity.memory_bytes:.2f}",
    }


def _make_flat(snapshot: Snapshot, shape: str) -> dict[str, Any]:
    free = [snapshot.compute_free(node) for node in snapshot.nodes]
    details = [_make_detail(snapshot, node) for node in snapshot.nodes]
    answer: dict[str, Any] = {
        "numberNodes": len(snapshot.nodes),
        "cpuFreeTotal": sum(each.cpu_millicores for each in free),
        "cpuMaxFree": max((each.cpu_millicores for each in free), default=0),
        "memoryFreeTotal": sum(each.memory_bytes for each in free),
        "memoryMaxFree": max((each.memory_bytes for each in free), default=0),
        "detail": details or None,
    }
    if shape == "B":
        # A bug of OSCAR: this total is the capacity, not what is free.
        answer["memoryFreeTotal"] = sum(node.capacity.memory_bytes for node in snapshot.nodes)
        return answer
    for detail, node in zip(details, snapshot.nodes, strict=True):
        detail.update(isInterLink=node.interlink, hasGPU=node.capacity.gpus > 0)
        if shape == "D":
            ready = "Unknown" if node.lost else "True"
            detail["conditions"] = [{"type": "Ready", "status": ready}]
    if shape == "D":
        gpus = sum(node.capacity.gpus for node in snapshot.nodes)
        answer.update(hasGPU=gpus > 0, gpusTotal=gpus)
        answer["OSCAR"] = _make_oscar_d(snapshot)
        answer["MinIO"] = {
            "buckets": [
                {"name": name, "policy_type": "private", "policy_json": "", "num_objects": count}
                for name, count in snapshot.buckets.items()
            ]
        }
    return answer


def _make_oscar_d(snapshot: Snapshot) -> dict[str, Any]:
    phases = snapshot.phases
    return {
        "deploymentName": "oscar",
        "deploymentReady": True,
        "deploymentInfo": {
            "replicas": 1,
            "readyReplicas": 1,
            "availableReplicas": 1,
            "unavailableReplicas": 0,
            "strategy": "RollingUpdate",
            "labels": {"app": "oscar"},
            "creationTimestamp": CREATED,
        },
        "jobsCount": {
            "active": phases.get(Phase.PENDING, 0) + phases.get(Phase.RUNNING, 0),
            "succeeded": phases.get(Phase.SUCCEEDED, 0),
            "failed": phases.get(Phase.FAILED, 0) + phases.get(Phase.EVICTED, 0),
        },
        "podsInfo": {"pods": None, **_count_pods(phases)},
        "OIDC": {"enabled": False, "issuers": [""], "groups": [""]},
    }


def _count_pods(phases: Mapping[Phase, int]) -> dict[str, Any]:
    states = {phase.value: phases.get(phase, 0) for phase in Phase if not phase.podless}
    return {"total": sum(states.values()), "states": dict(sorted({**states, "Unknown": 0}.items()))}


def _make_nested(snapshot: Snapshot, shape: str) -> dict[str, Any]:
    metrics = _make_metrics([snapshot.compute_free(node) for node in snapshot.nodes])
    if shape == "F":
        free = [snapshot.compute_schedulable(node) for node in snapshot.nodes]
        for kind, numbers in _sum_schedulable(free).items():
            metrics[kind].update(numbers)
    metrics["gpu"] = {"total_gpu": sum(node.capacity.gpus for node in snapshot.nodes)}
    return {
        "cluster": {
            "nodes_count": len(snapshot.nodes),
            "metrics": metrics,
            "nodes": [_make_node(snapshot, node, shape) for node in snapshot.nodes] or None,
        },
        "oscar": {
            "deployment_name": "oscar",
            "ready": True,
            "deployment": {
                "available_replicas": 1,
                "ready_replicas": 1,
                "replicas": 1,
                "creation_timestamp": CREATED,
                "strategy": "RollingUpdate",
                "labels": {"app": "oscar"},
            },
            "jobs_count": sum(n for phase, n in snapshot.phases.items() if phase != "suspended"),
            "pods": _count_pods(snapshot.phases),
            "oidc": {"enabled": False, "issuers": [""], "groups": [""]},
        },
        "minio": {
            "buckets_count": len(snapshot.buckets),
            "total_objects": sum(snapshot.buckets.values()),
        },
    }


def _make_metrics(free: list[Resources]) -> dict[str, dict[str, int]]:
    return {
        "cpu": {
            "total_free_cores": sum(each.cpu_millicores for each in free),
            "max_free_on_node_cores": max([0, *(each.cpu_millicores for each in free)]),
        },
        "memory": {
            "total_free_bytes": sum(each.memory_bytes for each in free),
            "max_free_on_node_bytes": max([0, *(each.memory_bytes for each in free)]),
        },
    }


def _sum_schedulable(free: list[Resources]) -> dict[str, dict[str, int]]:
    return {
        "cpu": {
            "total_schedulable_cores": sum(each.cpu_millicores for each in free),
            # OSCAR gives the maximum of a single node this name.
            "total_schedulable_on_node_cores": max([0, *(each.cpu_millicores for each in free)]),
        },
        "memory": {
            "total_schedulable_bytes": sum(each.memory_bytes for each in free),
            "max_schedulable_on_node_bytes": max([0, *(each.memory_bytes for each in free)]),
        },
    }


def _make_node(snapshot: Snapshot, node: Node, shape: str) -> dict[str, Any]:
    used = snapshot.used.get(node.name, Resources())
    requested = snapshot.requested.get(node.name, Resources()) if shape == "F" else Resources()
    cpu = {
        "capacity_cores": node.capacity.cpu_millicores,
        "usage_cores": used.cpu_millicores,
        "request_cores": requested.cpu_millicores,
    }
    memory = {
        "capacity_bytes": node.capacity.memory_bytes,
        "usage_bytes": used.memory_bytes,
        "request_bytes": requested.memory_bytes,
    }
    return {
        "name": node.name,
        # A key whose value is 0 is left out (omitempty in Go).
        "cpu": {key: value for key, value in cpu.items() if value},
        "memory": {key: value for key, value in memory.items() if value},
        "gpu": node.capacity.gpus,
        "is_interlink": node.interlink,
        # OSCAR makes false of Kubernetes' Unknown, and counts a lost node in the totals.
        "status": "NotReady" if node.lost else "Ready",
        "conditions": [
            *({"type": kind, "status": False} for kind in PRESSURES),
            {"type": "Ready", "status": not node.lost},
        ],
    }
