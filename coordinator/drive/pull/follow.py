# SPDX-License-Identifier: Apache-2.0
"""Follows the workers of a run until every chunk has a result, or no worker is left.

The folder of the run is looked at every `poll_s`. A storage that is away is waited for. Ctrl-C only
leaves: the workers go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Event

from ...model.errors import StorageError
from ...model.pull.findings import Accounts, Worker, WorkerState
from ...model.pull.lanes import Lanes, PullRules, find_worker, name_worker
from ...model.run import Invocation, Plan, Sent, State
from ...model.units import format_duration
from ...run.layout import RunLayout
from ...storage.bucket import Bucket
from ..progress import Progress, describe_sent
from ..submission import Clock
from .history import read_moment
from .invocations import make_worker_invocations
from .judge import Seen, Sighting, choose_lanes, judge_worker
from .ledger import Ledger
from .looks import Looks

log = logging.getLogger(__name__)

Invoke = Callable[[Sequence[Invocation]], Sequence[Sent]]
"""Sends more invocations and records what became of them."""


@dataclass(frozen=True, slots=True)
class PullRun:
    """A run whose workers are invoked, and how it is watched."""

    state: Bucket
    layout: RunLayout
    plan: Plan
    lanes: Lanes
    rules: PullRules
    clock: Clock


@dataclass(slots=True)
class _Posted:
    """A worker that was invoked."""

    sent: Sent
    since: datetime | None = None
    """When the run was first looked at after that, by the storage's clock."""
    state: WorkerState = WorkerState.WAITING


class Follower:
    """One run whose workers were invoked."""

    def __init__(
        self, run: PullRun, progress: Progress, invoke: Invoke, looks: Looks, ledger: Ledger
    ) -> None:
        self._plan, self._lanes, self._rules = run.plan, run.lanes, run.rules
        self._progress, self._clock, self._invoke = progress, run.clock, invoke
        self._looks, self._ledger = looks, ledger
        self._workers: dict[str, _Posted] = {}
        self._began_s = run.clock.now_s()

    def follow(self, sent: Sequence[Sent]) -> None:
        """Looks until the run is over. Raises StorageError if the storage stays away."""
        self._add(sent)
        seen_s = self._clock.now_s()
        while True:
            try:
                now = self._looks.look()
                seen_s = self._clock.now_s()
            except StorageError as error:
                away_s = self._clock.now_s() - seen_s
                if away_s > self._lanes.timing.storage_patience_s:
                    raise
                log.warning("the storage is away for %s: %s", format_duration(away_s), error)
            else:
                self._judge(now)
                self._progress.workers = tuple(
                    self._describe_worker(name, posted) for name, posted in self._workers.items()
                )
                log.info("%s", self.describe())
                if self._is_over():
                    return
                self._post_again()
            self._clock.wait(Event(), self._rules.poll_s)

    def account(self) -> Accounts:
        """What is known of the items and the workers now."""
        ledger = self._ledger
        return Accounts(
            done=ledger.done,
            failed=ledger.failed,
            open_chunks=ledger.open_chunks,
            failures=tuple(ledger.failures),
            stealing=self._lanes.exclusive,
        )

    def describe(self) -> str:
        """One line for the log."""
        done, failed = self._ledger.done, self._ledger.failed
        pending = self._plan.index.items - done - failed
        states = [posted.state for posted in self._workers.values()]
        counts = ((state, states.count(state)) for state in WorkerState)
        workers = ", ".join(f"{count} {state}" for state, count in counts if count)
        text = f"{done} done, {failed} failed, {pending} pending; workers: {workers}"
        seconds = self._clock.now_s() - self._began_s
        if done + failed and pending and seconds:
            rate = (done + failed) / seconds
            text += f"; {rate:.3g} items/s, about {format_duration(pending / rate)} left"
        return text

    def _add(self, sent: Sequence[Sent]) -> None:
        for each in sent:
            name = name_worker(self._lanes.epoch, each.invocation.number)
            self._workers[name] = _Posted(each)

    def _judge(self, now: datetime) -> None:
        """Says of every worker what the last look showed."""
        for name, posted in self._workers.items():
            posted.since = posted.since or now
            seen = self._find_sightings(name)
            started = posted.sent.state in {State.INVOKED, State.UNCERTAIN}
            posted.state = (
                judge_worker(
                    seen, posted.since, now, self._lanes.timing, self._rules.pending_timeout_s
                )
                if started or seen
                else WorkerState.NEVER_SEEN
            )

    def _is_over(self) -> bool:
        if not self._ledger.open_chunks:
            return True
        return all(each.state.over for each in self._workers.values()) and not self._choose_lanes()

    def _choose_lanes(self) -> list[int]:
        seen = [
            Seen(each.sent.invocation.lane, each.sent.state, each.state)
            for each in self._workers.values()
        ]
        return choose_lanes(seen, self._ledger.count_open(), exclusive=self._lanes.exclusive)

    def _post_again(self) -> None:
        lanes = self._choose_lanes()
        if not lanes:
            return
        numbers = range(len(self._workers) + 1, len(self._workers) + 1 + len(lanes))
        log.warning("one more worker for each of %d lanes whose worker is lost", len(lanes))
        invocations = make_worker_invocations(
            self._plan, self._lanes, list(zip(numbers, lanes, strict=True))
        )
        self._add(self._invoke(invocations))

    def _find_sightings(self, worker: str) -> list[Sighting]:
        sightings = self._looks.sightings
        return [each for process, each in sightings.items() if find_worker(process) == worker]

    def _describe_worker(self, name: str, posted: _Posted) -> Worker:
        seen = self._find_sightings(name)
        beats = [each.beat for each in seen]
        last = beats[-1] if beats else None
        return replace(
            describe_sent(self._lanes.epoch, posted.sent),
            state=posted.state,
            chunks=sum(beat.chunks for beat in beats),
            done=sum(beat.done for beat in beats),
            failed=sum(beat.failed for beat in beats),
            startup_s=last.startup_s if last else None,
            node=last.node if last else "",
            detail=(last.why if last else "") or posted.sent.detail,
            started_at=min(filter(None, (read_moment(beat.since) for beat in beats)), default=None),
            seen_at=max((each.modified for each in seen), default=None),
        )
