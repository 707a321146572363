# SPDX-License-Identifier: Apache-2.0
"""What the page says first, for every ending and in every state of a run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given

from coordinator.model.errors import Ending
from coordinator.model.items import Index
from coordinator.model.pull.findings import Accounts
from coordinator.model.pull.history import History, Span
from coordinator.model.run import Report
from coordinator.report.headline import advise, divide_items, forecast_end
from tests.unit import make
from tests.unit.values import reports

START = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)


@pytest.mark.parametrize("ending", Ending)
def test_every_ending_has_an_advice(ending: Ending) -> None:
    assert advise(make.report(ending)).endswith(".")


def test_a_run_with_failed_items_sends_the_reader_to_the_reasons() -> None:
    report = make.report(Ending.PARTLY_DONE)
    assert "reasons" in advise(replace(report, accounts=Accounts(1, 1, 0)))
    assert "reasons" not in advise(replace(report, accounts=Accounts(1, 0, 1)))


@given(reports())
def test_the_parts_of_the_bar_are_all_that_was_listed(report: Report) -> None:
    counts = report.count_items()
    shares = divide_items(report)
    assert sum(share.count for share in shares) == counts["listed"]


def test_the_parts_follow_each_other() -> None:
    index = Index(8, 10, left_out={"bucket.exclude": 2})
    report = replace(make.report(of=make.plan(of=index)), accounts=Accounts(4, 2, 1))
    assert [(share.name, share.count, share.percent) for share in divide_items(report)] == [
        ("done", 4, 40.0),
        ("failed", 2, 20.0),
        ("pending", 2, 20.0),
        ("skipped", 0, 0.0),
        ("left out", 2, 20.0),
    ]


def running(done: int, failed: int, seconds: float = 60) -> Report:
    span = Span("0001-00001", START, START + timedelta(seconds=1), 1, 1, 1, done=1)
    return replace(
        make.report(Ending.RUNNING, of=make.plan(of=Index(100, 10))),
        finished_at=START + timedelta(seconds=seconds),
        accounts=Accounts(done, failed, 1),
        history=History((span,)),
    )


def test_a_run_that_goes_on_says_when_it_will_be_finished() -> None:
    forecast = forecast_end(running(15, 5, 60))
    assert forecast
    assert forecast.rate == pytest.approx(1 / 3)
    assert forecast.left_s == pytest.approx(240)
    assert forecast.moment == START + timedelta(seconds=300)


@pytest.mark.parametrize(
    "report",
    [
        pytest.param(running(0, 0), id="nothing is done"),
        pytest.param(running(5, 0, 0), id="no time went by"),
        pytest.param(replace(running(5, 0), ending=Ending.PARTLY_DONE), id="it has ended"),
        pytest.param(replace(running(5, 0), history=None), id="nobody follows it"),
        pytest.param(replace(running(5, 0), history=History()), id="no worker is known"),
    ],
)
def test_nothing_is_forecast_without_a_pace(report: Report) -> None:
    assert forecast_end(report) is None
