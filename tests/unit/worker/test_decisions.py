# SPDX-License-Identifier: Apache-2.0
"""What the worker decides: values in, values out."""

from __future__ import annotations

import json
import os
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.oscar_batch_worker import (
    Failure,
    LaneView,
    Look,
    Outcomes,
    Timing,
    choose_own,
    choose_theft,
    convict,
    count_blame,
    fill_placeholders,
    find_open,
    is_gone,
    judge_new_put,
    make_outcome,
    may_watch,
    shorten_name,
    should_wake,
    write_listing,
)

TIMING = Timing()
MINE: dict[str, Any] = {"process": "0001-00001-aaaaaaaa", "attempt": 2}


@pytest.mark.parametrize(
    ("status", "repeated", "stored", "won"),
    [
        (200, False, None, True),
        (200, True, None, True),
        (300, False, None, False),
        (412, False, MINE, False),
        (412, True, MINE, True),
        (412, True, {**MINE, "attempt": 1}, False),
        (412, True, {**MINE, "process": "0001-00001-bbbbbbbb"}, False),
        (412, True, {"process": MINE["process"]}, True),  # a wake or watcher has no attempt
        (412, True, None, False),
    ],
)
def test_what_an_answer_to_a_new_put_proves(
    status: int, repeated: bool, stored: dict[str, Any] | None, won: bool
) -> None:
    judged = judge_new_put(
        status, repeated=repeated, stored=stored, process=MINE["process"], attempt=2
    )
    assert judged is won


OLD = Look(at=1000.0, modified=500.0, server_time=700.0)


@pytest.mark.parametrize(
    ("now", "failed_at", "gone"),
    [
        (Look(1045.0, 500.0, 745.0), None, True),
        (Look(1044.9, 500.0, 745.0), None, False),  # the looks are too near
        (Look(1045.0, 501.0, 745.0), None, False),  # it has beaten between them
        (Look(1045.0, 500.0, 620.0), None, False),  # 120 s are not older than 120 s
        (Look(1045.0, 500.0, 620.1), None, True),
        (Look(1045.0, 500.0, 745.0), 1010.0, False),  # a call of the judge failed between them
        (Look(1045.0, 500.0, 745.0), 955.0, False),  # or in the 45 s before
        (Look(1045.0, 500.0, 745.0), 954.0, True),
        (Look(1001.0, 501.0, 502.0, ended=True), 1000.5, True),
    ],
)
def test_when_a_process_is_gone(now: Look, failed_at: float | None, gone: bool) -> None:
    assert is_gone(OLD, now, failed_at, TIMING) is gone


LANES = st.lists(st.integers(0, 6), min_size=1, max_size=5)


@st.composite
def draw_round(draw: st.DrawFn) -> tuple[list[int], dict[int, LaneView]]:
    lanes = draw(LANES)
    views = {}
    for lane, count in enumerate(lanes, 1):
        chunks = st.integers(1, count) if count else st.nothing()
        claims = draw(st.dictionaries(chunks, st.integers(1, 4)))
        views[lane] = LaneView(claims, {chunk for chunk in claims if draw(st.booleans())})
    return lanes, views


@given(draw_round())
def test_every_chunk_is_unclaimed_open_or_settled(
    found: tuple[list[int], dict[int, LaneView]],
) -> None:
    lanes, views = found
    unclaimed = {
        (lane, chunk)
        for lane, view in views.items()
        for chunk in choose_own(lanes[lane - 1], view.claims)
    }
    waiting = {chunk_id for chunk_id, _ in find_open(views)}
    settled = {(lane, chunk) for lane, view in views.items() for chunk in view.results}
    every = {(lane, chunk) for lane, count in enumerate(lanes, 1) for chunk in range(1, count + 1)}
    assert unclaimed | waiting | settled == every
    assert not (unclaimed & waiting) | (waiting & settled) | (unclaimed & settled)


@given(draw_round())
def test_a_thief_takes_the_end_of_the_lane_with_most_unclaimed_chunks(
    found: tuple[list[int], dict[int, LaneView]],
) -> None:
    lanes, views = found
    unclaimed = {lane: choose_own(lanes[lane - 1], view.claims) for lane, view in views.items()}
    stolen = choose_theft(lanes, views)
    assert bool(stolen) == any(unclaimed.values())
    if stolen:
        lane, chunk = stolen[0]
        assert chunk == max(unclaimed[lane])
        assert len(unclaimed[lane]) == max(map(len, unclaimed.values()))


