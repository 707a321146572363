# SPDX-License-Identifier: Apache-2.0
"""The ending of a run and its one-line message, from the plan and the outcomes. Pure.

outcomes of the chunks                         ending
any pending                                    interrupted
else any failed                                partly submitted
else (uncertain ones are counted and named)    submitted
"""

from __future__ import annotations

from collections.abc import Sequence

from ..model.errors import Ending
from ..model.run import Outcome, Plan, State


def end_without_invocations(plan: Plan) -> tuple[Ending, str]:
    """The ending of a run that has no items, or of a dry run."""
    index, chunks = plan.index, len(plan.chunks)
    if not index.items:
        reason = f"{plan.data} holds no items ({index.listed} objects listed)"
        return Ending.NOTHING_TO_DO, f"nothing to do: {reason}"
    return Ending.PLANNED, f"{index.items} items planned in {chunks} chunks; nothing was started"


def end_with_outcomes(plan: Plan, outcomes: Sequence[Outcome]) -> tuple[Ending, str]:
    """The ending of a run that invoked the service."""
    states = [outcome.state for outcome in outcomes]
    sent = sum(state in {State.INVOKED, State.UNCERTAIN} for state in states)
    text = f"{sent} of {len(states)} invocations sent"
    if State.PENDING in states:
        return Ending.INTERRUPTED, f"interrupted: {text}"
    if State.FAILED in states:
        failed = next(outcome for outcome in outcomes if outcome.state is State.FAILED)
        return Ending.PARTLY_SUBMITTED, f"{text}; chunk {failed.chunk.number}: {failed.detail}"
    if uncertain := states.count(State.UNCERTAIN):
        text += f", {uncertain} of them without a clear answer: their jobs may not exist"
    return Ending.SUBMITTED, f"{plan.index.items} items submitted: {text}"
