# SPDX-License-Identifier: Apache-2.0
"""Bins of values → the rows of a histogram, without gaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import frexp

from ...model.items import Bin


@dataclass(frozen=True, slots=True)
class Row:
    """One bar of a histogram."""

    label: str
    count: int
    percent: float
    """The length of the bar, as a percentage of the longest one."""


def draw_histogram(bins: Sequence[Bin], format_value: Callable[[float], str]) -> tuple[Row, ...]:
    """The rows from the lowest bin to the highest, the empty ones between them included."""
    counts = {frexp(each.below)[1]: each.count for each in bins if each.below > 0}
    if not counts:
        return ()
    most = max(1, *counts.values())
    lowest, highest = min(counts), max(counts)
    # Without a limit, bins that are far apart would give a long table of zeros.
    ends = range(lowest, highest + 1) if highest - lowest < 64 else sorted(counts)
    return tuple(
        Row(
            label=f"{format_value(2.0 ** (end - 2))} to {format_value(2.0 ** (end - 1))}"
            if end > lowest
            else f"below {format_value(2.0 ** (end - 1))}",
            count=counts.get(end, 0),
            percent=round(100 * counts.get(end, 0) / most, 2),
        )
        for end in ends
    )
