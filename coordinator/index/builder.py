# SPDX-License-Identifier: Apache-2.0
"""Builds index lines of items, and the sums that planning needs.

A line is a full key and `\\n`, in listing order. A key that a line cannot hold is skipped, and the
reason is recorded. Memory is bounded for any number of items: instead of all lines only checkpoints
are kept, and of the items only the largest.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from ..model.errors import ConfigError
from ..model.items import Bin, Index, Item, Skipped
from ..model.object_columns import ObjectColumns
from ..model.planning import ChunkRules
from .checkpoints import MAX_CHECKPOINTS, ChunkRecorder, StrideRecorder

MAX_SKIPPED_SHOWN = 1_000
MAX_LARGEST = 1_000
# Sums are kept in columns of 64 bits.
_MOST_BYTES = 2**63
# Without the line break, which no key has that is on a line.
_CONTROLS = bytes((*range(0x0A), *range(0x0B, 0x20), 0x7F))


class IndexBuilder:
    """Builds index lines and counts them; `index()` returns the sums once all are consumed."""

    def __init__(
        self,
        rules: ChunkRules | None = None,
        *,
        limit: int = MAX_CHECKPOINTS,
        most: int = MAX_LARGEST,
    ) -> None:
        """`rules` may fix the size of chunks; the index can then be cut at their ends."""
        self._items = self._size_bytes = self._text_bytes = 0
        self._recorder = (
            ChunkRecorder(rules.chunk_items, rules.chunk_bytes)
            if rules and rules.fixed
            else StrideRecorder(limit)
        )
        self._skipped: list[Skipped] = []
        self._skipped_count = 0
        self._control_keys = 0
        self._sizes: Counter[int] = Counter()
        """The number of items for each size, counted in bits."""
        self._most = most
        # A heap of (size, minus the line, key): its first is the next to be dropped.
        self._largest: list[tuple[int, int, bytes]] = []

    def build_lines(self, batches: Iterable[ObjectColumns]) -> Iterator[bytes]:
        """The index lines of each batch in one piece, in the order of the objects."""
        for batch in batches:
            kept = self._drop_unfit(batch)
            if kept.keys:
                self._count(kept)
                lines = b"\n".join(kept.keys) + b"\n"
                if lines.translate(None, _CONTROLS) != lines:
                    self._control_keys += sum(map(_has_controls, kept.keys))
                yield lines

    def skip(self, keys: Sequence[bytes], reason: str) -> None:
        """Records objects that were listed and are no items of this run."""
        most = MAX_SKIPPED_SHOWN - len(self._skipped)
        shown = (key.decode(errors="backslashreplace") for key in keys[:most])
        self._skipped += [Skipped(key, reason) for key in shown]
        self._skipped_count += len(keys)

    def index(self, left_out: Mapping[str, int] | None = None, *, sha256: str = "") -> Index:
        """What is known of all lines built so far; `sha256` is that of the index as written."""
        largest = sorted(self._largest, reverse=True)
        return Index(
            items=self._items,
            size_bytes=self._size_bytes,
            text_bytes=self._text_bytes,
            sha256=sha256,
            checkpoints=self._recorder.checkpoints(),
            skipped=tuple(self._skipped),
            skipped_count=self._skipped_count,
            control_keys=self._control_keys,
            largest=tuple(Item(key.decode(), size) for size, _, key in largest),
            left_out=dict(left_out or {}),
            sizes=tuple(Bin(2.0**bits, count) for bits, count in sorted(self._sizes.items())),
        )

    def _drop_unfit(self, batch: ObjectColumns) -> ObjectColumns:
        """The objects whose keys fit on a line; where all do, they are checked together."""
        text = b"\n".join(batch.keys)
        lines = text.count(b"\n") + 1
        odd = b"\r" in text or b"/\n" in text or text[-1:] == b"/" or not all(batch.keys)
        if lines == len(batch) and not odd and _is_unicode(text):
            return batch
        reasons = [_explain_unfit(key) for key in batch.keys]
        for key, reason in zip(batch.keys, reasons, strict=True):
            if reason:
                self.skip([key], reason)
        return batch.filter(not reason for reason in reasons)

    def _count(self, batch: ObjectColumns) -> None:
        # Objects of unknown size count as empty; the plan then uses their number.
        sizes = batch.sizes if batch.sizes is not None else [0] * len(batch)
        self._note_largest(batch.keys, sizes)
        if batch.sizes is not None:
            self._sizes.update(map(int.bit_length, batch.sizes))
        sums = list(accumulate(sizes, initial=self._size_bytes))
        if sums[-1] >= _MOST_BYTES:
            raise ConfigError(
                ["bucket: its items have more than 8 EiB in all; check the sizes that are given"]
            )
        # A line is a key and its line break.
        lengths = [len(key) + 1 for key in batch.keys]
        offsets = list(accumulate(lengths, initial=self._text_bytes))
        self._recorder.record(sums, offsets)
        self._items += len(batch)
        self._size_bytes, self._text_bytes = sums[-1], offsets[-1]

    def _note_largest(self, keys: list[bytes], sizes: list[int]) -> None:
        full = len(self._largest) == self._most
        if full and max(sizes) <= self._largest[0][0]:
            return
        for offset, size in enumerate(sizes):
            if len(self._largest) < self._most:
                heapq.heappush(self._largest, (size, -(self._items + offset), keys[offset]))
            elif size > self._largest[0][0]:
                heapq.heapreplace(self._largest, (size, -(self._items + offset), keys[offset]))


def _explain_unfit(key: bytes) -> str:
    """Why a key cannot be an index line; empty if it can."""
    if b"\n" in key or b"\r" in key:
        return "the key contains a line break, which an index line cannot hold"
    if not _is_unicode(key):
        return "the key is not valid Unicode"
    if not key or key.endswith(b"/"):
        return "the key ends with /, so no file can have its name"
    return ""


def _has_controls(key: bytes) -> bool:
    return key.translate(None, _CONTROLS) != key


def _is_unicode(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
