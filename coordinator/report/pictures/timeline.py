# SPDX-License-Identifier: Apache-2.0
"""Draws a timeline: a lane for each worker, a bar for each chunk.

In range mode a lane is a chunk and a bar its job; in event mode a lane is one of the requests that
are in flight at the same time, and a bar is an item.

Few bars are drawn one by one, each with a text. Many bars are drawn as one path, so that the page
stays small. Workers of the same node are next to each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from ...model.pull.findings import Worker
from ...model.pull.history import Span
from ...model.run import Report
from ...model.units import format_duration
from .axis import WIDTH, TimeAxis, find_bounds, fit_axis

MOST_LANES = 400
# A bar with its own text takes 200 bytes of the page, so there is a limit.
MOST_TEXTS = 1_500
_HEIGHT, _HIGHEST, _LOWEST = 720, 20, 3
# The least distance of two labels, in pixels.
_LABEL = 15
_NARROWEST, _GAP = 10, 6


class BarKind(StrEnum):
    """What a bar shows; the style gives each kind a colour and a pattern."""

    LIFE = "life"
    START = "start"
    DONE = "done"
    FAILED = "failed"
    UNCONFIRMED = "unconfirmed"


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, in units of the axis and in pixels."""

    kind: BarKind
    left: int
    width: int
    top: int
    height: int
    text: str = ""

    def outline(self) -> str:
        """The bar as a part of an SVG path."""
        return f"M{self.left} {self.top}h{self.width}v{self.height}h-{self.width}z"


