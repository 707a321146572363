# SPDX-License-Identifier: Apache-2.0
"""What a run has done so far, from which a report can be made at any moment.

The only value of a run that changes. `batch` records each result here, so that a run has a complete
report also if it ends by an error or Ctrl-C.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

from ..model.cluster import Capacity
from ..model.errors import MAX_MESSAGE, Ending, clean_text, escape_text, hide_in_value
from ..model.items import Chunk
from ..model.pull.findings import Accounts, Worker
from ..model.pull.history import History
from ..model.run import (
    Invocation,
    Origin,
    Outcome,
    Plan,
    Report,
    Sent,
    Setting,
    Speed,
    Stage,
    State,
)
from ..run.lease import Lease
from .endings import end_interrupted

log = logging.getLogger(__name__)

_DOING = {
    "service": "reading the service",
    "index": "listing the objects",
    "capacity": "reading the free capacity of the cluster",
    "plan": "planning",
    "save": "writing the plan",
    "invoke": "starting the work",
    "watch": "starting the work",
}
"""What users read while a stage works and no item is settled yet."""

Clock = Callable[[], datetime]
T = TypeVar("T")


def read_utc_clock() -> datetime:
    """The present time in UTC, in whole milliseconds, as reports have it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@dataclass(slots=True)
class Progress:
    """A run until it ends."""

    clock: Clock = read_utc_clock
    run_id: str = ""
    """The id of the run in the report; the id of a run that is continued replaces it."""
    started_at: datetime = field(init=False)
    setting: dict[str, str] = field(default_factory=dict)
    settings: tuple[Setting, ...] = ()
    origin: Origin = field(default_factory=Origin)
    secrets: tuple[str, ...] = ()
    """What the report must not show."""
    asked_id: str = ""
    """The id that the config asks for."""
    lease: Lease | None = None
    """The lease on the run that this coordinator drives."""
    begun: bool = False
    """Whether the run has written its first object."""
    over: bool = False
    """Whether nothing more will happen in the run: its end can be written."""
    warnings: list[str] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    capacity: Capacity | None = None
    plan: Plan | None = None
    invocations: Sequence[Invocation] = ()
    """What is to be sent."""
    sent: dict[int, Sent] = field(default_factory=dict)
    """What became of the invocations, by number; those that are missing were not sent."""
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    """Chunks that have a result, by number."""
    workers: tuple[Worker, ...] = ()
    """What their beats say, where the run was followed."""
    former_workers: tuple[Worker, ...] = ()
    """The workers of earlier rounds."""
    doing: str = ""
    """The current stage."""
    detail: str = ""
    """How far the current stage is."""
    due: bool = False
    """Whether the report so far lacks so much that the next one does not wait for its time."""
    speed: Speed | None = None
    """How fast the run goes now."""
    say: Callable[[str], None] = lambda text: log.info("%s", text)
    """Shows a line of progress to the user."""
    publish: Callable[[], None] = lambda: None
    """Publishes the report so far. Called often; writes only when it is time."""
    remove_earlier: Callable[[], None] = lambda: None
    """Removes folders of earlier runs; called when this run has ended."""
    accounts: Accounts | None = None
    """What the results say, where the run was followed."""
    make_history: Callable[[], History | None] = lambda: None
    """The course of the run so far."""

    def __post_init__(self) -> None:
        self.started_at = self.clock()
        self.run_id = self.run_id or make_run_id(self.started_at)

    def ask(self, run_id: str) -> None:
        """Sets the id that the config asks for, if it does."""
        self.asked_id, self.run_id = run_id, run_id or self.run_id

    def enter(self, run_id: str, lease: Lease) -> None:
        """Sets the run that this coordinator drives from now on."""
        self.run_id, self.lease, self.begun = run_id, lease, True

    def leave(self) -> None:
        """Gives the report an id of its own, because another coordinator drives the run."""
        if self.begun or self.asked_id:
            self.run_id = make_run_id(self.clock())
        self.lease, self.begun, self.over = None, True, False

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times one stage of the run."""
        started_at = self.clock()
        log.info("%s …", name)
        self.doing, self.detail = name, ""
        # From then on the report shows the plan.
        self.due = self.due or name in {"invoke", "watch"}
        self._publish()
        try:
            yield
        finally:
            self.stages.append(Stage(name, (self.clock() - started_at).total_seconds()))

    def warn(self, *warnings: str) -> None:
        """Records what the user should know, in the log and for the report."""
        cleaned = [self._clean(warning) for warning in warnings]
        for warning in cleaned:
            log.warning("%s", warning)
        self.warnings += cleaned

    def _clean(self, message: str) -> str:
        return clean_text(self._hide(message), MAX_MESSAGE)

    def _hide(self, value: T) -> T:
        return hide_in_value(value, self.secrets)

    def show(self, detail: str = "") -> None:
        """Shows how far the run is: to the user at once, and in the bucket when it is time."""
        self.detail = detail
        text, speed = self.describe(), self.speed
        known = self.plan and self.accounts and self._count_left(self.plan, self.accounts)
        self.say(f"{text}; {speed.describe()}" if speed and known else text)
        self._publish()

    def _publish(self) -> None:
        """A run that is continued is not published as long as nothing of it is counted."""
        continued = self.lease is not None and self.lease.layout.epoch > 1
        if not (continued and self.plan and self.accounts is None):
            self.publish()

    @staticmethod
    def _count_left(plan: Plan, found: Accounts) -> int:
        return plan.index.items - found.done - found.failed - found.unconfirmed

    def describe(self) -> str:
        """How far the run is, in one line, without its speed: for the page and progress.json."""
        detail = f"; {self.detail}" if self.detail else ""
        if self.plan is None or self.accounts is None:
            doing = _DOING.get(self.doing, self.doing)
            return f"{doing}: {self.detail}" if self.detail else f"{doing} …"
        items, found = self.plan.index.items, self.accounts
        text = f"{found.done:,} of {items:,} items done, {found.failed:,} failed"
        text += f", {found.unconfirmed:,} unconfirmed" if found.unconfirmed else ""
        return text + detail

    def record_request(self, invocation: Invocation) -> None:
        """Records a request before it is sent: what is known if the run ends before its answer."""
        self.record_sent(Sent(invocation, State.UNCERTAIN, 1, "the answer was not waited for"))

    def record_sent(self, sent: Sent) -> None:
        """Records what became of an invocation; called from several threads."""
        self.sent[sent.invocation.number] = sent

    def make_report(self, ending: Ending, message: str, problems: tuple[str, ...] = ()) -> Report:
        """Makes the report of a run that ends now, with secrets removed."""
        report = Report(
            run_id=self.run_id,
            ending=ending,
            message=self._clean(message),
            started_at=self.started_at,
            finished_at=self.clock(),
            setting={name: escape_text(self._hide(text)) for name, text in self.setting.items()},
            settings=tuple(
                replace(each, value=escape_text(self._hide(each.value))) for each in self.settings
            ),
            origin=self.origin,
            problems=tuple(self._clean(problem) for problem in problems),
            warnings=tuple(self.warnings),
            stages=tuple(self.stages),
            capacity=self.capacity,
            plan=self.plan,
            workers=self._list_workers(),
            accounts=self.accounts,
            history=self.make_history(),
            outcomes=self._list_outcomes(),
            speed=self.speed if ending is Ending.RUNNING else None,
        )
        # The run is found by its id, so the id stays as it is.
        return replace(self._hide(report), run_id=self.run_id)

    def make_interrupted_report(self) -> Report:
        """The report of a run that was interrupted, with the outcomes known so far.

        Whoever continues the run brings it to its end.
        """
        self.over = False
        return self.make_report(*end_interrupted(self.plan, self.list_sent(), self.accounts))

    def list_sent(self) -> list[Sent]:
        """What is known of every invocation."""
        return [self.sent.get(each.number, Sent(each)) for each in self.invocations]

    def list_started(self, invocations: Iterable[Invocation]) -> list[Sent]:
        """Those that were sent, and whose jobs may exist."""
        found = (self.sent.get(each.number, Sent(each)) for each in invocations)
        return [each for each in found if each.state in {State.INVOKED, State.UNCERTAIN}]

    def _list_outcomes(self) -> tuple[Outcome, ...]:
        """Every chunk: by what became of its items if that is known, else by its invocation."""
        if self.plan is None:
            return ()
        found = dict(self.outcomes)
        if self.plan.lanes is None:
            chunks = {chunk.number: chunk for chunk in self.plan.chunks}
            # Other threads record answers meanwhile.
            sent = dict(self.sent)
            found = {n: _settle(chunks[n], each) for n, each in sent.items()} | found
        return tuple(found.get(chunk.number, Outcome(chunk)) for chunk in self.plan.chunks)

    def _list_workers(self) -> tuple[Worker, ...]:
        if self.workers or self.plan is None or self.plan.lanes is None:
            return self.workers
        return tuple(map(describe_sent, self.list_sent()))


def describe_sent(sent: Sent) -> Worker:
    """A worker of which only the answer to its invocation is known."""
    invocation = sent.invocation
    name = invocation.name.rpartition(" ")[2]
    return Worker(name, invocation.lane, invocation.job, str(sent.state), detail=sent.detail)


def _settle(chunk: Chunk, sent: Sent) -> Outcome:
    """A chunk of range mode."""
    job = sent.invocation.job if sent.attempts else ""
    return Outcome(chunk, sent.state, sent.attempts, job, sent.detail)


def make_run_id(moment: datetime) -> str:
    """Sorts by time and is DNS-safe: `20261122t101500z-3f9a1c`."""
    return f"{moment:%Y%m%dt%H%M%Sz}-{secrets.token_hex(3)}"
