# SPDX-License-Identifier: Apache-2.0
"""One invocation, as Kubernetes keeps it: what lists show and what pods turn into processes.

It starts nothing; only `read_clock` reads the time. Events are kept in files (see `pods`), since a
thousand queued jobs may hold a thousand times the longest event.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from .resources import Resources


class Phase(StrEnum):
    """A pod's phase, or why there is no pod; OSCAR calls the latter two the same."""

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
    """Else it mounts a secret that does not exist, and its pod never starts."""
    lag_s: float = 0.0
    """How often a sidecar looks whether the job has ended; 0: there is none that looks."""
    created_at: datetime = field(default_factory=read_clock)
    bound_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
