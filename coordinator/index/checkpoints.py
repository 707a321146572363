# SPDX-License-Identifier: Apache-2.0
"""Recorders of checkpoints: the lines at which an index can be cut, found while it is written.

If the config fixes the size of chunks, the checkpoints are the ends of these chunks. Otherwise they
are at equal distances, at most 65,536 of them: when there would be more, every second one is
removed. So memory is bounded for an index of any length.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence

from ..model.items import Checkpoints

MAX_CHECKPOINTS = 65_536


class StrideRecorder:
    """Records a checkpoint after every `stride` items, which doubles when there are too many."""

    def __init__(self, limit: int = MAX_CHECKPOINTS) -> None:
        self._limit, self._stride = limit, 1
        self._columns = array("Q"), array("Q"), array("Q")
        self._last = (0, 0, 0)

    def record(self, sizes: Sequence[int], offsets: Sequence[int]) -> None:
        """Takes the next items, of which both columns are cumulated from the start of the index.

        The first value of both is that before these items.
        """
        base = self._last[0]
        self._record_lines(base, sizes, offsets)
        self._last = (base + len(sizes) - 1, sizes[-1], offsets[-1])

    def checkpoints(self) -> Checkpoints:
        """All checkpoints so far; the last one is after the last item."""
        lines, sizes, offsets = (column[:] for column in self._columns)
        if self._last[0] and (not lines or lines[-1] != self._last[0]):
            for column, value in zip((lines, sizes, offsets), self._last, strict=True):
                column.append(value)
        return Checkpoints(lines, sizes, offsets)

    def _record_lines(self, base: int, sizes: Sequence[int], offsets: Sequence[int]) -> None:
        line, stop = base + 1, base + len(sizes)
        while line < stop:
            # The next line on a checkpoint, and as many as fit before every second is dropped.
            line += -line % self._stride
            taken = range(line, stop, self._stride)[: self._limit - len(self._columns[0])]
            self._append(base, taken, sizes, offsets)
            line = taken[-1] + 1 if taken else stop
            if len(self._columns[0]) == self._limit:
                self._columns = tuple(column[1::2] for column in self._columns)  # type: ignore[assignment]
                self._stride *= 2

    def _append(
        self, base: int, lines: Sequence[int], sizes: Sequence[int], offsets: Sequence[int]
    ) -> None:
        self._columns[0].extend(lines)
        self._columns[1].extend(sizes[line - base] for line in lines)
        self._columns[2].extend(offsets[line - base] for line in lines)


class ChunkRecorder(StrideRecorder):
    """Records a checkpoint at the end of every chunk of so many items, or at most so many bytes.

    Where both are given, whichever is reached first counts. An item larger than a chunk may be
    is a chunk alone.
    """

    def __init__(self, chunk_items: int | None, chunk_bytes: int | None) -> None:
        super().__init__()
        self._chunk_items, self._chunk_bytes = chunk_items, chunk_bytes
        self._start = self._start_bytes = 0

    def _record_lines(self, base: int, sizes: Sequence[int], offsets: Sequence[int]) -> None:
        while stop := self._next_stop(base, sizes):
            self._append(base, [stop], sizes, offsets)
            self._start, self._start_bytes = stop, sizes[stop - base]

    def _next_stop(self, base: int, sizes: Sequence[int]) -> int:
        """The line at which the open chunk ends; 0 if that is beyond these items."""
        last = base + len(sizes) - 1
        stop = self._start + self._chunk_items if self._chunk_items else last + 1
        if self._chunk_bytes is not None:
            within = base + bisect_right(sizes, self._start_bytes + self._chunk_bytes) - 1
            if within < last:
                stop = min(stop, max(within, self._start + 1))
        return stop if stop <= last else 0
