# SPDX-License-Identifier: Apache-2.0
"""Computes items per second over time. The items of a chunk are spread evenly over its span."""

from __future__ import annotations

from dataclasses import dataclass

from ...model.run import Report
from .axis import WIDTH, TimeAxis, find_bounds, fit_axis

BINS, HEIGHT = 60, 160


@dataclass(frozen=True, slots=True)
class Throughput:
    """Items per second in bins of equal length."""

    axis: TimeAxis
    done: tuple[float, ...]
    failed: tuple[float, ...]

    @property
    def peak(self) -> float:
        return max(map(sum, zip(self.done, self.failed, strict=True)))

    @property
    def mean(self) -> float:
        return (sum(self.done) + sum(self.failed)) / BINS

    @property
    def bin_s(self) -> float:
        return self.axis.seconds / BINS

    def outline_done(self) -> str:
        """The columns of items that are done, as an SVG path."""
        return self._outline([(0.0, rate) for rate in self.done])

    def outline_failed(self) -> str:
        """The columns of items that failed, on top of the others."""
        pairs = zip(self.done, self.failed, strict=True)
        return self._outline([(done, done + failed) for done, failed in pairs])

    def _outline(self, columns: list[tuple[float, float]]) -> str:
        scale, width = HEIGHT / self.peak, WIDTH // BINS
        parts = []
        for number, (low, high) in enumerate(columns):
            if high > low:
                bottom, top = HEIGHT - round(low * scale, 1), HEIGHT - round(high * scale, 1)
                left = number * WIDTH // BINS
                parts.append(f"M{left} {top:g}h{width - 20}V{bottom:g}h-{width - 20}z")
        return "".join(parts)


def draw_throughput(report: Report) -> Throughput | None:
    """The throughput of a run; None if nothing is known of its course."""
    low, high = find_bounds(report)
    spans = [
        span
        for span in (report.history.spans if report.history else ())
        if low <= span.started_at and span.finished_at <= high and span.done + span.failed
    ]
    axis = fit_axis(moment for span in spans for moment in (span.started_at, span.finished_at))
    if axis is None:
        return None
    done, failed = [0.0] * BINS, [0.0] * BINS
    bin_s = axis.seconds / BINS
    for span in spans:
        start = (span.started_at - axis.start).total_seconds() / bin_s
        stop = max(start, (span.finished_at - axis.start).total_seconds() / bin_s)
        length = stop - start
        first = min(BINS - 1, int(start))
        for number in range(first, min(BINS, int(stop) + 1)):
            inside = min(stop, number + 1) - max(start, number)
            share = inside / length if length > 0 else float(number == first)
            done[number] += share * span.done / bin_s
            failed[number] += share * span.failed / bin_s
    return Throughput(axis, tuple(done), tuple(failed))
