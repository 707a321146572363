# SPDX-License-Identifier: Apache-2.0
"""Which objects of the data bucket are items."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Rules:
    """Which of the listed objects are wanted, as the config says it."""

    prefix: str = ""
    """The folder that globs are relative to."""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    min_size: int | None = None
    max_size: int | None = None
    modified_after: datetime | None = None
    modified_before: datetime | None = None

    @property
    def times(self) -> bool:
        """Whether the rules ask when an object was written."""
        return self.modified_after is not None or self.modified_before is not None


@dataclass(frozen=True, slots=True)
class Manifest:
    """Where the manifest is and how to read it."""

    key: str
    column: str = "key"
    """The CSV column, or the JSONL member, that has the key."""
    inventory: tuple[str, ...] = ()
    """The columns of an S3 Inventory file (its schema); empty for all other forms."""

    @property
    def is_inventory(self) -> bool:
        """Whether the file only names the files of an S3 Inventory."""
        return self.key.rpartition("/")[2] == "manifest.json"


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the output of an item is to be found."""

    folder: str
    """The folder of the items, which is not part of the output's key."""
    prefix: str
    strip: str = ""
    """The ending of the item's key that the output does not have."""
    suffix: str = ""
    bucket: str = ""
    """Where the config names none: the data bucket."""
    of_service: bool = False
    """Whether they are in the output folder of the target service, which the config cannot know."""

    def key(self, item: bytes) -> bytes:
        """The key of an item's output."""
        below = item.removeprefix(self.folder.encode()).removesuffix(self.strip.encode())
        return self.prefix.encode() + below + self.suffix.encode()


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of the data bucket are the items of a run."""

    rules: Rules = field(default_factory=Rules)
    recursive: bool = True
    """Whether folders below the data folder belong to it."""
    manifest: Manifest | None = None
    """The object that names the items, where they are not listed."""
    skip_done: Outputs | None = None
    """Where the outputs are whose items are left out."""
    sample: int | None = None
    """Only so many items, spread over the listing."""


def parse_time(text: str) -> datetime:
    """A time as servers and people write it (ISO-8601), UTC where it names no zone."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