def test_the_open_chunks_of_a_lane_are_repaired_front_to_back() -> None:
    view = LaneView({3: 1, 1: 2, 2: 1}, {2})
    assert find_open({4: view}) == [((4, 1), 2), ((4, 3), 1)]


def test_the_own_lane_is_taken_front_to_back() -> None:
    assert choose_own(5, [2, 5]) == [1, 3, 4]


@pytest.mark.parametrize(
    ("mine", "living", "choice"),
    [
        (None, {}, "join"),
        (None, {1: True}, "join"),
        (None, {1: True, 2: True}, "leave"),
        (None, {1: True, 2: False}, "join"),
        (None, {1: True, 2: True, 3: False}, "join"),  # the two highest count
        (1, {1: True}, "watch"),
        (1, {1: True, 2: True}, "watch"),
        (1, {1: True, 2: True, 3: True}, "leave"),
        (1, {1: True, 2: True, 3: False}, "join"),
    ],
)
def test_who_watches(mine: int | None, living: dict[int, bool], choice: str) -> None:
    assert may_watch(mine, living) == choice


def mark(*lines: int, item: int | None = None, process: str = "p") -> dict[str, Any]:
    outcomes = [{**make_outcome(line, 1.0, 1), "by": process} for line in lines]
    return {"process": process, "item": item, "items": outcomes}


LINES = st.lists(st.integers(1, 9), unique=True)


@given(st.lists(LINES, max_size=5))
def test_the_union_of_marks_loses_nothing_and_the_first_of_them_wins(
    marks: list[list[int]],
) -> None:
    settled, expected = Outcomes(1, 9), dict[int, float]()
    for seconds, lines in enumerate(marks, 1):
        settled.inherit(make_outcome(line, seconds, 1) for line in lines)
        expected = {**dict.fromkeys(lines, seconds), **expected}
    assert {each["line"]: each["seconds"] for each in settled} == expected
    assert settled.is_whole == (len(expected) == 9)


SEEN = Look(0.0, 0.0, 0.0, ended=True, signal=9)
VANISHED = Look(0.0, 0.0, 0.0)
IN_ORDER = Look(0.0, 0.0, 0.0, ended=True)


@pytest.mark.parametrize(
    ("deaths", "kind", "reason"),
    [
        ([SEEN, SEEN], "killed its worker", "killed its worker"),
        ([SEEN], None, ""),
        ([SEEN, VANISHED], None, ""),
        ([SEEN, VANISHED, VANISHED], "killed its worker", "killed its worker"),
        ([VANISHED] * 3, None, ""),
        ([VANISHED] * 4, "vanished", "its worker vanished 4 times with it"),
        ([IN_ORDER] * 9, None, ""),
    ],
)
def test_whom_deaths_blame(deaths: list[Look], kind: str | None, reason: str) -> None:
    marks = {2 + at: mark(item=7, process=str(at)) for at in range(len(deaths))}
    by_process = {str(at): death for at, death in enumerate(deaths)}
    convicted = convict(count_blame(marks, by_process), {7: "key"})
    assert len(convicted) == (kind is not None)
    for found in convicted:
        assert (found["kind"], found["reason"], found["key"]) == (kind, reason, "key")
        assert (found["seconds"], found["tries"]) == (0.0, len(deaths))
    assert convict(count_blame(marks, by_process), {}) == []  # it is settled by a mark


@given(st.lists(st.tuples(st.integers(1, 9), st.sampled_from([SEEN, VANISHED, IN_ORDER]))))
def test_a_healthy_item_never_fails_because_of_its_neighbours(
    history: list[tuple[int, Look]],
) -> None:
    """Only an item that was itself in hand at its worker's deaths can be convicted."""
    marks = {at + 2: mark(item=line, process=str(at)) for at, (line, _) in enumerate(history)}
    deaths = {str(at): death for at, (_, death) in enumerate(history)}
    convicted = {
        item["line"] for item in convict(count_blame(marks, deaths), dict.fromkeys(range(10), ""))
    }
    points = {SEEN: 2, VANISHED: 1, IN_ORDER: 0}
    for line in range(1, 10):
        own = sum(points[death] for each, death in history if each == line)
        assert (line in convicted) == (own >= 4)


