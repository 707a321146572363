# SPDX-License-Identifier: Apache-2.0
"""The nouns of OSCAR-Batch: frozen values that the stages hand on.

Nothing here does I/O or knows a wire format. Units are in the names. Lines of the index are
counted from 0 and ranges are half-open; only `Chunk.first_line` and `last_line` count as people
and invocations do. The nouns of room and of planning have rooms of their own (`room`, `choice`)
and are imported from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from coordinator.choice import Candidate as Candidate
from coordinator.choice import Choice as Choice
from coordinator.choice import Cost as Cost
from coordinator.choice import Cutting as Cutting
from coordinator.choice import Estimate as Estimate
from coordinator.choice import Strategy as Strategy
from coordinator.room import Allowance as Allowance
from coordinator.room import Basis as Basis
from coordinator.room import Cap as Cap
from coordinator.room import Capacity as Capacity
from coordinator.room import Cluster as Cluster
from coordinator.room import Node as Node
from coordinator.room import NodeSlots as NodeSlots
from coordinator.room import Quota as Quota
from coordinator.room import Resources as Resources


@dataclass(frozen=True, slots=True)
class Place:
    """A folder in a bucket; `prefix` is empty (the whole bucket) or ends with `/`."""

    bucket: str
    prefix: str

    def holds(self, bucket: str, key: str) -> bool:
        """Whether an object lies in this folder."""
        return bucket == self.bucket and key.startswith(self.prefix)

    @classmethod
    def parse(cls, path: str) -> Place:
        """`bucket/some/folder` as OSCAR's definitions write it; a leading slash is allowed."""
        bucket, _, inner = path.strip("/").partition("/")
        return cls(bucket, folder(inner))

    def __str__(self) -> str:
        return f"{self.bucket}/{self.prefix}"


def folder(prefix: str) -> str:
    """The prefix of a folder: `input` and `input/` mean the same, and never `input2/`."""
    inner = prefix.strip("/")
    return f"{inner}/" if inner else ""


@dataclass(frozen=True, slots=True)
class Service:
    """The target service, as far as a run needs to know it."""

    name: str
    needs: Resources
    token: str = field(repr=False)
    inputs: tuple[Place, ...] = ()
    """Folders in which every new object starts a job."""
    outputs: tuple[Place, ...] = ()
    mount: Place | None = None
    owner: str = ""
    scratch_bytes: int = 0
    """Local disk that a job requests; 0 where the definition asks for none."""
    total: Allowance = field(default_factory=Allowance)
    """What the definition grants to all its jobs together (`total_cpu`, `total_memory`)."""


@dataclass(frozen=True, slots=True)
class Item:
    """One object of the data bucket."""

    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """An object that was listed and cannot be an item."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Index:
    """What is known of the written index: its length, and where the bytes lie.

    `cumulated_bytes[i]` is the size of the first `min((i + 1) * stride, items)` items; so the
    index of 10^7 items costs a bounded amount of memory.
    """

    items: int
    size_bytes: int
    cumulated_bytes: Sequence[int]
    stride: int
    skipped: tuple[Skipped, ...] = ()
    """The first skipped objects; `skipped_count` counts them all."""
    skipped_count: int = 0
    largest: tuple[Item, ...] = ()
    """The 1,000 largest items, largest first; of equals the first listed."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many listed objects are no items, by the rule (`bucket.exclude`) that says so."""

    @property
    def listed(self) -> int:
        return self.items + self.skipped_count