@dataclass(frozen=True, slots=True)
class LaneLabel:
    """A text beside the lanes."""

    top: int
    text: str
    note: str = ""
    """The node of a worker, where that is not the text."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """All that a timeline shows."""

    axis: TimeAxis
    bars: tuple[Bar, ...]
    outlines: Mapping[BarKind, str]
    """Instead of single bars: one path for each kind."""
    labels: tuple[LaneLabel, ...]
    height: int
    lanes: int
    workers: int
    """The number of workers, with those that have no lane here."""
    chunks: int
    misdated: int
    """The number of chunks that are left out because the clock of their node is wrong."""


def draw_timeline(report: Report) -> Timeline | None:
    """The timeline of a run; None if nothing is known of its course."""
    if report.history is None:
        return None
    low, high = find_bounds(report)
    spans = [
        span for span in report.history.spans if low <= span.started_at and span.finished_at <= high
    ]
    lives = {
        worker.name: life for worker in report.workers if (life := _Life.of(worker, low, high))
    }
    for span in spans:  # the storage may give the time of a beat in whole seconds
        if (life := lives.get(span.worker)) and life.end < span.finished_at:
            lives[span.worker] = replace(life, end=span.finished_at)
    moments = [moment for life in lives.values() for moment in (life.start, life.end)]
    moments += [moment for span in spans for moment in (span.started_at, span.finished_at)]
    axis = fit_axis(moments)
    if axis is None:
        return None
    names = _order_lanes(report.workers, {*lives, *(span.worker for span in spans)})
    shown = names[:MOST_LANES]
    pitch = max(_LOWEST, min(_HIGHEST, _HEIGHT // len(shown)))
    bars = list(_draw_bars(axis, shown, pitch, lives, spans))
    few = len(bars) <= MOST_TEXTS
    return Timeline(
        axis=axis,
        bars=tuple(bars) if few else (),
        outlines={} if few else _join_bars(bars),
        labels=_label_lanes(report.workers, shown, pitch),
        height=pitch * len(shown),
        lanes=len(shown),
        workers=len(names),
        chunks=sum(span.chunks for span in spans),
        misdated=sum(span.chunks for span in report.history.spans)
        - sum(span.chunks for span in spans),
    )


@dataclass(frozen=True, slots=True)
class _Life:
    """From the start of a worker to the last sign of it."""

    start: datetime
    working: datetime
    end: datetime

    @classmethod
    def of(cls, worker: Worker, low: datetime, high: datetime) -> _Life | None:
        start, seen = worker.started_at, worker.seen_at
        if start is None or not low <= start <= high:
            return None
        startup_s = min(worker.startup_s or 0.0, (high - start).total_seconds())
        working = start + timedelta(seconds=max(0.0, startup_s))
        end = max(working, seen) if seen and seen <= high else working
        return cls(start, working, end)


def _order_lanes(workers: Sequence[Worker], names: set[str]) -> list[str]:
    """The workers that were seen, those of a node together."""
    nodes = {worker.name: worker.node for worker in workers}
    return sorted(names, key=lambda name: (nodes.get(name, ""), name))


def _draw_bars(
    axis: TimeAxis,
    names: Sequence[str],
    pitch: int,
    lives: Mapping[str, _Life],
    spans: Sequence[Span],
) -> Iterator[Bar]:
    tops = {name: pitch * number for number, name in enumerate(names)}
    height = pitch - (1 if pitch < 8 else 3)
    for name, top in tops.items():
        if life := lives.get(name):
            left, working, end = (
                axis.locate(each) for each in (life.start, life.working, life.end)
            )
            if end > working:
                middle = top + height // 2
                yield Bar(BarKind.LIFE, working, end - working, middle, 1)
            if working > left:
                seconds = (life.working - life.start).total_seconds()
                text = f"{name}: start-up, {format_duration(seconds)}"
                thin = max(1, height // 2)
                yield Bar(
                    BarKind.START, left, working - left, top + (height - thin) // 2, thin, text
                )
    for span in spans:
        if span.worker in tops:
            left, right = axis.locate(span.started_at), axis.locate(span.finished_at)
            width = max(_NARROWEST, right - left - (_GAP if right - left > 4 * _GAP else 0))
            left = min(left, WIDTH - width)
            yield from _divide_bar(span, left, width, tops[span.worker], height)


def _divide_bar(span: Span, left: int, width: int, top: int, height: int) -> Iterator[Bar]:
    """The bar of a chunk: what failed of it is its lower part, and at least a third."""
    text, low = _describe(span), 0
    if not (span.lane or span.done or span.failed):
        yield Bar(BarKind.UNCONFIRMED, left, width, top, height, text)
        return
    if span.failed:
        low = height
        if span.done:
            share = span.failed / (span.done + span.failed)
            low = min(height - 1, max(1, round(height / 3), round(height * share)))
        yield Bar(BarKind.FAILED, left, width, top + height - low, low, text)
    if low < height:
        yield Bar(BarKind.DONE, left, width, top, height - low, text)


def _describe(span: Span) -> str:
    if not span.lane:  # of a run without workers; its lane has the name of its chunk
        return _describe_job(span)
    name = f"chunk {span.lane}/{span.chunk}" if span.chunks == 1 else f"{span.chunks} chunks"
    again = f", attempt {span.attempt}" if span.attempt > 1 else ""
    later = f", round {span.round}" if span.round > 1 else ""
    seconds = (span.finished_at - span.started_at).total_seconds()
    took = format_duration(seconds)
    return f"{span.worker}: {name}{later}{again}: {span.done} done, {span.failed} failed, {took}"


def _describe_job(span: Span) -> str:
    name = "" if span.worker.startswith("chunk") else f": line {span.chunk} of the index"
    name = name if span.chunks == 1 else f": {span.chunks} items"
    known = f"{span.done:,} done, {span.failed:,} failed"
    known = known if span.done or span.failed else "unconfirmed"
    seconds = (span.finished_at - span.started_at).total_seconds()
    return f"{span.worker}{name}: {known}, {format_duration(seconds)}"


def _join_bars(bars: Sequence[Bar]) -> dict[BarKind, str]:
    found: dict[BarKind, list[str]] = defaultdict(list)
    for bar in bars:
        found[bar.kind].append(bar.outline())
    return {kind: "".join(found[kind]) for kind in BarKind if kind in found}


def _label_lanes(
    workers: Sequence[Worker], names: Sequence[str], pitch: int
) -> tuple[LaneLabel, ...]:
    """A label for each worker if they fit, else for the first of each node, else for some."""
    nodes = {worker.name: worker.node for worker in workers}
    labels: list[LaneLabel] = []
    before = None
    for number, name in enumerate(names):
        node, top = nodes.get(name, ""), pitch * number
        text = name if pitch >= _LABEL else node or name
        wanted = pitch >= _LABEL or not node or node != before
        if wanted and (not labels or top - labels[-1].top >= _LABEL):
            labels.append(LaneLabel(top, text, node if pitch >= _LABEL else ""))
            before = node
    return tuple(labels)
