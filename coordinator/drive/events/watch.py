# SPDX-License-Identifier: Apache-2.0
"""Runs event mode, and follows the jobs of range mode where `run.verify` can prove their items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event

from ...model.errors import Ending, StorageError
from ...model.items import Chunk
from ...model.object_columns import ObjectColumns
from ...model.pull.findings import ItemFailure
from ...model.run import Invocation, Plan, Sent
from ...model.selection import Outputs
from ...model.service import Service
from ...oscar.client import OscarClient
from ...run.layout import RunLayout
from ...storage.bucket import Bucket
from ...storage.pages import ListQuery
from ..bodies.event import write_event_body
from ..endings import end_with_accounts
from ..outputs import settle_by_outputs
from ..payload import make_job_name
from ..progress import Progress
from ..submission import Clock
from .files import write_item_files
from .judge import LineState
from .ledger import ItemLedger
from .order import Entry, order_items
from .outcomes import account_items, list_outcomes
from .window import Pauses, Ports, Window

Invoke = Callable[[Sequence[Invocation]], Sequence[Sent]]
# One more invocation for every so many slots, so that a slot that becomes free need not wait.
_LOOK_AHEAD = 4


@dataclass(frozen=True, slots=True)
class Proof:
    """Where the outputs of items are."""

    outputs: Outputs
    bucket: Bucket

    def find_stamp(self, key: str) -> str | None:
        """What changes whenever the output of an item is written; None if there is none."""
        return self.bucket.read_stamp(self.outputs.key(key.encode()).decode())

    def list_outputs(self) -> Iterable[ObjectColumns]:
        return self.bucket.list_objects(ListQuery(self.outputs.prefix))


@dataclass(frozen=True, slots=True)
class JobRun:
    """A run whose jobs are followed, and what that needs."""

    plan: Plan
    service: Service
    state: Bucket
    layout: RunLayout
    oscar: OscarClient
    named: bool
    """Whether jobs get the names that invocations ask for."""
    proof: Proof | None
    clock: Clock
    pauses: Pauses = field(default_factory=Pauses)

    def make_window(self, size: int, ports: Ports, ledger: ItemLedger, *, mount: bool) -> Window:
        return Window(size, ports, ledger, self.named, mount, self.pauses)

    def wait(self, seconds: float) -> None:
        self.clock.wait(Event(), seconds)


def watch_items(run: JobRun, invoke: Invoke, progress: Progress) -> tuple[Ending, str]:
    """Event mode from the first item to the last. Ctrl-C only leaves. Raises BatchError."""
    plan, slots = run.plan, run.plan.capacity.slots
    ledger = ItemLedger(plan.index.items)
    ports = Ports(
        make=lambda entry: make_item_invocation(plan, run.service, entry, progress.started_at),
        send=invoke,
        find_stamp=run.proof.find_stamp if run.proof else None,
        list_jobs=lambda: run.oscar.list_jobs(plan.service),
        now_s=run.clock.now_s,
        wait=run.wait,
    )
    size = slots + max(1, slots // _LOOK_AHEAD)
    window = run.make_window(size, ports, ledger, mount=run.service.mount is not None)

    def read_part(part: Chunk) -> bytes:
        return run.state.read_range(plan.index_key, part.offset, part.length_bytes)

    def work() -> str:
        window.run(order_items(plan.chunks, read_part))
        return window.refused

    return _account(run, ledger, progress, work)


def watch_ranges(run: JobRun, sent: Sequence[Sent], progress: Progress) -> tuple[Ending, str]:
    """Range mode after its invocations were sent, to the end of its jobs. Raises BatchError."""
    chunks, answers = run.plan.chunks, {each.invocation.number: each for each in sent}
    ledger, jobs = ItemLedger(run.plan.index.items), ItemLedger(len(chunks))
    ports = Ports(
        make=lambda entry: answers[chunks[entry.line].number].invocation,
        send=lambda invocations: [answers[each.number] for each in invocations],
        find_stamp=None,
        list_jobs=lambda: run.oscar.list_jobs(run.plan.service),
        now_s=run.clock.now_s,
        wait=run.wait,
    )
    # The outputs of a job that failed count like those of any other: as with a mount.
    window = run.make_window(len(chunks), ports, jobs, mount=True)

    def work() -> str:
        try:
            window.run(Entry(line, "") for line in range(len(chunks)))
        finally:
            for line, chunk in enumerate(chunks):
                ledger.fill(chunk.start, chunk.stop, jobs.read(line))
        return window.refused

    return _account(run, ledger, progress, work)


def make_item_invocation(
    plan: Plan, service: Service, entry: Entry, moment: datetime
) -> Invocation:
    """The storage event of one item. Raises ValueError for a key that no object has."""
    number = entry.line + 1
    body = write_event_body(plan.data.bucket, entry.key, service.owner, moment)
    return Invocation(number, f"item {number}", make_job_name(plan, f"{number}-1"), body)


def _account(
    run: JobRun, ledger: ItemLedger, progress: Progress, work: Callable[[], str]
) -> tuple[Ending, str]:
    """Does the work and records what became of all items, however it ends."""
    refused, interrupted = "", False
    failures: tuple[ItemFailure, ...] = ()
    # What the report has if it is made while the accounts are.
    progress.accounts = account_items(run.plan, ledger)
    try:
        refused = work()
        failures = _settle(run, ledger, progress)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        progress.accounts = account_items(run.plan, ledger, failures)
        progress.outcomes |= list_outcomes(run.plan, ledger)
    ending, text = end_with_accounts(run.plan, progress.accounts, interrupted=interrupted)
    return ending, f"{text}; OSCAR refused an invocation: {refused}" if refused else text


def _settle(run: JobRun, ledger: ItemLedger, progress: Progress) -> tuple[ItemFailure, ...]:
    """Looks for the outputs of all items that are not done, and writes the lists of items.

    Returns the first failures.
    """
    plan, proof = run.plan, run.proof
    try:
        if proof and ledger.count()[LineState.DONE] < plan.index.items:
            index = run.state.read_pieces(plan.index_key)
            settle_by_outputs(ledger, index, proof.outputs, proof.list_outputs())
        return write_item_files(run.state, run.layout, plan, ledger)
    except StorageError as error:
        progress.warn(f"not all outputs were looked for, or not all items are listed: {error}")
        return ()
