# SPDX-License-Identifier: Apache-2.0
"""Fits the cost of an item to the times of chunks, for the next plan of the service. Pure.

The model of a chunk is `seconds = items · seconds_per_item + bytes · seconds_per_byte`. Both
rates are fitted by least squares, neither negative (a two-variable case of NNLS, C. L. Lawson and
R. J. Hanson, Solving Least Squares Problems, 1974, chapter 23). The speed of a worker is the
time that the model expects for its chunks, divided by the time that they took.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean

from ..model.planning import MOST_SPEEDS, Cost

# With fewer chunks the spread is not known.
_LEAST_CHUNKS = 3


@dataclass(slots=True)
class _Work:
    """The sums of the chunks of one worker."""

    items: int = 0
    size_bytes: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Meter:
    """The sums of all chunks that were processed."""

    _chunks: int = 0
    _sums: dict[str, float] = field(default_factory=dict)
    _workers: dict[str, _Work] = field(default_factory=dict)

    def add(self, worker: str, items: int, size_bytes: int, seconds: float) -> None:
        """Adds a chunk: its items, their bytes, and the seconds that they took in all."""
        if items <= 0 or not seconds > 0:
            return
        self._chunks += 1
        products = {
            "ii": items * items,
            "ib": items * size_bytes,
            "bb": size_bytes * size_bytes,
            "is": items * seconds,
            "bs": size_bytes * seconds,
        }
        for name, value in products.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        work = self._workers.setdefault(worker, _Work())
        work.items += items
        work.size_bytes += size_bytes
        work.seconds += seconds

    def measure(self, startups_s: Iterable[float]) -> Cost | None:
        """The cost, with the mean of these start-up times; None if too little was seen."""
        if self._chunks < _LEAST_CHUNKS:
            return None
        each, per_byte = self._fit()
        known = list(startups_s)
        speeds = sorted(
            (each * work.items + per_byte * work.size_bytes) / work.seconds
            for work in self._workers.values()
        )
        mean = fmean(speeds)
        return Cost(
            startup_s=fmean(known) if known else None,
            seconds_per_item=each,
            seconds_per_byte=per_byte,
            speeds=tuple(speed / mean for speed in speeds)[:MOST_SPEEDS] if mean > 0 else (),
            source="this run",
        )

    def _fit(self) -> tuple[float, float]:
        """Seconds per item and per byte, neither negative."""
        ii, ib, bb, i_s, bs = (self._sums[name] for name in ("ii", "ib", "bb", "is", "bs"))
        determinant = ii * bb - ib * ib
        # If all chunks have the same bytes per item, the two rates cannot be separated.
        if determinant > 1e-9 * ii * bb:
            each, per_byte = (i_s * bb - bs * ib) / determinant, (bs * ii - i_s * ib) / determinant
            if each >= 0 and per_byte >= 0:
                return each, per_byte
        by_items, by_bytes = i_s / ii, bs / bb if bb else 0.0
        # Then one rate alone is used: the one with the smaller error.
        return (by_items, 0.0) if i_s * by_items >= bs * by_bytes else (0.0, by_bytes)
