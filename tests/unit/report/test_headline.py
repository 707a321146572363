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
from coordinator.model.run import Report, Setting, Speed, State
from coordinator.report.headline import (
    advise,
    divide_items,
    explain_no_timeline,
    forecast_end,
)
from coordinator.report.page import render_page
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


def running(speed: Speed | None) -> Report:
    report = make.report(Ending.RUNNING, of=make.plan(of=Index(100, 10)))
    return replace(report, finished_at=START, accounts=Accounts(15, 5, 1), speed=speed)


def test_a_run_that_goes_on_says_when_it_will_be_finished() -> None:
    forecast = forecast_end(running(Speed(0.5, 160, 120, 200)))
    assert forecast
    assert forecast.moment == START + timedelta(seconds=160)
    page = render_page(running(Speed(0.5, 160, 120, 200)))
    assert "About 2 min 40 s left" in page
    assert "10:17:40 UTC" in page


@pytest.mark.parametrize(
    "report",
    [
        pytest.param(running(None), id="nothing is known"),
        pytest.param(running(Speed(0.0)), id="nothing happens"),
        pytest.param(running(Speed(1e-9, 1e15, 1e15, 1e15)), id="after the calendar"),
        pytest.param(replace(running(Speed(1, 9, 9, 9)), ending=Ending.DONE), id="it has ended"),
    ],
)
def test_nothing_is_forecast_without_a_pace(report: Report) -> None:
    assert forecast_end(report) is None
    assert "left</b>" not in render_page(report)


def test_where_there_is_no_timeline_the_page_says_why() -> None:
    planned = make.report(of=make.plan())
    assert explain_no_timeline(planned) == ""
    sent = replace(
        planned,
        outcomes=tuple(replace(each, state=State.INVOKED, attempts=1) for each in planned.outcomes),
    )
    assert "the config has no run.verify, or run.watch is false" in explain_no_timeline(sent)
    assert "does not follow its jobs" in render_page(sent)
    works = replace(sent, ending=Ending.RUNNING, accounts=Accounts(0, 0, 3))
    assert "begins when the first job has ended" in explain_no_timeline(works)


@pytest.mark.parametrize("given", [True, False])
def test_what_unconfirmed_means_depends_on_the_config(given: bool) -> None:
    settings = (Setting("run.verify", "true" if given else "false", given),)
    report = replace(make.report(of=make.plan()), accounts=Accounts(1, 0, 0, 1), settings=settings)
    assert ("have not been found yet" in render_page(report)) == given
    assert ("their outputs would prove it" in render_page(report)) != given


def test_the_capacity_comes_first_where_there_was_none() -> None:
    of = make.plan()
    for ending in (Ending.NO_CAPACITY, Ending.DONE):
        page = render_page(make.report(ending, of=of))
        first = page.index('<section id="capacity">') < page.index('<section id="items">')
        assert first == (ending is Ending.NO_CAPACITY)
        assert page.count('<section id="capacity">') == 1