@dataclass(frozen=True, slots=True)
class Chunk:
    """Index lines `start` (included, from 0) to `stop` (excluded): one invocation's work."""

    number: int
    start: int
    stop: int
    size_bytes: int

    @property
    def items(self) -> int:
        return self.stop - self.start

    @property
    def first_line(self) -> int:
        """The first index line, counted from 1."""
        return self.start + 1

    @property
    def last_line(self) -> int:
        """The last index line, counted from 1 and included."""
        return self.stop


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a run will do, decided before the first invocation leaves."""

    run_id: str
    service: str
    data: Place
    index_bucket: str
    index_key: str
    index: Index
    capacity: Capacity
    chunks: tuple[Chunk, ...]
    choice: Choice | None = None
    oversized: tuple[Item, ...] = ()
    """Items that one invocation can hardly hold."""


class Verdict(StrEnum):
    """What the answer to one invocation proves."""

    ACCEPTED = "accepted"
    BUSY = "busy"
    """Certainly nothing was created; the same request may pass in a moment."""
    STALE_TOKEN = "stale token"  # noqa: S105 (a verdict, not a credential)
    """Certainly nothing was created: the service's token was rejected."""
    REFUSED = "refused"
    """Certainly nothing was created; asking again would not help."""
    UNCERTAIN = "uncertain"
    """The answer was lost or proves nothing: the job may exist."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one invocation."""

    verdict: Verdict
    detail: str = ""


class State(StrEnum):
    """What became of a chunk."""

    PENDING = "pending"
    """Not invoked yet."""
    INVOKED = "invoked"
    """OSCAR accepted the invocation; whether the work is done is not known."""
    UNCERTAIN = "uncertain"
    """The invocation was sent and its answer lost: the job may exist."""
    FAILED = "failed"
    """OSCAR refused the invocation: nothing was started."""

    @property
    def final(self) -> bool:
        """Whether this run will not change it any more."""
        return self is State.FAILED


@dataclass(frozen=True, slots=True)
class Outcome:
    """A chunk with its state; replaced as the run goes on, never changed."""

    chunk: Chunk
    state: State = State.PENDING
    attempts: int = 0
    job: str = ""
    detail: str = ""

    def attempt(self, state: State, *, job: str, detail: str = "") -> Outcome:
        """The outcome after one more invocation."""
        return replace(self, state=state, attempts=self.attempts + 1, job=job, detail=detail)


class Ending(StrEnum):
    """How a run ended, with its exit code."""

    SUBMITTED = "submitted"
    NOTHING_TO_DO = "nothing to do"
    PLANNED = "planned"
    PARTLY_SUBMITTED = "partly submitted"
    BAD_CONFIG = "bad config"
    UNAVAILABLE = "unavailable"
    NO_CAPACITY = "no capacity"
    INTERRUPTED = "interrupted"
    BROKEN = "internal error"

    @property
    def exit_code(self) -> int:
        return _EXIT_CODES[self]


_EXIT_CODES = {
    Ending.SUBMITTED: 0,
    Ending.NOTHING_TO_DO: 0,
    Ending.PLANNED: 0,
    Ending.PARTLY_SUBMITTED: 1,
    Ending.BAD_CONFIG: 2,
    Ending.UNAVAILABLE: 3,
    Ending.NO_CAPACITY: 4,
    Ending.INTERRUPTED: 130,
    # A defect of ours: as little is known as when the cluster cannot be reached.
    Ending.BROKEN: 3,
}


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the flow and how long it took."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """The whole story of a run. Every ending has one."""

    run_id: str
    ending: Ending
    message: str
    started_at: datetime
    finished_at: datetime
    setting: dict[str, str] = field(default_factory=dict)
    """What the run was asked to do: service, bucket, addresses. Never a credential."""
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    capacity: Capacity | None = None
    plan: Plan | None = None
    outcomes: tuple[Outcome, ...] = ()

    def counts(self) -> dict[str, int]:
        """Items by state; `listed` is always the sum of the others."""
        failed = sum(o.chunk.items for o in self.outcomes if o.state is State.FAILED)
        items = self.plan.index.items if self.plan else 0
        skipped = self.plan.index.skipped_count if self.plan else 0
        return {
            "listed": items + skipped,
            "done": 0,
            "failed": failed,
            "pending": items - failed,
            "skipped": skipped,
        }
