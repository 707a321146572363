# SPDX-License-Identifier: Apache-2.0
"""Pull mode as it is planned: lanes of chunks, the times of the protocol, the names of workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of the protocol: one value in plan.json and in every invocation."""

    beat_s: float = 30
    lost_after_s: float = 120
    """A process whose beat is older may be gone."""
    look_gap_s: float = 45
    """It is gone if two looks so far apart show the same beat."""
    mark_after_s: float = 60
    storage_patience_s: float = 600
    """How long a call to a storage that does not answer is repeated."""
    lease_ttl_s: float = 90


@dataclass(frozen=True, slots=True)
class Proof:
    """Which output of an item the config looks for; a worker stores it last."""

    strip: str = ""
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """The widths of a chunk table: a worker reads the rows of a lane with a byte range."""

    header_bytes: int
    row_bytes: int


@dataclass(frozen=True, slots=True)
class Lanes:
    """How the chunks of a plan are given to workers, and what every invocation says."""

    counts: tuple[int, ...]
    """The chunks of each lane; the chunks of the plan are in the order of the lanes."""
    table: Table
    timing: Timing = field(default_factory=Timing)
    exclusive: bool = True
    """Whether workers may claim chunks of other lanes: the storage honours conditions."""
    item_timeout_s: float = 86_400
    proof: Proof | None = None
    wake: str = ""
    """The object that a worker writes to start a coordinator if none is alive; empty for none."""

    def locate(self, number: int) -> tuple[int, int]:
        """The lane of a chunk of the plan, and its number within the lane; all from 1."""
        for lane, last in enumerate(accumulate(self.counts), start=1):
            if number <= last:
                return lane, number - (last - self.counts[lane - 1])
        raise ValueError(f"the plan has no chunk {number}")

    def find(self, lane: int, chunk: int) -> int:
        """The number in the plan of a chunk of a lane. Raises ValueError if there is none."""
        if not 1 <= lane <= len(self.counts) or not 1 <= chunk <= self.counts[lane - 1]:
            raise ValueError(f"the plan has no chunk {chunk} in lane {lane}")
        return sum(self.counts[: lane - 1]) + chunk


def name_worker(epoch: int, number: int) -> str:
    """The name of one invocation of a worker: `0001-00003`."""
    return f"{epoch:04}-{number:05}"


def find_worker(process: str) -> str:
    """The worker of a process: `0001-00003` of `0001-00003-9f2c04aa`."""
    return process.rpartition("-")[0]
