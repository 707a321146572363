# SPDX-License-Identifier: Apache-2.0
"""The ending of a run and its one-line message, from the plan and the outcomes. Pure.

outcomes of the chunks                         ending
any pending                                    interrupted
else any uncertain and none invoked            unproven
else any uncertain or failed                   partly submitted
else                                           submitted
"""

from __future__ import annotations

from collections.abc import Sequence

from ..model.cluster import Capacity
from ..model.errors import Ending
from ..model.items import Index
from ..model.run import Outcome, Plan, State

# More numbers than this make no message.
_NAMED = 20


def end_without_invocations(plan: Plan) -> tuple[Ending, str]:
    """The ending of a run that has no items, or of a dry run."""
    index, chunks = plan.index, len(plan.chunks)
    if not index.items:
        return Ending.NOTHING_TO_DO, f"{plan.data} holds no items: {_count_objects(index)}"
    return Ending.PLANNED, f"{index.items} items planned in {chunks} chunks; nothing was started"


def end_with_outcomes(plan: Plan, outcomes: Sequence[Outcome]) -> tuple[Ending, str]:
    """The ending of a run that invoked the service."""
    found = {state: [o for o in outcomes if o.state is state] for state in State}
    uncertain, failed = found[State.UNCERTAIN], found[State.FAILED]
    sent = len(found[State.INVOKED]) + len(uncertain)
    text = f"{sent} of {len(outcomes)} invocations sent"
    if failed:
        text += f"; chunk {failed[0].chunk.number}: {failed[0].detail}"
    if uncertain:
        text = f"{_describe_unproven(uncertain)}; {text}"
    if found[State.PENDING]:
        return Ending.INTERRUPTED, text
    if uncertain and not found[State.INVOKED]:
        return Ending.UNPROVEN, text
    if uncertain or failed:
        return Ending.PARTLY_SUBMITTED, text
    return Ending.SUBMITTED, f"{plan.index.items} items submitted: {text}"


def end_interrupted(plan: Plan | None, outcomes: Sequence[Outcome]) -> tuple[Ending, str]:
    """The ending of a run that was interrupted, perhaps before its requests were answered."""
    if plan is None or not any(outcome.attempts for outcome in outcomes):
        return Ending.INTERRUPTED, "before anything was sent"
    return Ending.INTERRUPTED, end_with_outcomes(plan, outcomes)[1]


def end_without_capacity(capacity: Capacity) -> tuple[Ending, str]:
    """The ending of a run that could start nothing now."""
    return (
        Ending.NO_CAPACITY,
        f"{capacity.explanation}; nothing was started: drop the config again when jobs of others "
        "have ended, or lower plan.headroom; plan.extra_slots starts invocations that wait for "
        "free nodes",
    )


def _count_objects(index: Index) -> str:
    """What became of the objects of an index without items: `3 objects listed, 2 left out by …`."""
    parts = [f"{index.listed} object{'' if index.listed == 1 else 's'} listed"]
    parts += [f"{count} left out by {rule}" for rule, count in index.left_out.items()]
    if index.skipped_count:
        parts.append(f"{index.skipped_count} skipped ({index.skipped[0].reason})")
    return ", ".join(parts)


def _describe_unproven(uncertain: Sequence[Outcome]) -> str:
    """Which chunks have no proof of a job, and the last answer to the first of them."""
    numbers = [str(outcome.chunk.number) for outcome in uncertain]
    named = ", ".join(numbers[:_NAMED])
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return (
        f"unproven: chunk{'s' if len(numbers) > 1 else ''} {named}{more}, whose jobs may not exist "
        f"({uncertain[0].detail or 'no answer'})"
    )