def test_the_first_attempt_and_an_empty_hand_blame_nobody() -> None:
    marks = {1: mark(item=7, process="a"), 2: mark(item=None, process="b")}
    assert count_blame(marks, {"a": SEEN, "b": SEEN}) == {}


@pytest.mark.parametrize(
    ("lease", "wakes", "over", "number"),
    [
        (91.0, {}, False, 1),
        (90.0, {}, False, None),
        (None, {}, False, None),
        (91.0, {}, True, None),
        (500.0, {1: 121.0}, False, 2),
        (500.0, {1: 120.0}, False, None),
        (500.0, {1: 900.0, 2: 500.0, 3: 300.0}, False, None),
    ],
)
def test_when_a_coordinator_is_woken(
    lease: float | None, wakes: dict[int, float], over: bool, number: int | None
) -> None:
    assert should_wake(lease, wakes, over=over, timing=TIMING) == number


@given(st.text())
def test_a_short_name_is_a_file_name(name: str) -> None:
    name = name.replace("/", "").replace("\0", "").encode("utf-8", "ignore").decode()
    short = shorten_name(name)
    assert 0 < len(os.fsencode(short)) <= 255
    assert short not in (".", "..")
    if name not in ("", ".", "..") and len(os.fsencode(name)) <= 255:
        assert short == name


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("a.txt", "a.txt"),
        ("x" * 251 + ".txt", "x" * 251 + ".txt"),
        ("x" * 252 + ".txt", "x" * 251 + ".txt"),
        ("x" * 250 + "." + "e" * 31, "x" * 223 + "." + "e" * 31),
        ("x" * 250 + "." + "e" * 32, "x" * 250 + "." + "e" * 4),
    ],
)
def test_a_name_is_cut_before_an_extension_of_at_most_32_bytes(name: str, short: str) -> None:
    assert shorten_name(name) == short


def test_a_long_name_keeps_its_extension() -> None:
    short = shorten_name("ü" * 200 + ".tar.gz")
    assert short.endswith("ü.gz") or short.endswith("ü.tar.gz") or short.endswith(".gz")
    assert len(os.fsencode(short)) <= 255


def test_only_the_five_names_are_replaced() -> None:
    values = {"input": "/in/{key} b", "output_dir": "/out", "key": "k", "name": "n", "stem": "s"}
    given_ = ["prog", "{input}", "-o={output_dir}/{stem}.{}", "{other}{name}", "{{key}}"]
    filled = fill_placeholders(given_, values)
    assert filled == ["prog", "/in/{key} b", "-o=/out/s.{}", "{other}n", "{k}"]


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 300), st.floats(0, 9_999)), max_size=9))
def test_outcomes_are_kept_whole_and_in_order(drawn: list[tuple[bool, int, float]]) -> None:
    settled = Outcomes(11, 11 + len(drawn) - 1)
    made = [
        make_outcome(line, seconds, min(tries, 255), Failure("exit", "x") if bad else None, "k")
        for line, (bad, tries, seconds) in enumerate(drawn, 11)
    ]
    for outcome in reversed(made):
        assert outcome["line"] not in settled
        assert not settled.is_whole
        settled.add(outcome)
    assert settled.is_whole
    found = list(settled.copy())
    assert [each["line"] for each in found] == [each["line"] for each in made]
    for each, expected in zip(found, made, strict=True):
        assert each["seconds"] == pytest.approx(expected["seconds"], abs=0.002)
        assert {**each, "seconds": 0} == {**expected, "seconds": 0}
    body = b"".join(write_listing({"a": 1}, settled))
    assert json.loads(body) == {"a": 1, "items": found}


def test_an_item_that_is_done_takes_a_few_bytes_and_its_tries_are_bounded() -> None:
    settled = Outcomes(1, 20_000)
    settled.add(make_outcome(1, 1.0, 9_999))
    tracemalloc.start()
    for line in range(2, 20_001):
        settled.add(make_outcome(line, 1.0, 1))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 20_000
    assert next(iter(settled))["tries"] == 255


def test_a_reason_is_one_short_line() -> None:
    outcome = make_outcome(3, 1.23456, 2, Failure("exit", "a\nb " + "x" * 999, "tail"), "key")
    assert outcome["reason"].startswith("a b xxx")
    assert len(outcome["reason"]) == 500
    assert outcome["seconds"] == 1.235
    assert make_outcome(3, 1.0, 1) == {"line": 3, "state": "done", "seconds": 1.0, "tries": 1}
