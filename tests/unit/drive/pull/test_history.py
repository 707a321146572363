# SPDX-License-Identifier: Apache-2.0
"""Results become the history of a run, and its size is bounded whatever they say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from coordinator.drive.pull.history import Recorder, read_moment
from coordinator.drive.pull.keys import KeyFinder
from coordinator.drive.pull.ledger import describe_failure
from coordinator.model.items import Bin
from coordinator.model.pull.documents import ChunkResult, ItemOutcome, ItemState
from coordinator.model.pull.history import MOST_EXAMPLES, MOST_REASONS, MOST_SLOWEST, Span
from tests.unit import make
from tests.unit.fakes import FakeBucket

START = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)


def outcome(line: int, seconds: float = 1.0, reason: str = "") -> ItemOutcome:
    if not reason:
        return ItemOutcome(line, ItemState.DONE, seconds)
    return ItemOutcome(line, ItemState.FAILED, seconds, 1, f"data/{line}", "exit", reason, "oh")


def record(recorder: Recorder, chunk: int, *items: ItemOutcome, **changes: Any) -> None:
    started = START + timedelta(seconds=10 * chunk)
    members: dict[str, Any] = {
        "process": "0001-00003-9f2c04aa",
        "round": 1,
        "lane": 3,
        "chunk": chunk,
        "attempt": 1,
        "started": started.isoformat(),
        "finished": (started + timedelta(seconds=10)).isoformat(),
        "items": items,
    }
    result = ChunkResult(**{**members, **changes})
    failed = [item for item in items if item.state is ItemState.FAILED]
    done = sum(item.state is ItemState.DONE for item in items)
    recorder.add(result, done, [(item, describe_failure(item, 1)) for item in failed])


def test_a_result_is_a_span_of_its_worker() -> None:
    recorder = Recorder()
    record(recorder, 2, outcome(1), outcome(2, reason="exit code 3"), attempt=2)
    start, end = START + timedelta(seconds=20), START + timedelta(seconds=30)
    assert recorder.make_history().spans == (
        Span("0001-00003", start, end, 1, 3, 2, attempt=2, done=1, failed=1),
    )


def test_a_sealed_result_has_failures_and_no_span() -> None:
    recorder = Recorder()
    record(recorder, 1, outcome(1, reason="killed its worker"), sealed=True)
    history = recorder.make_history()
    assert (history.spans, history.seconds, history.slowest) == ((), (), ())
    assert [(group.reason, group.count) for group in history.groups] == [("killed its worker", 1)]


def test_times_that_are_none_make_no_span() -> None:
    recorder = Recorder()
    for chunk, started in enumerate(["", "soon", "0001-01-01T00:00:00+14:00"], start=1):
        record(recorder, chunk, outcome(chunk), started=started)
    assert recorder.make_history().spans == ()
    assert read_moment("2026-11-22T10:15:00.123456Z") == START.replace(microsecond=123000)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=80), st.integers(4, 9))
def test_of_many_chunks_spans_are_merged_and_nothing_is_lost(lanes: list[int], most: int) -> None:
    recorder = Recorder(most)
    for chunk, lane in enumerate(lanes, start=1):
        record(recorder, chunk, outcome(chunk), lane=lane, process=f"0001-{lane:05}-aa")
    spans = recorder.make_history().spans
    assert len(spans) <= most
    assert sum(span.done for span in spans) == sum(span.chunks for span in spans) == len(lanes)
    assert {span.lane for span in spans} == set(lanes)
    assert max(span.finished_at for span in spans) == START + timedelta(
        seconds=10 * len(lanes) + 10
    )


def test_failures_are_grouped_by_reason_with_the_first_examples() -> None:
    recorder = Recorder()
    reasons = ["exit code 1", "exit code 2", "exit code 2", *["exit code 2"] * 5]
    record(recorder, 1, *(outcome(line, 1, each) for line, each in enumerate(reasons, start=1)))
    first, second = recorder.make_history().groups
    assert (first.reason, first.count, len(first.examples)) == ("exit code 2", 7, MOST_EXAMPLES)
    assert (second.count, second.examples[0].key, second.examples[0].stderr) == (1, "data/1", "oh")


def test_more_reasons_than_are_kept_are_counted() -> None:
    recorder = Recorder()
    record(recorder, 1, *(outcome(line, 1, f"reason {line}") for line in range(MOST_REASONS + 7)))
    history = recorder.make_history()
    # `reason 0` of line 0 is a reason too.
    assert (len(history.groups), history.ungrouped) == (MOST_REASONS, 7)


@given(st.lists(st.floats(), min_size=1, max_size=60))
def test_the_slowest_are_the_slowest_and_only_numbers_count(seconds: list[float]) -> None:
    recorder = Recorder()
    record(recorder, 1, *(outcome(line, each) for line, each in enumerate(seconds, start=1)))
    history = recorder.make_history()
    valid = sorted((each for each in seconds if 0 <= each < float("inf")), reverse=True)
    assert [item.seconds for item in history.slowest] == valid[:MOST_SLOWEST]
    assert sum(each.count for each in history.seconds) == len(valid)


def test_the_bins_of_seconds_end_at_powers_of_two() -> None:
    recorder = Recorder()
    items = [outcome(line, each) for line, each in enumerate([0.0, 0.5, 1.0, 1.9, 2.0], start=1)]
    record(recorder, 1, *items)
    bins = recorder.make_history().seconds
    assert bins == (Bin(1.0, 2), Bin(2.0, 2), Bin(4.0, 1))


def test_the_keys_of_the_slowest_items_are_read_from_the_index_once() -> None:
    plan = make.plan([1] * 9, slots=3)
    index = b"".join(b"data/%d\n" % number for number in range(9))
    bucket = FakeBucket("data", {plan.index_key: index})
    recorder = Recorder()
    record(recorder, 1, outcome(1, 5), outcome(9, 7), outcome(4, 6, "exit code 1"))
    record(recorder, 2, outcome(2, 4), round=2)
    finder = KeyFinder(bucket, plan)
    found = recorder.make_history(finder.find_key).slowest
    assert [item.key for item in found] == ["data/8", "data/4", "data/0", ""]
    bucket.broken.add("read")
    assert recorder.make_history(finder.find_key).slowest == found
    assert finder.find_key(1, 3) == ""
    assert KeyFinder(FakeBucket("data", {plan.index_key: index}), plan).find_key(1, 10) == ""
