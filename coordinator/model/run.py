# SPDX-License-Identifier: Apache-2.0
"""A run: its plan, the answers to its invocations, the outcomes of its chunks, its report."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from .cluster import Capacity
from .errors import Ending
from .items import Chunk, Index, Item
from .planning import Choice
from .pull.findings import Accounts, Worker
from .pull.history import History
from .pull.lanes import Lanes
from .service import Folder, Mode
from .units import format_duration, format_rate


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a run will do, decided before the first invocation leaves."""

    run_id: str
    service: str
    data: Folder
    index_bucket: str
    index_key: str
    index: Index
    capacity: Capacity
    chunks: tuple[Chunk, ...]
    choice: Choice | None = None
    mode: Mode = Mode.RANGE
    """How the items reach the service. In event mode every item has an invocation of its own, and
    the chunks are the parts of the index that are read and accounted for together."""
    lanes: Lanes | None = None
    """In pull mode: how the chunks are given to workers."""
    redrive_of: str = ""
    """The run whose failed and pending items this one processes."""
    oversized: tuple[Item, ...] = ()
    """Items that are larger than the memory or the disk of one invocation."""

    @property
    def folder(self) -> Folder:
        """The folder of the run: what its index lies in."""
        return Folder(self.index_bucket, self.index_key.rpartition("/")[0] + "/")


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How many items may fail: a number, or a percentage of the items of the run."""

    count: int = 0
    percent: float = 0.0

    def allows(self, failed: int, items: int) -> bool:
        """Whether so many failures of so many items are tolerated."""
        return failed <= max(self.count, items * self.percent / 100)


@dataclass(frozen=True, slots=True)
class RunRules:
    """The keys of the config's section `run` that control how a run is followed. In seconds."""

    watch: bool = True
    """Whether the run is followed to the end of its work."""
    poll_s: float = 10
    """How often its folder is listed."""
    pending_timeout_s: float = 900
    """After this time without a sign of life, a worker counts as never started."""
    item_timeout_s: float = 86_400
    chunk_timeout_s: float | None = None
    """A chunk that takes longer is given up; its items that are not settled are retried."""
    run_timeout_s: float | None = None
    """After this time the run is stopped."""
    wait_for_room_s: float = 0
    """How long to wait for a full cluster before the run ends with *no capacity*."""
    retries: int = 2
    """The most further rounds that process failed items again."""
    tolerated_failures: Tolerance | None = None
    """If more items fail, the run is stopped; None: it is never stopped for failures."""
    keep: float | None = None
    """Days after which the folders of ended runs of the same batch are removed; None: never."""


class Verdict(StrEnum):
    """What the answer to one invocation proves."""

    ACCEPTED = "accepted"
    BUSY = "busy"
    """Certainly nothing was created; the same request may succeed later."""
    STALE_TOKEN = "stale token"  # noqa: S105 (a verdict, not a credential)
    """Certainly nothing was created: the service's token was rejected."""
    REFUSED = "refused"
    """Certainly nothing was created; a repetition would not help."""
    UNCERTAIN = "uncertain"
    """The answer was lost or proves nothing: the job may exist."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one invocation."""

    verdict: Verdict
    detail: str = ""


class State(StrEnum):
    """What is known of a chunk's invocation."""

    PENDING = "pending"
    """Not invoked yet."""
    INVOKED = "invoked"
    """OSCAR accepted the invocation; whether the work is done is not known."""
    UNCERTAIN = "uncertain"
    """The invocation was sent and its answer lost: the job may exist."""
    FAILED = "failed"
    """OSCAR refused the invocation: nothing was started."""
    SETTLED = "settled"
    """A result says what became of each of its items."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One `POST /job`: a chunk's in range mode, a worker's in pull mode."""

    number: int
    """Counted from 1; different for every invocation of a submission."""
    name: str
    """What messages call it: `chunk 3`, `worker 0001-00003`."""
    job: str
    """The name of its job, where OSCAR honours it."""
    body: bytes = field(repr=False)
    lane: int = 0
    """The lane of a worker."""


@dataclass(frozen=True, slots=True)
class Sent:
    """An invocation with its state; a run replaces it and never changes it."""

    invocation: Invocation
    state: State = State.PENDING
    attempts: int = 0
    detail: str = ""

    def with_attempt(self, state: State, detail: str = "") -> Sent:
        """The same after one more request."""
        return replace(self, state=state, attempts=self.attempts + 1, detail=detail)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A chunk with its state; a run replaces it and never changes it."""

    chunk: Chunk
    state: State = State.PENDING
    attempts: int = 0
    job: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a run goes now, and the seconds that are left; 0 where nothing is known."""

    items_per_s: float
    left_s: float = 0.0
    least_left_s: float = 0.0
    most_left_s: float = 0.0

    def describe(self) -> str:
        """For people: `1.2 items/s, about 5 min left (4 min to 7 min)`."""
        if not self.items_per_s:
            return "no item settled lately"
        text = f"{format_rate(self.items_per_s)} items/s"
        if not self.left_s:
            return text
        # Nobody needs to know milliseconds.
        times = (self.left_s, self.least_left_s, self.most_left_s)
        left, least, most = (format_duration(max(1.0, each)) for each in times)
        return f"{text}, about {left} left ({least} to {most})"


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a run and how long it took."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Setting:
    """A key of the config with the value that is in force, as JSON text; never a credential."""

    key: str
    value: str
    given: bool
    """Whether the config has it; otherwise this is the default."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The config file that was dropped, and the versions that ran it."""

    config: str = ""
    """The name of the config's file."""
    version: str = ""
    """Of OSCAR-Batch."""
    oscar: str = ""
    """The version that the cluster reports; empty if it is not known."""
    job_logs: str = ""
    """The URL below which OSCAR shows the log of each job, by the job's name."""


@dataclass(frozen=True, slots=True)
class Report:
    """What happened in a run, at its end or so far. Every ending leaves a report."""

    run_id: str
    ending: Ending
    message: str
    started_at: datetime
    finished_at: datetime
    setting: dict[str, str] = field(default_factory=dict)
    """The main settings of the run; never a credential."""
    settings: tuple[Setting, ...] = ()
    """All settings of the run."""
    origin: Origin = field(default_factory=Origin)
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    capacity: Capacity | None = None
    plan: Plan | None = None
    workers: tuple[Worker, ...] = ()
    """The invocations of pull mode."""
    accounts: Accounts | None = None
    """What the results say of the items, where a run was followed."""
    history: History | None = None
    """The history of the run, if it was followed."""
    outcomes: tuple[Outcome, ...] = ()
    """One for every chunk of the plan; those that were not invoked are pending."""
    speed: Speed | None = None
    """The present speed, if the run has not ended and is followed."""

    @property
    def running(self) -> bool:
        """Whether the run has not ended, so that this report will be replaced."""
        return self.ending is Ending.RUNNING

    def count_items(self) -> dict[str, int]:
        """The listed objects by what became of them."""
        failed = sum(o.chunk.items for o in self.outcomes if o.state is State.FAILED)
        index = self.plan.index if self.plan else Index(0, 0)
        if self.accounts:
            return index.count_objects(self.accounts.done, self.accounts.failed)
        return index.count_objects(0, failed)
