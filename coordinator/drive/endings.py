# SPDX-License-Identifier: Apache-2.0
"""The ending of a run and its one-line message, from its plan and what is known. Pure.

if nobody follows the invocations: of these    ending
any pending                                    interrupted
else any uncertain and none invoked            unproven
else any uncertain or failed                   partly submitted
else                                           submitted

if somebody follows them: of the items         ending
Ctrl-C                                         interrupted
stopped before all were processed              stopped
any pending, or more failed than tolerated     partly done
any unconfirmed                                submitted
any failed                                     done, failures tolerated
else                                           done
"""

from __future__ import annotations

from collections.abc import Sequence

from ..model.cluster import Capacity
from ..model.errors import MAX_MESSAGE, Ending, clean_text
from ..model.items import Index
from ..model.pull.findings import Accounts
from ..model.run import Plan, Sent, State, Tolerance

_ADVICE = "and only run.verify, which names the outputs, could prove what they did"
UNNAMED = (
    "jobs of this run that have not started are not deleted, because OSCAR before 4.1 does not let "
    "a run name its jobs; those with the kit see the stop when they start, and end"
)
"""The warning of a stopped run whose jobs cannot be distinguished from others."""
# More numbers than this make no message.
_NAMED = 20


def end_without_invocations(plan: Plan) -> tuple[Ending, str]:
    """The ending of a run that has no items, or of a dry run."""
    index, chunks = plan.index, len(plan.chunks)
    if not index.items:
        return Ending.NOTHING_TO_DO, f"{plan.data} holds no items: {_count_objects(index)}"
    return Ending.PLANNED, f"{index.items} items planned in {chunks} chunks; nothing was started"


def end_with_sent(plan: Plan, invocations: Sequence[Sent]) -> tuple[Ending, str]:
    """The ending of a run that invoked the service and was not followed."""
    found = {state: [each for each in invocations if each.state is state] for state in State}
    uncertain, failed = found[State.UNCERTAIN], found[State.FAILED]
    sent = len(found[State.INVOKED]) + len(uncertain)
    text = f"{sent} of {len(invocations)} invocations sent"
    if failed:
        text += f"; {failed[0].invocation.name}: {failed[0].detail}"
    if uncertain:
        text = f"{_describe_unproven(uncertain)}; {text}"
    if found[State.PENDING]:
        return Ending.INTERRUPTED, text
    if uncertain and not found[State.INVOKED]:
        return Ending.UNPROVEN, text
    if uncertain or failed:
        return Ending.PARTLY_SUBMITTED, text
    return Ending.SUBMITTED, f"{plan.index.items:,} items submitted, none confirmed: {text}"


def end_interrupted(
    plan: Plan | None, invocations: Sequence[Sent], accounts: Accounts | None
) -> tuple[Ending, str]:
    """The ending of a run that was interrupted, perhaps before its requests were answered."""
    if plan and accounts:
        return end_with_accounts(plan, accounts, interrupted=True)
    if plan is None or not any(sent.attempts for sent in invocations):
        return Ending.INTERRUPTED, "before anything was sent"
    return Ending.INTERRUPTED, end_with_sent(plan, invocations)[1]


def is_under_way(invocations: Sequence[Sent]) -> bool:
    """Whether there is something to follow: jobs may exist, and nobody interrupted."""
    states = {each.state for each in invocations}
    return State.PENDING not in states and bool(states & {State.INVOKED, State.UNCERTAIN})


def end_with_accounts(
    plan: Plan, accounts: Accounts, *, interrupted: bool, tolerated: Tolerance | None = None
) -> tuple[Ending, str]:
    """The ending of a run that was followed."""
    text, pending = _count_accounts(plan, accounts)
    if interrupted:
        left = "the workers go on" if plan.lanes else "the jobs that were started go on"
        return (
            Ending.INTERRUPTED,
            f"{text}; {left}; run or drop the same config again to continue run {plan.run_id}",
        )
    text += _name_failure(accounts)
    few = tolerated is not None and tolerated.allows(accounts.failed, plan.index.items)
    if pending or (accounts.failed and not few):
        return Ending.PARTLY_DONE, text
    if accounts.unconfirmed:
        return Ending.SUBMITTED, f"unconfirmed: the jobs have ended, {_ADVICE}; {text}"
    return (Ending.TOLERATED if accounts.failed else Ending.DONE), text


