# SPDX-License-Identifier: Apache-2.0
"""Results become accounts: every item is counted once, and no result is believed too much."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.drive.pull.ledger import DONE, FAILED, PENDING, Ledger
from coordinator.drive.pull.rounds import make_first_round
from coordinator.model.planning import ChunkRules, Cost
from coordinator.model.pull.documents import ChunkResult, ItemOutcome, ItemState
from coordinator.model.pull.findings import MOST_FAILURES
from coordinator.model.pull.lanes import Lanes, Table
from coordinator.model.run import Plan, State
from coordinator.plan.choose import choose_lanes
from coordinator.report.values import BadDocument
from coordinator.run.layout import ResultKey
from tests.unit import make


def planned(items: int, slots: int = 3) -> tuple[Plan, Lanes]:
    index = make.index([1] * items)
    counts, chunks, choice = choose_lanes(index, slots, ChunkRules(), Cost())
    lanes = Lanes(counts, Table(96, 96))
    return replace(make.plan(of=index), chunks=chunks, choice=choice, lanes=lanes), lanes


def begin(plan: Plan, lanes: Lanes) -> Ledger:
    """The ledger of a run whose first round begins."""
    ledger = Ledger(plan.index.items)
    ledger.begin_round(make_first_round(plan, lanes))
    return ledger


def result(plan: Plan, lanes: Lanes, number: int, states: list[ItemState]) -> ChunkResult:
    """The result of a chunk: the states of its lines, from the first."""
    chunk, (lane, within) = plan.chunks[number - 1], lanes.locate(number)
    items = tuple(
        ItemOutcome(line, state, key=f"data/{line - 1}", reason="exit code 1", stderr="oh")
        for line, state in enumerate(states, start=chunk.first_line)
    )
    return ChunkResult("0001-00001-aa", 1, lane, within, 1, "", "", items=items)


@given(st.data(), st.integers(1, 60), st.integers(1, 4))
def test_the_counts_are_those_of_all_results_whatever_their_order(
    data: st.DataObject, items: int, slots: int
) -> None:
    plan, lanes = planned(items, slots)
    ledger = begin(plan, lanes)
    states: dict[int, ItemState] = {}
    for chunk in data.draw(st.permutations(plan.chunks)):
        drawn = data.draw(
            st.lists(st.sampled_from(ItemState), min_size=chunk.items, max_size=chunk.items)
        )
        states |= dict(enumerate(drawn, start=chunk.start))
        key = ResultKey(*lanes.locate(chunk.number))
        assert ledger.is_new(key)
        ledger.add(key, result(plan, lanes, chunk.number, drawn))
        assert not ledger.is_new(key)
    found = list(states.values())
    assert ledger.open_chunks == 0
    assert set(ledger.count_open().values()) == {0}
    assert ledger.done == found.count(ItemState.DONE) == ledger.states.count(DONE)
    assert ledger.failed == found.count(ItemState.FAILED) == ledger.states.count(FAILED)
    assert ledger.states.count(PENDING) == found.count(ItemState.PENDING)
    assert {each.state for each in ledger.list_outcomes().values()} == {State.SETTLED}


def test_a_line_without_an_outcome_stays_pending() -> None:
    plan, lanes = planned(40)
    ledger = begin(plan, lanes)
    ledger.add(ResultKey(1, 1), result(plan, lanes, 1, [ItemState.DONE]))
    assert (ledger.done, ledger.states.count(PENDING)) == (1, 39)


def test_the_second_outcome_of_a_line_does_not_count() -> None:
    plan, lanes = planned(40)
    ledger = begin(plan, lanes)
    one = result(plan, lanes, 1, [ItemState.DONE])
    ledger.add(
        ResultKey(1, 1),
        replace(one, items=(*one.items, replace(one.items[0], state=ItemState.FAILED))),
    )
    assert (ledger.done, ledger.failed) == (1, 0)


def test_a_result_of_another_place_is_refused_and_nothing_of_it_is_taken() -> None:
    plan, lanes = planned(40)
    ledger = begin(plan, lanes)
    elsewhere = result(plan, lanes, 2, [ItemState.DONE])
    with pytest.raises(BadDocument, match="it is of chunk"):
        ledger.add(ResultKey(1, 1), elsewhere)
    beyond = replace(elsewhere, lane=1, chunk=1)
    with pytest.raises(BadDocument, match="is not one of the chunk's"):
        ledger.add(ResultKey(1, 1), beyond)
    assert (ledger.done, ledger.open_chunks) == (0, len(plan.chunks))


def test_results_of_no_chunk_of_the_plan_are_not_read() -> None:
    plan, lanes = planned(40)
    assert not begin(plan, lanes).is_new(ResultKey(99, 1))


def test_a_result_that_cannot_be_read_closes_its_chunk() -> None:
    plan, lanes = planned(40)
    ledger = begin(plan, lanes)
    ledger.close(ResultKey(1, 1))
    assert (ledger.open_chunks, ledger.done) == (len(plan.chunks) - 1, 0)


def test_the_first_failures_are_kept_and_all_are_counted() -> None:
    plan, lanes = planned(2_000, slots=1)
    ledger = begin(plan, lanes)
    for chunk in plan.chunks:
        key = ResultKey(*lanes.locate(chunk.number))
        ledger.add(key, result(plan, lanes, chunk.number, [ItemState.FAILED] * chunk.items))
    assert (ledger.failed, len(ledger.account().failures)) == (2_000, MOST_FAILURES)
    assert len(list(ledger.list_failed_results())) == len(plan.chunks)
    first = ledger.account().failures[0]
    assert (first.key, first.reason, first.stderr) == ("data/0", "exit code 1", "oh")
