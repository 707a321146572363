# SPDX-License-Identifier: Apache-2.0
"""Throughput, histograms and the bars of nodes: their parts add up to what the report says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.model.cluster import Capacity, NodeSlots, Resources
from coordinator.model.items import Bin
from coordinator.model.pull.history import History, Span
from coordinator.model.run import Report
from coordinator.model.units import format_duration
from coordinator.report.pictures.axis import MOST_TICKS, TimeAxis, format_elapsed
from coordinator.report.pictures.histogram import draw_histogram
from coordinator.report.pictures.node_bars import draw_node
from coordinator.report.pictures.throughput import BINS, draw_throughput
from tests.unit import make
from tests.unit.values import reports

START = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
GIB = 2**30


def span(start: float, stop: float, *, done: int = 0, failed: int = 0) -> Span:
    times = START + timedelta(seconds=start), START + timedelta(seconds=stop)
    return Span("0001-00001", *times, 1, 1, 1, done=done, failed=failed)


SPANS = st.builds(
    lambda start, length, done, failed: span(start, start + length, done=done, failed=failed),
    st.integers(0, 3000),
    st.integers(0, 600),
    st.integers(0, 1000),
    st.integers(0, 1000),
)


@given(st.lists(SPANS, min_size=1, max_size=20))
def test_the_columns_hold_every_item_once(spans: list[Span]) -> None:
    found = draw_throughput(replace(make.report(), history=History(tuple(spans))))
    assert (found is None) == all(not each.done + each.failed for each in spans)
    if found:
        assert sum(found.done) * found.bin_s == pytest.approx(sum(each.done for each in spans))
        failed = sum(each.failed for each in spans)
        assert sum(found.failed) * found.bin_s == pytest.approx(failed)
        assert found.mean * found.axis.seconds == pytest.approx(
            sum(each.done + each.failed for each in spans)
        )


def test_a_steady_run_has_columns_of_one_height() -> None:
    spans = (span(0, 30, done=30), span(30, 60, done=30))
    found = draw_throughput(replace(make.report(), history=History(spans)))
    assert found
    assert found.done == pytest.approx([1.0] * BINS)
    assert found.peak == pytest.approx(1.0)
    assert found.outline_failed() == ""
    assert found.outline_done().count("M") == BINS


@given(reports())
def test_any_report_has_a_throughput_or_none(report: Report) -> None:
    if found := draw_throughput(report):
        assert found.peak > 0
        assert found.outline_done() or found.outline_failed()


@given(st.floats(1, 1e9))
def test_an_axis_has_few_round_ticks(seconds: float) -> None:
    ticks = TimeAxis(START, START + timedelta(seconds=seconds)).list_ticks()
    assert 1 <= len(ticks) <= MOST_TICKS + 1
    assert ticks[0].label == "0"
    assert all(0 <= tick.percent <= 100 for tick in ticks)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0"), (30, "30 s"), (90, "1 min 30 s"), (5400, "1 h 30 min"), (172_800, "2 d")],
)
def test_a_tick_is_a_short_text(seconds: int, text: str) -> None:
    assert format_elapsed(seconds) == text


def test_a_histogram_has_no_gaps() -> None:
    rows = draw_histogram((Bin(1.0, 3), Bin(8.0, 6)), format_duration)
    assert [(row.label, row.count, row.percent) for row in rows] == [
        ("below 1.0 s", 3, 50.0),
        ("1.0 s to 2.0 s", 0, 0.0),
        ("2.0 s to 4.0 s", 0, 0.0),
        ("4.0 s to 8.0 s", 6, 100.0),
    ]
    assert draw_histogram((), format_duration) == ()


def node(*, size: Resources | None) -> NodeSlots:
    free, stranded = Resources(10_000, 40 * GIB), Resources(0, 14 * GIB)
    return NodeSlots("wn-1", 8, "cpu", free, stranded, size)


def test_a_node_is_divided_between_others_this_run_and_what_is_stranded() -> None:
    capacity = Capacity(8, "nodes", "", needs=Resources(1000, 2 * GIB))
    cpu, memory = draw_node(node(size=Resources(16_000, 64 * GIB)), capacity)
    assert [(part.kind, part.text) for part in cpu.parts] == [
        ("others", "6 CPU"),
        ("ours", "8 CPU"),
        ("left", "2 CPU"),
    ]
    assert [(part.kind, part.text) for part in memory.parts] == [
        ("others", "24 GiB"),
        ("ours", "16 GiB"),
        ("stranded", "14 GiB"),
        ("left", "10 GiB"),
    ]
    assert sum(part.percent for part in memory.parts) == pytest.approx(100, abs=0.05)
    assert memory.whole == "64 GiB"


def test_of_a_node_of_unknown_size_only_what_is_free_is_drawn() -> None:
    capacity = Capacity(8, "nodes", "", needs=Resources(1000, 2 * GIB))
    cpu, _ = draw_node(node(size=None), capacity)
    assert ([part.kind for part in cpu.parts], cpu.whole) == (["ours", "left"], "10 CPU free")
    assert draw_node(node(size=None), Capacity(8, "max_parallel", "")) == ()


def test_an_overcommitted_node_is_full() -> None:
    full = NodeSlots("wn-1", 0, "cpu", Resources(-500, GIB), Resources(0, 0), Resources(2000, GIB))
    cpu, memory = draw_node(full, Capacity(1, "nodes", "", needs=Resources(1000, GIB)))
    assert [(part.kind, part.percent) for part in cpu.parts] == [("others", 100.0)]
    assert [part.kind for part in memory.parts] == ["left"]
