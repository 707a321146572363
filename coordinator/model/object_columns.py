# SPDX-License-Identifier: Apache-2.0
"""`ObjectColumns`: a batch of listed objects, column by column.

One Python value per object would be too slow for 10^7 objects. So stages pass on batches (a page of
the listing, a piece of a manifest) and work on whole columns. Keys are bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import compress


@dataclass(frozen=True, slots=True)
class ObjectColumns:
    """Objects in listing order; columns that were not asked for, or are not known, are None."""

    keys: list[bytes]
    sizes: list[int] | None
    """In bytes; a manifest need not have them."""
    times: list[str] | None = None
    """When each was written: ISO-8601 as the server writes it."""

    def __len__(self) -> int:
        return len(self.keys)

    def filter(self, chosen: Iterable[object]) -> ObjectColumns:
        """The objects for which `chosen` is true, all columns alike."""
        mask = list(chosen)
        return ObjectColumns(
            keys=list(compress(self.keys, mask)),
            sizes=None if self.sizes is None else list(compress(self.sizes, mask)),
            times=None if self.times is None else list(compress(self.times, mask)),
        )
