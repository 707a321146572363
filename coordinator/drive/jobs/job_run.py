# SPDX-License-Identifier: Apache-2.0
"""A run whose jobs are followed: range mode with outputs that prove its items, and event mode."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from threading import Event

from ...model.errors import LimitReached
from ...model.object_columns import ObjectColumns
from ...model.run import Invocation, Plan, RunRules, Sent
from ...model.selection import Outputs
from ...model.service import Service
from ...oscar.client import OscarClient
from ...run.layout import RunLayout
from ...run.lease import Lease
from ...storage.bucket import Bucket
from ...storage.pages import ListQuery
from ..post_notes import PostNotes
from ..submission import Clock
from .ledger import ItemLedger
from .window import Pauses, Ports, Window

Invoke = Callable[[int, Sequence[Invocation]], Sequence[Sent]]
"""Sends invocations of a round, writes their notes, and returns the state of each."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Where the outputs of items are."""

    outputs: Outputs
    bucket: Bucket

    def find_stamp(self, key: str) -> str | None:
        """A value that changes whenever the output is written; None if there is no output."""
        return self.bucket.read_stamp(self.outputs.key(key.encode()).decode())

    def list_outputs(self) -> Iterable[ObjectColumns]:
        return self.bucket.list_objects(ListQuery(self.outputs.prefix))


@dataclass(frozen=True, slots=True)
class JobRun:
    """A run whose jobs are followed, with all that this needs."""

    plan: Plan
    service: Service
    state: Bucket
    layout: RunLayout
    oscar: OscarClient
    named: bool
    """Whether jobs get the names that invocations ask for."""
    proof: Proof | None
    clock: Clock
    lease: Lease
    posts: PostNotes
    rules: RunRules
    payload: str = ""
    """The template of the bodies of ranges."""
    began_s: float = 0.0
    pauses: Pauses = field(default_factory=Pauses)

    @property
    def continued(self) -> bool:
        """Whether an earlier coordinator drove the run."""
        return self.layout.epoch > 1

    def make_window(self, size: int, ports: Ports, ledger: ItemLedger, *, mount: bool) -> Window:
        return Window(size, ports, ledger, self.named, mount, self.pauses)

    def wait(self, seconds: float) -> None:
        """Waits between two looks. Raises StopRequested and HeldByOther."""
        self.clock.wait(Event(), seconds)
        self.lease.check()
        limit_s = self.rules.run_timeout_s
        if limit_s is not None and self.clock.now_s() - self.began_s > limit_s:
            raise LimitReached("run.run_timeout_s has passed")
