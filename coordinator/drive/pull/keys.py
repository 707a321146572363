# SPDX-License-Identifier: Apache-2.0
"""Finds the keys of a few items in the index, because results name only their lines."""

from __future__ import annotations

import logging
from bisect import bisect_right

from ...model.errors import StorageError
from ...model.run import Plan
from ...storage.bucket import Bucket

log = logging.getLogger(__name__)


class KeyFinder:
    """Reads the lines of one chunk for each key that is asked for."""

    def __init__(self, state: Bucket, plan: Plan) -> None:
        self._state, self._plan = state, plan
        self._chunks = sorted(plan.chunks, key=lambda chunk: chunk.start)
        self._starts = [chunk.start for chunk in self._chunks]

    def find_key(self, number: int, line: int) -> str:
        """The key on a line, counted from 1, of the first round; empty if it cannot be read."""
        place = bisect_right(self._starts, line - 1) - 1
        if number != 1 or place < 0 or line > self._chunks[place].last_line:
            return ""
        chunk = self._chunks[place]
        try:
            text = self._state.read_range(self._plan.index_key, chunk.offset, chunk.length_bytes)
        except StorageError as error:
            log.info("the key of line %d is not known: %s", line, error)
            return ""
        lines = text.split(b"\n")
        offset = line - chunk.first_line
        return lines[offset].decode(errors="replace") if offset < len(lines) else ""
