# SPDX-License-Identifier: Apache-2.0
"""Items are settled by a listing of their outputs, whatever was known of them before."""

from __future__ import annotations

from coordinator.drive.jobs.judge import NO_OUTPUT, LineState
from coordinator.drive.jobs.ledger import ItemLedger
from coordinator.drive.jobs.outcomes import settle_by_outputs
from coordinator.model.object_columns import ObjectColumns
from coordinator.model.selection import Outputs

MAPPING = Outputs("in/", "out/", ".jpg", ".json")


def test_an_output_proves_an_item_and_an_ended_job_without_one_failed_it() -> None:
    ledger = ItemLedger(2 * len(LineState))
    for line in range(2 * len(LineState)):
        ledger.record(line, LineState(line // 2), "before")
    keys = [f"in/ü {line}.jpg".encode() for line in range(len(ledger.states))]
    outputs = [MAPPING.key(key) for key in keys[::2]]  # of every state one with, one without

    settle_by_outputs(ledger, [b"\n".join(keys) + b"\n"], MAPPING, [ObjectColumns(outputs, None)])

    found = {LineState(line // 2): ledger.read(line) for line in range(1, len(ledger.states), 2)}
    assert {ledger.read(line) for line in range(0, len(ledger.states), 2)} == {LineState.DONE}
    assert found == {state: state for state in LineState} | {
        LineState.UNCONFIRMED: LineState.FAILED
    }
    assert ledger.read_reason(2 * LineState.UNCONFIRMED + 1) == NO_OUTPUT
