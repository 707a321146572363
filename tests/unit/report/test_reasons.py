# SPDX-License-Identifier: Apache-2.0
"""The reasons of failures: exact where every result was read, honest where some are not known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coordinator.model.pull.findings import Accounts, ItemFailure
from coordinator.model.pull.history import FailureGroup, History
from coordinator.model.run import Report
from coordinator.report.page import render_page
from coordinator.report.reasons import find_reasons
from tests.unit import make

GROUP = FailureGroup("exit code 1", "exit", 5, (ItemFailure("data/1", "exit code 1"),))


def failed(count: int, *reasons: str, history: History | None = None) -> Report:
    failures = tuple(ItemFailure(f"data/{i}", each) for i, each in enumerate(reasons))
    report = replace(make.report(of=make.plan()), history=history)
    return replace(report, accounts=Accounts(0, count, 0, failures=failures))


@pytest.mark.parametrize(
    ("report", "title"),
    [
        pytest.param(failed(1, "a"), "Why 1 item failed", id="event mode"),
        pytest.param(failed(1200, "a", "b"), "Why the first 2 of 1,200 items failed", id="many"),
        pytest.param(failed(5, history=History(groups=(GROUP,))), "Why 5 items failed", id="pull"),
        pytest.param(
            failed(2, history=History(groups=(GROUP,), ungrouped=1)),
            "6 failures in all rounds; 2 items failed in the end",
            id="rounds",
        ),
    ],
)
def test_the_title_says_what_was_counted(report: Report, title: str) -> None:
    found = find_reasons(report)
    assert found
    assert found.title == title
    assert f"{title}; the most frequent reason first" in render_page(report)


def test_the_first_failures_are_grouped_where_no_more_is_known() -> None:
    found = find_reasons(failed(5, "a", "b", "b", "b", "b"))
    assert found
    assert [(each.reason, each.count, len(each.examples)) for each in found.groups] == [
        ("b", 4, 3),
        ("a", 1, 1),
    ]


def test_a_run_without_failures_has_no_reasons() -> None:
    assert find_reasons(failed(0, history=History(groups=(GROUP,)))) is None
    assert find_reasons(make.report()) is None
