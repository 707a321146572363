# SPDX-License-Identifier: Apache-2.0
"""The target service, folders in buckets, and the folders of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from .cluster import Allowance, Resources


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder in a bucket; `prefix` is empty (the whole bucket) or ends with `/`."""

    bucket: str
    prefix: str

    def holds(self, bucket: str, key: str) -> bool:
        """Whether an object lies in this folder."""
        return bucket == self.bucket and key.startswith(self.prefix)

    @classmethod
    def parse(cls, path: str) -> Folder:
        """`bucket/some/folder` as OSCAR's definitions write it; a leading slash is allowed."""
        bucket, _, inner = path.strip("/").partition("/")
        return cls(bucket, normalize_prefix(inner))

    def __str__(self) -> str:
        return f"{self.bucket}/{self.prefix}"


def split_key(key: str) -> tuple[str, ...]:
    """The folders and the name of a key, as servers that tidy keys up understand it.

    SeaweedFS takes a backslash for a slash and drops empty parts; a file system resolves dots.
    """
    parts: list[str] = []
    for part in key.replace("\\", "/").split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in {"", "."}:
            parts.append(part)
    return tuple(parts)


@dataclass(frozen=True, slots=True)
class Trigger:
    """An input folder of a service: every new object in it starts a job."""

    folder: Folder
    owner: str
    """For people: `service resize`, `this coordinator`."""


def normalize_prefix(prefix: str) -> str:
    """The prefix of a folder: `input` and `input/` mean the same, and never `input2/`."""
    inner = prefix.strip("/")
    return f"{inner}/" if inner else ""


class Mode(StrEnum):
    """How a run hands its items to the service."""

    AUTO = "auto"
    """The definition of the service decides."""
    PULL = "pull"
    """Workers with the kit, one per slot, take chunk after chunk from the run folder."""
    RANGE = "range"
    """An invocation gets the numbers of its first and last index line."""
    EVENT = "event"
    """An invocation gets the storage event of one item."""


@dataclass(frozen=True, slots=True)
class Service:
    """The target service, as far as a run needs to know it."""

    name: str
    needs: Resources
    token: str = field(repr=False)
    inputs: tuple[Folder, ...] = ()
    """Folders in which every new object starts a job."""
    outputs: tuple[Folder, ...] = ()
    mount: Folder | None = None
    has_kit: bool = False
    """Whether its script has the marker of the worker kit."""
    kit_release: str = ""
    """The release of oscar-batch that wrote its script; empty if the script does not say."""
    keeps_lane: bool = False
    """Whether its worker takes and repairs nothing outside its own lane, as the one in sh."""
    is_coordinator: bool = False
    """Whether its script starts runs, as the coordinator's does."""
    data_buckets: tuple[str, ...] = ()
    """The buckets that its owner names for its data, where no mount does (`OSCAR_BATCH_DATA`)."""
    hides_output: bool = False
    """Whether its jobs' logs leave out what the script prints (`log_level` above DEBUG)."""
    owner: str = ""
    interlink_node: str = ""
    """The virtual node that alone runs its jobs; empty for ordinary services."""
    sgx: bool = False
    scratch_bytes: int = 0
    """Local disk that a job requests; 0 where the definition asks for none."""
    total: Allowance = field(default_factory=Allowance)
    """What the definition grants to all its jobs together (`total_cpu`, `total_memory`)."""


@dataclass(frozen=True, slots=True)
class Locations:
    """Where a run reads and writes."""

    data: Folder
    """The folder whose objects are the items."""
    state: Folder
    report: Folder | None = None
    """Where a copy of the report goes."""
    index_copy: str | None = None
    """A key in the data bucket that also receives the index, as the first oscar-batch tool does."""
    own_inputs: tuple[Folder, ...] = ()
    """The folders that trigger the coordinator itself, where it runs as a service."""
    own_outputs: tuple[Folder, ...] = ()
    """The folders where OSCAR then puts its reports."""
