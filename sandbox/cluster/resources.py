# SPDX-License-Identifier: Apache-2.0
"""Turns node declarations and Kubernetes quantities into nodes, and requests into placements.

Pure. A job goes to the first node that has enough resources which no job requests; usage does not
matter. The kube-scheduler does the same, but ranks the nodes.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))"
    r"(?:[eE](?P<exponent>[+-]?\d{1,3})|(?P<suffix>[KMGTPE]i|[numkMGTPE]))?"
)
_SUFFIXES = {
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ki", "Mi", "Gi"), 1)},
    **{suffix: Decimal(1024) ** power for power, suffix in enumerate(("Ti", "Pi", "Ei"), 4)},
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", 1)},
    **{suffix: Decimal(1000) ** -power for power, suffix in enumerate("mun", 1)},
}
_NODES = re.compile(
    r"(?:(?P<count>\d+)x)?(?P<cpu>[^:]+):(?P<memory>[^:]+)"
    r"(?::gpu=(?P<gpus>\d+))?(?::speed=(?P<speed>[\d.]+))?(?P<interlink>:interlink)?"
)


@dataclass(frozen=True, slots=True)
class Resources:
    """What a node has or a job requests."""

    cpu_millicores: int = 0
    memory_bytes: int = 0
    gpus: int = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(
            self.cpu_millicores + other.cpu_millicores,
            self.memory_bytes + other.memory_bytes,
            self.gpus + other.gpus,
        )

    def __sub__(self, other: "Resources") -> "Resources":
        return Resources(
            self.cpu_millicores - other.cpu_millicores,
            self.memory_bytes - other.memory_bytes,
            self.gpus - other.gpus,
        )

    def fits(self, free: "Resources") -> bool:
        return (
            self.cpu_millicores <= free.cpu_millicores
            and self.memory_bytes <= free.memory_bytes
            and self.gpus <= free.gpus
        )


@dataclass(frozen=True, slots=True)
class Node:
    """A worker; ``capacity`` is what Kubernetes calls allocatable."""

    name: str
    capacity: Resources
    speed: float = 1.0
    """The share of time in which its processes run."""
    interlink: bool = False
    """A virtual node: listed, and no place for a job that does not ask for it."""
    cordoned: bool = False
    """Takes no new jobs; no release reports it."""
    lost: bool = False
    """Dead: no new jobs, and the status shows it as not ready."""
    measured: bool = True
    """The metrics server knows it."""

    @property
    def open(self) -> bool:
        return not (self.interlink or self.cordoned or self.lost)


def parse_quantity(text: str, *, scale: int = 1) -> int:
    """A Kubernetes quantity times ``scale``, rounded up as Kubernetes does."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"quantities must match the regular expression, got {text!r}")
    factor = _SUFFIXES[match["suffix"]] if match["suffix"] else Decimal(1)
    value = Decimal(match["number"]).scaleb(int(match["exponent"] or 0)) * factor * scale
    return int(value.to_integral_value(ROUND_CEILING))


def parse_resources(cpu: str, memory: str, gpus: int = 0) -> Resources:
    return Resources(parse_quantity(cpu, scale=1000), parse_quantity(memory), gpus)


def parse_nodes(text: str, *, first: int = 1) -> tuple[Node, ...]:
    """``2x4:8Gi,1x8:16Gi:gpu=1:speed=0.5`` is two nodes of 4 CPU and 8 GiB, and a slow one with a
    GPU; names are numbered from ``first``."""
    nodes: list[Node] = []
    for part in text.split(","):
        match = _NODES.fullmatch(part.strip())
        if match is None:
            raise ValueError(
                "nodes are declared as COUNTxCPU:MEMORY[:gpu=N][:speed=S][:interlink], "
                f"got {part!r}"
            )
        capacity = parse_resources(match["cpu"], match["memory"], int(match["gpus"] or 0))
        if capacity.cpu_millicores <= 0 or capacity.memory_bytes <= 0:
            raise ValueError(f"a node needs CPU and memory, got {part!r}")
        speed, interlink = parse_speed(match["speed"] or 1), bool(match["interlink"])
        for _ in range(int(match["count"] or 1)):
            nodes.append(Node(f"node-{first + len(nodes)}", capacity, speed, interlink))
    if not nodes:
        raise ValueError(f"a cluster needs a node, got {text!r}")
    return tuple(nodes)


def parse_speed(value: object) -> float:
    try:
        speed = float(str(value))
    except ValueError:
        speed = 0.0
    if not 0.01 <= speed <= 1:
        raise ValueError(f"the speed of a node is a number from 0.01 to 1, got {value!r}")
    return speed


def find_first_fit(
    nodes: Iterable[Node], requested: Mapping[str, Resources], needs: Resources
) -> str | None:
    """The first open node whose free resources holds ``needs``, or None: the job stays Pending."""
    for node in nodes:
        if node.open and needs.fits(node.capacity - requested.get(node.name, Resources())):
            return node.name
    return None