def end_stopped(plan: Plan, accounts: Accounts, why: str, *, by_limit: bool) -> tuple[Ending, str]:
    """The ending of a run that was stopped by `cancel` or by a limit of the config."""
    text, _ = _count_accounts(plan, accounts)
    advice = "raise that limit, and " if by_limit else ""
    return (
        Ending.STOPPED,
        f"{why}: {text}; {advice}run.redrive: true with run.id: {plan.run_id} processes what "
        f"failed or is pending{_name_failure(accounts)}",
    )


def end_left(plan: Plan, accounts: Accounts, why: str) -> tuple[Ending, str]:
    """The ending of a run that cannot go on now, and that the same config continues."""
    text, _ = _count_accounts(plan, accounts)
    return Ending.NO_CAPACITY, f"{why}: {text}; drop the same config again to continue the run"


def end_refused(plan: Plan, accounts: Accounts, invocations: Sequence[Sent]) -> tuple[Ending, str]:
    """The ending of a run of which some items are settled, and then OSCAR took no invocation."""
    text, _ = _count_accounts(plan, accounts)
    refused = [each for each in invocations if each.state is State.FAILED]
    text += f"; {refused[-1].invocation.name}: {refused[-1].detail}" if refused else ""
    return Ending.PARTLY_DONE, f"{text}; drop the same config again to continue the run"


def _count_accounts(plan: Plan, accounts: Accounts) -> tuple[str, int]:
    """The items in words, and how many are pending."""
    items, done, failed = plan.index.items, accounts.done, accounts.failed
    unconfirmed = accounts.unconfirmed
    pending = items - done - failed - unconfirmed
    text = f"{done:,} of {items:,} items done" if items - done else f"{items:,} done"
    text += f", {unconfirmed:,} unconfirmed" if unconfirmed else ""
    text += f", {failed:,} failed" if failed else ""
    text += f", {pending:,} pending" if pending else ""
    text += "" if accounts.stealing else "; without stealing"
    return text, pending


def _name_failure(accounts: Accounts) -> str:
    """The first failure, for the end of a message."""
    if not accounts.failures:
        return ""
    first = accounts.failures[0]
    return f"; {clean_text(first.key, 80)}: {first.reason}"


def end_without_capacity(capacity: Capacity) -> tuple[Ending, str]:
    """The ending of a run that could start nothing now."""
    advice = (
        "; nothing was started: drop the config again when jobs of others have ended, or lower "
        "plan.headroom; plan.extra_slots starts invocations that wait for free nodes"
    )
    reason = clean_text(capacity.explanation, MAX_MESSAGE - len(advice))
    return Ending.NO_CAPACITY, f"{reason}{advice}"


def _count_objects(index: Index) -> str:
    """What became of the objects of an index without items: `3 objects listed, 2 left out by …`."""
    parts = [f"{index.listed} object{'' if index.listed == 1 else 's'} listed"]
    parts += [f"{count} left out by {rule}" for rule, count in index.left_out.items()]
    if index.skipped_count:
        parts.append(f"{index.skipped_count} skipped ({index.skipped[0].reason})")
    return ", ".join(parts)


def _describe_unproven(uncertain: Sequence[Sent]) -> str:
    """Which invocations have no proof of a job, and the last answer to the first of them."""
    numbers = [each.invocation.name.rpartition(" ")[2] for each in uncertain]
    kind = uncertain[0].invocation.name.rpartition(" ")[0]
    named = ", ".join(numbers[:_NAMED])
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    kind += "s" if len(numbers) > 1 else ""
    detail = uncertain[0].detail or "no answer"
    return f"unproven: {kind} {named}{more}, whose jobs may not exist ({detail})"
