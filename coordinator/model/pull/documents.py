# SPDX-License-Identifier: Apache-2.0
"""What coordinator and workers write into the folder of a run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ItemState(StrEnum):
    """What a result says of an item."""

    DONE = "done"
    FAILED = "failed"
    PENDING = "pending"
    """Only in results that a coordinator wrote for a chunk that was given up."""


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What became of one item; the last four are of failed items only."""

    line: int
    """Of the index of its round, from 1."""
    state: ItemState
    seconds: float = 0.0
    tries: int = 1
    key: str = ""
    kind: str = ""
    reason: str = ""
    stderr: str = ""


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """The outcome of every item of a chunk."""

    process: str
    round: int
    lane: int
    chunk: int
    attempt: int
    started: str
    finished: str
    sealed: bool = False
    """Whether a coordinator wrote it, because the chunk was given up."""
    items: tuple[ItemOutcome, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """How far an attempt at a chunk has come."""

    process: str
    attempt: int
    item: int | None = None
    """The line in hand."""
    items: tuple[ItemOutcome, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """Who takes a chunk."""

    process: str
    attempt: int
    since: str


class BeatState(StrEnum):
    """What a process says it does."""

    STARTING = "starting"
    WORKING = "working"
    WAITING = "waiting"
    """For the last chunks of others, to repair them if their workers die."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life of one process of a worker."""

    process: str
    state: BeatState
    why: str = ""
    signal: int | None = None
    round: int = 1
    chunk: str | None = None
    item: str | None = None
    chunks: int = 0
    done: int = 0
    failed: int = 0
    startup_s: float | None = None
    seconds_per_item: float | None = None
    node: str = ""
    since: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Post:
    """The invocation of one worker: written before the request, and again after its answer."""

    worker: str
    round: int
    lane: int
    job: str
    since: str
    verdict: str = ""
    """What the answer proved; empty while there is none."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LeaseDocument:
    """Who drives a run."""

    run: str
    process: str
    since: str
    left: bool = False
    """Whether its holder left the run, so that another coordinator may continue it at once."""


@dataclass(frozen=True, slots=True)
class End:
    """The last object of a run: how it ended."""

    run: str
    ending: str
    counts: dict[str, int]
    finished: str
    files: dict[str, str]
    """The SHA-256 of each file of the report."""
