# SPDX-License-Identifier: Apache-2.0
"""The timeline: every chunk is drawn where it was, few with texts, many together."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given

from coordinator.model.pull.findings import Worker
from coordinator.model.pull.history import History, Span
from coordinator.model.run import Report
from coordinator.report.pictures.axis import WIDTH
from coordinator.report.pictures.timeline import (
    MOST_LANES,
    MOST_TEXTS,
    BarKind,
    Timeline,
    draw_timeline,
)
from tests.unit import make
from tests.unit.values import reports

START = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def span(worker: int, start: float, stop: float, *, done: int = 5, failed: int = 0) -> Span:
    name = f"0001-{worker:05}"
    return Span(name, at(start), at(stop), 1, worker, 1, done=done, failed=failed)


def worker(number: int, *, node: str = "", start: float = 0, startup_s: float = 5) -> Worker:
    return Worker(
        f"0001-{number:05}", number, "job", "invoked", startup_s=startup_s, node=node,
        started_at=at(start), seen_at=at(50),
    )  # fmt: skip


def draw(spans: list[Span], *workers: Worker) -> Timeline:
    report = replace(make.report(), history=History(tuple(spans)), workers=workers)
    found = draw_timeline(report)
    assert found is not None
    return found


def test_nothing_is_drawn_of_a_run_that_was_not_followed() -> None:
    assert draw_timeline(make.report()) is None
    assert draw_timeline(replace(make.report(), history=History())) is None


def test_the_start_up_comes_before_the_chunks_and_looks_different() -> None:
    found = draw([span(1, 10, 50)], worker(1, startup_s=10))
    start, done = (
        next(bar for bar in found.bars if bar.kind is kind)
        for kind in (BarKind.START, BarKind.DONE)
    )
    assert (start.left, start.left + start.width) == (0, WIDTH // 5)
    assert done.left == WIDTH // 5
    assert start.height < done.height
    assert "start-up, 10.0 s" in start.text


def test_a_worker_lived_until_the_end_of_its_last_chunk_at_least() -> None:
    found = draw([span(1, 10, 80)], worker(1))
    (life,) = [bar for bar in found.bars if bar.kind is BarKind.LIFE]
    assert life.left + life.width == WIDTH


def test_what_failed_of_a_chunk_is_the_lower_part_of_its_bar() -> None:
    found = draw([span(1, 0, 10, done=99, failed=1), span(1, 10, 20, done=0, failed=3)])
    mixed, all_failed = found.bars[:2], found.bars[2:]
    assert [bar.kind for bar in mixed] == [BarKind.FAILED, BarKind.DONE]
    assert mixed[1].top + mixed[1].height == mixed[0].top
    assert [bar.kind for bar in all_failed] == [BarKind.FAILED]
    assert all_failed[0].height == mixed[0].height + mixed[1].height
    assert "99 done, 1 failed, 10.0 s" in mixed[0].text


def test_few_bars_have_texts_and_many_are_drawn_together() -> None:
    few = draw([span(1, number, number + 1) for number in range(MOST_TEXTS)])
    many = draw([span(1, number, number + 1) for number in range(MOST_TEXTS + 1)])
    assert (len(few.bars), few.outlines) == (MOST_TEXTS, {})
    assert many.bars == ()
    assert many.outlines[BarKind.DONE].count("M") == MOST_TEXTS + 1


def test_lanes_beyond_the_most_are_counted() -> None:
    found = draw([span(number, 0, 1) for number in range(1, MOST_LANES + 8)])
    assert (found.lanes, found.workers) == (MOST_LANES, MOST_LANES + 7)
    assert len(found.bars) == MOST_LANES


def test_four_workers_have_their_names_and_four_hundred_those_of_their_nodes() -> None:
    few = draw([], *(worker(number, node=f"wn-{number % 2}") for number in range(1, 5)))
    assert [(label.text, label.note) for label in few.labels] == [
        ("0001-00002", "wn-0"),
        ("0001-00004", "wn-0"),
        ("0001-00001", "wn-1"),
        ("0001-00003", "wn-1"),
    ]
    many = draw([], *(worker(number, node=f"wn-{number % 20:02}") for number in range(1, 401)))
    assert [label.text for label in many.labels] == [f"wn-{number:02}" for number in range(20)]


def test_labels_never_overlap() -> None:
    found = draw([], *(worker(number, node=f"wn-{number}") for number in range(1, 301)))
    tops = [label.top for label in found.labels]
    assert all(later - earlier >= 15 for earlier, later in pairwise(tops))


def test_the_times_of_a_wrong_clock_are_left_out_and_counted() -> None:
    found = draw([span(1, 0, 10), span(2, 7 * 86_400, 8 * 86_400), span(3, -9e6, 5)])
    assert (found.chunks, found.misdated, found.axis.seconds) == (1, 2, 10)


def test_a_run_that_was_taken_over_keeps_the_chunks_before_that() -> None:
    report = replace(
        make.report(),
        started_at=at(86_400),
        finished_at=at(90_000),
        history=History((span(1, 0, 10), span(1, 86_400, 86_410))),
    )
    found = draw_timeline(report)
    assert found
    assert (found.chunks, found.misdated) == (2, 0)


@given(reports())
def test_whatever_a_report_says_its_bars_are_inside(report: Report) -> None:
    if found := draw_timeline(report):
        for bar in found.bars:
            assert 0 <= bar.left <= bar.left + bar.width <= WIDTH
            assert 0 <= bar.top <= bar.top + bar.height <= found.height
        assert found.axis.list_ticks()


def test_a_job_of_which_nothing_is_known_is_neither_done_nor_failed() -> None:
    job = Span("lane 001", at(0), at(10), 1, 0, 7)
    spans = [job, replace(job, started_at=at(10), finished_at=at(20), chunk=8, failed=1)]
    unknown, failed = draw(spans).bars
    assert (unknown.kind, failed.kind) == (BarKind.UNCONFIRMED, BarKind.FAILED)
    assert unknown.text == "lane 001: line 7 of the index: unconfirmed, 10.0 s"
    assert failed.text == "lane 001: line 8 of the index: 0 done, 1 failed, 10.0 s"
    (chunk,) = draw([replace(job, worker="chunk 003", done=1_200)]).bars
    assert (chunk.kind, chunk.text) == (BarKind.DONE, "chunk 003: 1,200 done, 0 failed, 10.0 s")
