# SPDX-License-Identifier: Apache-2.0
"""One invocation, as Kubernetes keeps it.

It starts nothing; only `read_clock` reads the time. Events are in files (see `pods`), because a
thousand waiting jobs with long events would not fit into memory.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from .resources import Resources


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


@dataclass(frozen=True, slots=True)
class Job:
    """One invocation; times are None until they happen."""

    name: str
    service: str
    needs: Resources
    phase: Phase = Phase.PENDING
    node: str = ""
    startable: bool = True
    """False: it mounts a secret that does not exist, and its pod never starts."""
    lag_s: float = 0.0
    """How often a sidecar checks whether the job has ended; 0: no sidecar does."""
    created_at: datetime = field(default_factory=read_clock)
    bound_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
