# SPDX-License-Identifier: Apache-2.0
"""Nodes, resources, jobs, and the capacity for invocations with the reasons that limit it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

# Conditions of a node that Kubernetes turns into a NoSchedule taint (seen with 1.34), which jobs of
# OSCAR do not tolerate.
PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


@dataclass(frozen=True, slots=True)
class Resources:
    """CPU in thousandths of a core, memory in bytes, whole GPUs."""

    cpu_millicores: int
    memory_bytes: int
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """One node as OSCAR reports it; `free` is negative on an overcommitted node."""

    name: str
    free: Resources
    ready: bool = True
    virtual: bool = False
    """An interLink node: it stands for a remote machine and accepts no ordinary pod."""
    pressure: str = ""
    """A condition such as MemoryPressure, for which Kubernetes places no jobs there."""
    size: Resources | None = None
    """What an empty node offers to pods (its allocatable), where OSCAR reports it."""


class Basis(StrEnum):
    """What the free resources of a cluster were computed from."""

    REQUESTS = "requests"
    """Allocatable minus the requests of all bound pods, as the scheduler computes it."""
    USAGE = "usage"
    """Allocatable minus measured usage, which is often more than the scheduler accepts."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The nodes at one moment."""

    nodes: tuple[Node, ...]
    basis: Basis
    gpus_known: bool = True
    """Whether OSCAR reports the GPUs of its nodes; early releases do not."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """Resources that all invocations together may take; None is no bound."""

    cpu_millicores: int | None = None
    memory_bytes: int | None = None
    gpus: int | None = None
    scratch_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Quota:
    """What a user's queue (Kueue) still admits: its maximum less what is in use."""

    user: str
    left: Allowance


@dataclass(frozen=True, slots=True)
class CapacityRules:
    """What the config says about capacity."""

    headroom: float = 0.2
    """Share (0 to below 1) of each node's free resources that is left to others."""
    max_parallel: int | None = None
    extra_slots: int = 0
    """Invocations beyond what fits now, for clusters that grow while pods are pending."""
    slots: int | None = None
    """Of a plan for another capacity than the cluster's (`plan --slots`)."""


@dataclass(frozen=True, slots=True)
class NodeSlots:
    """How many invocations fit on one node, and what limits them."""

    name: str
    slots: int
    limited_by: str
    """The resource that runs out first (cpu, memory, gpu, pods), or why there are no slots."""
    free: Resources
    stranded: Resources
    """What the slots leave unused, because another resource is used up."""
    size: Resources | None = None
    """What the node offers when it is empty, where OSCAR reports it."""


@dataclass(frozen=True, slots=True)
class Cap:
    """One upper bound on the number of invocations, in words."""

    name: str
    slots: int
    reason: str


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many invocations fit now; `caps` are all bounds considered, `limited_by` the lowest."""

    slots: int
    limited_by: str
    explanation: str
    nodes: tuple[NodeSlots, ...] = ()
    caps: tuple[Cap, ...] = ()
    warnings: tuple[str, ...] = ()
    extra_slots: int = 0
    """Asked for beyond what fits now, for clusters that grow while pods are pending."""
    needs: Resources | None = None
    """What one invocation takes, where the nodes are known."""


class Phase(StrEnum):
    """The state of a job in OSCAR's list. A hint: a script's exit code reaches nobody."""

    PENDING = "pending"
    """No node runs it yet; or it has no pod, or what OSCAR says is unknown."""
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        return self in {Phase.SUCCEEDED, Phase.FAILED}


@dataclass(frozen=True, slots=True)
class JobTimes:
    """When the container of a job started and ended, as text; empty where OSCAR does not say."""

    started: str = ""
    ended: str = ""


UNTIMED = JobTimes()


@dataclass(frozen=True, slots=True)
class JobList:
    """The jobs of a service at one moment, and how many calls it took to list them."""

    phases: Mapping[str, Phase]
    """By the name of the job."""
    calls: int
    times: Mapping[str, JobTimes] = field(default_factory=dict)
    """By the name of the job; those that have not started are left out."""

    def extend(self, page: JobList) -> JobList:
        """This list and the next page of it."""
        times = {**self.times, **page.times}
        return JobList({**self.phases, **page.phases}, self.calls + page.calls, times)

    def count_active(self) -> int:
        """How many jobs have not ended."""
        return sum(not phase.final for phase in self.phases.values())
