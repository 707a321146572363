# SPDX-License-Identifier: Apache-2.0
"""What the results and the beats of a run say of its items and its workers, for the report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

# Failed items that a report names; all of them are in failed.jsonl.
MOST_FAILURES = 200


@dataclass(frozen=True, slots=True)
class ItemFailure:
    """An item that failed, and why."""

    key: str
    reason: str
    kind: str = ""
    attempts: int = 1
    stderr: str = ""


class WorkerState(StrEnum):
    """What is known of a worker."""

    WAITING = "waiting"
    """It has given no sign of life yet."""
    WORKING = "working"
    ENDED = "ended"
    GONE = "gone"
    """Its signs of life stopped."""
    NEVER_SEEN = "never seen"
    """It gave no sign of life in the time that the config allows."""

    @property
    def over(self) -> bool:
        """Whether nothing more comes from this worker."""
        return self not in {WorkerState.WAITING, WorkerState.WORKING}


@dataclass(frozen=True, slots=True)
class Worker:
    """One invocation of a worker and the last state of its processes."""

    name: str
    lane: int
    job: str
    invocation: str
    """What the answers to its invocation prove."""
    state: WorkerState = WorkerState.WAITING
    chunks: int = 0
    done: int = 0
    failed: int = 0
    startup_s: float | None = None
    node: str = ""
    detail: str = ""
    started_at: datetime | None = None
    """When its first process started, by the clock of its node."""
    seen_at: datetime | None = None
    """Its last sign of life, by the storage's clock."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """The items of a run by what the results say of them."""

    done: int
    failed: int
    open_chunks: int
    """Chunks without a result."""
    unconfirmed: int = 0
    """Items whose job has ended, and nothing proves what it did."""
    failures: tuple[ItemFailure, ...] = ()
    """The first failures; `failed` counts them all."""
    rounds: int = 1
    """How many rounds there were: all but the first retry items."""
    stealing: bool = True
    """Whether workers may take chunks of other lanes."""
