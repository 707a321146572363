# SPDX-License-Identifier: Apache-2.0
"""A pull run that a coordinator drives: its plan, its rules, and all that this needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...model.pull.lanes import Lanes
from ...model.run import Invocation, Plan, RunRules, Sent
from ...run.layout import RunLayout
from ...run.lease import Lease
from ...storage.bucket import Bucket
from ..post_notes import PostNotes
from ..submission import Clock
from .workers.free_slots import FreeSlots
from .workers.hints import JobHints

InvokeRound = Callable[[int, Sequence[Invocation]], Sequence[Sent]]
"""Sends invocations of workers of a round, writes their notes, returns the state of each."""


@dataclass(frozen=True, slots=True)
class PullRun:
    """A pull run that a coordinator drives."""

    state: Bucket
    layout: RunLayout
    plan: Plan
    lanes: Lanes
    rules: RunRules
    clock: Clock
    lease: Lease
    posts: PostNotes
    free_slots: FreeSlots
    hints: JobHints
    invoke: InvokeRound
    delete_job: Callable[[str], None]
    named: bool
    """Whether jobs get the names that invocations ask for."""
