# SPDX-License-Identifier: Apache-2.0
"""What the report says of the items and the chunks of a ledger."""

from __future__ import annotations

import pytest

from coordinator.drive.jobs.judge import LineState
from coordinator.drive.jobs.ledger import ItemLedger
from coordinator.drive.jobs.outcomes import account_items, list_outcomes
from coordinator.model.run import State
from tests.unit import make

DONE, FAILED, SENT = LineState.DONE, LineState.FAILED, LineState.SENT
PENDING, UNCONFIRMED, UNPROVEN = LineState.PENDING, LineState.UNCONFIRMED, LineState.UNPROVEN


@pytest.mark.parametrize(
    ("lines", "state", "is_open"),
    [
        ([DONE, DONE], State.SETTLED, False),
        ([DONE, FAILED], State.SETTLED, False),
        ([DONE, UNCONFIRMED], State.INVOKED, False),
        ([DONE, SENT], State.INVOKED, True),
        ([SENT, UNPROVEN], State.UNCERTAIN, True),
        ([PENDING, UNPROVEN], State.UNCERTAIN, True),
        ([DONE, PENDING], State.PENDING, True),
        ([PENDING, PENDING], State.PENDING, True),
    ],
)
def test_a_chunk_is_what_its_items_are(lines: list[LineState], state: State, is_open: bool) -> None:
    plan = make.plan([1, 1], slots=1)
    ledger = ItemLedger(2)
    for line, known in enumerate(lines):
        ledger.record(line, known)
    (outcome,) = list_outcomes(plan, ledger).values()
    assert outcome.state is state
    assert bool(outcome.job) == (lines != [PENDING, PENDING])
    accounts = account_items(plan, ledger)
    assert accounts.open_chunks == is_open
    assert accounts.unconfirmed == lines.count(UNCONFIRMED)


def test_the_reason_of_an_item_that_is_a_chunk_is_the_chunks() -> None:
    plan = make.plan([1, 1], slots=2)
    ledger = ItemLedger(2)
    ledger.record(1, FAILED, "no output")
    assert [each.detail for each in list_outcomes(plan, ledger).values()] == ["", "no output"]
