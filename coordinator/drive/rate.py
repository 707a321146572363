# SPDX-License-Identifier: Apache-2.0
"""Measures how fast a run goes, and estimates the time that is left."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from ..model.run import Speed

# The speed is measured over this many seconds, so that the start-up does not count for long.
_WINDOW_S = 600.0


@dataclass(slots=True)
class Rate:
    """Counts of settled items at moments, the newest last."""

    _points: deque[tuple[float, int]] = field(default_factory=deque)

    def measure(self, settled: int, pending: int, now_s: float) -> Speed:
        """The speed now, with an estimate of the rest."""
        self._points.append((now_s, settled))
        while len(self._points) > 2 and now_s - self._points[1][0] >= _WINDOW_S:
            self._points.popleft()
        then_s, before = self._points[0]
        seconds, count = now_s - then_s, settled - before
        if count <= 0 or seconds <= 0:
            return Speed(0.0)
        per_s = count / seconds
        # The count is modelled as a Poisson process: two standard deviations to each side.
        spread = min(0.9, 2 / math.sqrt(count))
        left_s = pending / per_s
        return Speed(per_s, left_s, left_s / (1 + spread), left_s / (1 - spread))
