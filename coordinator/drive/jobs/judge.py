# SPDX-License-Identifier: Apache-2.0
"""What became of an item whose invocation was sent, from its output and OSCAR's job list. Pure.

OSCAR hides the exit code of a script, so only an output proves an item done. Where the config does
not say what the output of an item is (`run.verify`), an item whose job succeeded is unconfirmed.

job                     output                     the item is
any                     new since the invocation   done
succeeded, failed       there before               done: the service leaves what exists as it is
succeeded               none                       failed
succeeded               not known                  unconfirmed
failed                  none, not known            failed; unconfirmed if the service has a mount
gone from the list      there before               done
gone from the list      none, not known            pending
pending, running        none, there before         in flight

On OSCAR 4 jobs with a mount fail after full success, and before OSCAR 4 they never fail: with a
mount a failed job means no more than one that succeeded.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

from ...model.cluster import Phase


class LineState(IntEnum):
    """What is known of an item; one byte in a ledger."""

    PENDING = 0
    DONE = 1
    FAILED = 2
    SENT = 3
    """Its invocation was sent, and its job may run."""
    UNCONFIRMED = 4
    """Its job ended, and nothing proves what it did."""
    UNPROVEN = 5
    """The answer to its invocation was lost: its job may not exist."""


class Output(StrEnum):
    """What is known of the output of an item."""

    NEW = "new"
    """Written after the invocation was sent."""
    OLD = "old"
    NONE = "none"
    UNKNOWN = "unknown"
    """The config does not say where it would be."""


NO_OUTPUT = "its job ended without the output that run.verify names"
JOB_FAILED = "its job failed: the supervisor could not fetch the file, run, or upload the outputs"
JOB_GONE = "its job vanished from OSCAR's list"


def judge_item(phase: Phase | None, output: Output, *, mount: bool) -> tuple[LineState, str] | None:
    """The state of an item and why; None while its job may still run.

    `phase` is None if the job is gone from the list.
    """
    if output is Output.NEW:
        return LineState.DONE, ""
    if phase is not None and not phase.final:
        return None
    if output is Output.OLD:
        return LineState.DONE, ""
    if phase is None:
        return LineState.PENDING, JOB_GONE
    if phase is Phase.FAILED and not mount:
        return LineState.FAILED, JOB_FAILED
    if output is Output.NONE:
        return LineState.FAILED, NO_OUTPUT
    return LineState.UNCONFIRMED, ""
