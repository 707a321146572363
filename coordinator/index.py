"""A stream of listed objects → index lines, and what planning needs to know of them.

One key a line, in listing order, relative to the bucket root, `\\n` ended. Not items: folder
markers (keys that end with `/`), and what runs leave in the bucket. A key that a line cannot
hold is skipped with its reason, never dropped silently. Memory is bounded whatever the number of
objects: the cumulated size is kept at 65,536 points at most, whose distance doubles.
Called by `batch`. Next: `plan`.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator

from coordinator.model import Index, Item, Skipped

MAX_CHECKPOINTS = 65_536
MAX_SKIPPED_SHOWN = 1_000


class IndexBuilder:
    """Hands index lines on while it counts; `index()` tells the sums once they are drained."""

    def __init__(self, ignored: Callable[[str], bool], *, limit: int = MAX_CHECKPOINTS) -> None:
        """`ignored` says of a key that it is no item, without a trace in the report."""
        self._ignored = ignored
        self._limit = limit
        self._items = 0
        self._size_bytes = 0
        self._stride = 1
        self._cumulated = array("Q")
        self._skipped: list[Skipped] = []
        self._skipped_count = 0

    def lines(self, objects: Iterable[Item]) -> Iterator[bytes]:
        """The index line of each item, in the order of the objects."""
        for item in objects:
            if item.key.endswith("/") or self._ignored(item.key):
                continue
            if reason := _unfit(item.key):
                self._skip(item.key, reason)
                continue
            self._count(item.size_bytes)
            yield item.key.encode() + b"\n"

    def index(self) -> Index:
        """The sums of all lines handed on so far."""
        cumulated = self._cumulated[:]
        if self._items % self._stride:
            cumulated.append(self._size_bytes)
        return Index(
            items=self._items,
            size_bytes=self._size_bytes,
            cumulated_bytes=cumulated,
            stride=self._stride,
            skipped=tuple(self._skipped),
            skipped_count=self._skipped_count,
        )

    def _count(self, size_bytes: int) -> None:
        self._items += 1
        self._size_bytes += size_bytes
        if self._items % self._stride:
            return
        self._cumulated.append(self._size_bytes)
        if len(self._cumulated) == self._limit:
            self._cumulated = self._cumulated[1::2]
            self._stride *= 2

    def _skip(self, key: str, reason: str) -> None:
        self._skipped_count += 1
        if len(self._skipped) < MAX_SKIPPED_SHOWN:
            self._skipped.append(Skipped(key, reason))


def _unfit(key: str) -> str:
    """Why a key cannot be an index line; empty if it can."""
    if "\n" in key or "\r" in key:
        return "the key contains a line break, which an index line cannot hold"
    try:
        key.encode()
    except UnicodeEncodeError:
        return "the key is not valid Unicode"
    return ""
