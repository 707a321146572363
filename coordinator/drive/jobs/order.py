# SPDX-License-Identifier: Apache-2.0
"""The order in which items are sent: the largest first, as far as bounded memory allows. Pure.

The index has keys and no sizes. So the plan cuts it into parts, of which the sizes are known, and
the parts with the larger files are sent first, each in the order of its lines. Up to 1,000 items,
every item is a part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ...model.errors import StorageError
from ...model.items import Chunk


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the index, counted from 0, and the key on it."""

    line: int
    key: str


def order_items(parts: Sequence[Chunk], read: Callable[[Chunk], bytes]) -> Iterator[Entry]:
    """The items of all parts; `read` gets the lines of a part when its turn comes.

    Raises StorageError if these are not the lines that were planned.
    """
    for part in sorted(parts, key=lambda part: (-part.size_bytes / part.items, part.start)):
        lines = read(part).decode().split("\n")[:-1]
        if len(lines) != part.items:
            raise StorageError(f"the index was changed: part {part.number} has {len(lines)} lines")
        for line, key in enumerate(lines, start=part.start):
            yield Entry(line, key)
