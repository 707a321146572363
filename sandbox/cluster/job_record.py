# SPDX-License-Identifier: Apache-2.0
"""One invocation, as Kubernetes keeps it.

It starts nothing; only `read_clock` reads the time. Events are in files (see `pods`), because a
thousand waiting jobs with long events would not fit into memory.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, StrEnum, auto

from .resources import Resources

# The start time of a container that the kubelet could not make.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Phase(StrEnum):
    """A pod's phase, or why there is no pod; OSCAR shows the last two as one status."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SUSPENDED = "suspended"
    EVICTED = "evicted"

    @property
    def final(self) -> bool:
        return self in (Phase.SUCCEEDED, Phase.FAILED, Phase.EVICTED)

    @property
    def podless(self) -> bool:
        return self in (Phase.SUSPENDED, Phase.EVICTED)


def read_clock() -> datetime:
    return datetime.now(UTC)


class Start(Enum):
    """What happens when the kubelet starts the container of a job."""

    STARTS = auto()
    NEVER = auto()  # its pod stays Pending: no such secret, or invalid UTF-8 in the event
    FAILS = auto()  # a NUL byte in the event: it fails at once, with a start time of 1970


@dataclass(frozen=True, slots=True)
class Job:
    """One invocation; times are None until they happen."""

    name: str
    service: str
    needs: Resources
    uid: str = ""
    """Differs also from that of a deleted job with the same name."""
    phase: Phase = Phase.PENDING
    node: str = ""
    start: Start = Start.STARTS
    lag_s: float = 0.0
    """How often a sidecar checks whether the job has ended; 0: no sidecar does."""
    created_at: datetime = field(default_factory=read_clock)
    bound_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
