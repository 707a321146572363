# SPDX-License-Identifier: Apache-2.0
"""`Objects`: a batch of listed objects, column by column.

A listing of 10^7 objects is never a value per object: stages hand on batches (a page of the
listing, a piece of a manifest) and work on whole columns, so that the cost per object stays in
C. Keys are the raw bytes of their names. Called by every stage from `listing` to `index`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress


@dataclass(frozen=True, slots=True)
class ObjectColumns:
    """Objects in listing order; columns that were not asked for, or are not known, are None."""

    keys: list[bytes]
    sizes: list[int] | None
    """In bytes; a manifest need not tell them."""
    times: list[str] | None = None
    """When each was written: ISO-8601 as the server writes it."""

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def join(cls, batches: Sequence[ObjectColumns]) -> ObjectColumns:
        """The objects of batches that have the same columns as one."""
        columns = [(each.keys, each.sizes, each.times) for each in batches]
        keys, sizes, times = zip(*columns, strict=True)
        return cls(
            keys=[key for column in keys for key in column],
            sizes=None if sizes[0] is None else [size for column in sizes for size in column],
            times=None if times[0] is None else [time for column in times for time in column],
        )

    def slice(self, start: int, stop: int) -> ObjectColumns:
        """The objects from one place to before another."""
        return ObjectColumns(
            keys=self.keys[start:stop],
            sizes=None if self.sizes is None else self.sizes[start:stop],
            times=None if self.times is None else self.times[start:stop],
        )

    def filter(self, chosen: Iterable[object]) -> ObjectColumns:
        """The objects at which `chosen` is true, all columns alike."""
        mask = list(chosen)
        return ObjectColumns(
            keys=list(compress(self.keys, mask)),
            sizes=None if self.sizes is None else list(compress(self.sizes, mask)),
            times=None if self.times is None else list(compress(self.times, mask)),
        )


class PackedColumns:
    """Objects that wait to be used, in less than half of the memory."""

    def __init__(self, objects: ObjectColumns) -> None:
        self._count = len(objects)
        text = b"\n".join(objects.keys)
        self._keys = objects.keys if text.count(b"\n") != self._count - 1 else text
        self._sizes = None if objects.sizes is None else array("Q", objects.sizes)
        self._times = objects.times

    def __len__(self) -> int:
        return self._count

    def unpack(self) -> ObjectColumns:
        """The objects again."""
        keys = self._keys if isinstance(self._keys, list) else self._keys.split(b"\n")
        return ObjectColumns(
            keys, None if self._sizes is None else self._sizes.tolist(), self._times
        )
