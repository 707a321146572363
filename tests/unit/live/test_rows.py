# SPDX-License-Identifier: Apache-2.0
"""The table of `make test-live` where a check fails, breaks, or its service cannot be removed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from tests.live import __main__ as live
from tests.live import checks
from tests.live.checks import Row
from tests.live.cluster import LiveCluster, Made
from tests.live.site import Site

CLUSTER = LiveCluster("http://oscar", "oscar", "canary", "http://minio", "key", "canary", 0)


class Removed(Made):
    """A cluster on which removal works, or leaves what `left` says."""

    left: tuple[str, ...] = ()

    def remove(self) -> list[str]:
        return []

    def find_left(self) -> list[str]:
        return list(self.left)


class Left(Removed):
    left = ("service oblive-x-batch",)


def pass_check(_: Site) -> Iterator[Row]:
    yield Row("good", True, "seen", "expected")


def fail_check(_: Site) -> Iterator[Row]:
    yield Row("bad", False, "1 of 2\x1b[2J\nlines", "all")


def break_check(_: Site) -> Iterator[Row]:
    yield Row("half", True, "seen", "expected")
    raise TimeoutError("no answer")


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits of a run, none of which takes time."""
    found: list[float] = []
    monkeypatch.setattr("time.sleep", found.append)
    return found


@pytest.mark.parametrize(
    ("tried", "made", "code", "lines"),
    [
        ([pass_check], Removed, 0, ["ok  good", "ok  removal", "2 rows, 0 not as expected"]),
        ([fail_check, pass_check], Removed, 1, ["NOT bad", "ok  good", "3 rows, 1 not"]),
        (
            [break_check, pass_check],
            Removed,
            1,
            ["ok  half", "NOT break_check", "ok  good"],
        ),
        ([pass_check], Left, 1, ["NOT removal", "remove by hand", " oblive-x-batch is"]),
    ],
    ids=["all good", "a row fails", "a check breaks", "something is left"],
)
def test_a_row_that_is_not_as_expected_is_marked_and_the_rest_is_tried(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tried: list[checks.Check],
    made: type[Removed],
    code: int,
    lines: list[str],
) -> None:
    named = {check.__name__: check for check in tried}
    monkeypatch.setattr(checks, "CHECKS", named)
    assert live.run(made(CLUSTER), wait_s=1) == code
    table = capsys.readouterr().out
    for line in lines:
        assert line in table
    assert "\x1b" not in table


class Late(Removed):
    """OSCAR goes on making a service that an interrupted request asked for."""

    removals: ClassVar[list[str]] = []

    def remove(self) -> list[str]:
        self.removals.append(self.prefix)
        return []

    def find_left(self) -> list[str]:
        return ["a service"] if len(self.removals) == 1 else []


def test_an_interrupted_run_also_removes_what_is_made_after_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], waits: list[float]
) -> None:
    def interrupt(_: Site) -> Iterator[Row]:
        yield Row("good", True, "seen", "expected")
        raise KeyboardInterrupt

    monkeypatch.setattr(checks, "CHECKS", {"interrupt": interrupt, "next": fail_check})
    assert live.run(Late(CLUSTER), wait_s=1) == 130
    assert waits[0] == live.SETTLE_S, "it looks again before OSCAR is ready"
    assert len(Late.removals) == 2
    table = capsys.readouterr().out
    assert "ok  removal" in table
    assert "bad" not in table


def test_names_have_a_random_part_and_each_is_noted_once() -> None:
    made, other = Made(CLUSTER), Made(CLUSTER)
    assert made.prefix != other.prefix
    for _ in range(2):
        assert made.name_service("batch") == f"{made.prefix}-batch"
        made.name_bucket("data")
    assert (made.services, made.buckets) == ([f"{made.prefix}-batch"], [f"{made.prefix}-data"])
