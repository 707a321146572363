# SPDX-License-Identifier: Apache-2.0
"""Drives one round of a pull run: invokes its workers and follows them until it is over.

It reads the folder of the run every `poll_s`; results and beats are the truth. OSCAR is asked
for its capacity only where more workers would have work, and for its jobs only where a worker is
overdue. It waits for a storage that does not answer.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Event

from ...model.errors import StopRequested, StorageError
from ...model.pull.documents import Post
from ...model.pull.lanes import name_worker
from ...model.run import Invocation
from ...model.units import format_duration
from ..post_notes import describe_post, must_send_again, was_refused
from ..progress import Progress
from ..rate import Rate
from .ledger import Ledger
from .looks import Looks
from .pull_run import PullRun
from .sealing import seal_chunks
from .workers.invocations import make_worker_invocations
from .workers.judge import Situation, choose_lanes, compute_backoff_s
from .workers.roster import Roster

log = logging.getLogger(__name__)


class Why(StrEnum):
    """Why a round is over."""

    COMPLETE = "every chunk has a result"
    STOPPED = "somebody asked for the end of the run"
    TIMED_OUT = "run.run_timeout_s has passed"
    TOO_MANY_FAILED = "more items failed than run.tolerated_failures allows"
    HOPELESS = "no worker could be kept at work"
    NO_CAPACITY = "no worker is at work, and none could start"
    REFUSED = "OSCAR accepted no invocation"
    SENT = "run.watch is false, so nobody follows the workers"


class Follower:
    """One round of a run, from its first invocation to its last result."""

    def __init__(
        self, run: PullRun, progress: Progress, ledger: Ledger, looks: Looks, began: datetime
    ) -> None:
        """`began`: when the run began, by the storage's clock."""
        self._run, self._progress, self._ledger, self._looks = run, progress, ledger, looks
        self._round, self._began = ledger.round, began
        late_s = run.rules.pending_timeout_s
        self.workers = Roster(looks, run.hints, run.lanes.timing, late_s)
        self._claims: dict[tuple[int, int], datetime] = {}
        self._idle_posts, self._results = 0, 0
        self._next_post_s = 0.0
        self._starved_s: float | None = None
        self._seen_s = run.clock.now_s()
        self._rate = Rate()
        self.stopping = ""
        """Why the run is being ended, if it is."""

    def _take_over(self, posts: Iterable[Post]) -> None:
        """Adopts the workers of this round that earlier coordinators invoked.

        What OSCAR refused then is no worker: its lane is invoked again.
        """
        mine = [
            post for post in posts if post.round == self._round.number and not was_refused(post)
        ]
        made = make_worker_invocations(
            self._run.plan, self._round, [(post.worker, post.lane) for post in mine]
        )
        self.workers.add(describe_post(*pair) for pair in zip(mine, made, strict=True))
        if mine:
            self._run.free_slots.defer()
        # Sent with the same name: if the job exists, the answer says so and no second one starts.
        again = [
            each
            for each, post in zip(made, mine, strict=True)
            if not post.verdict and must_send_again(post, named=self._run.named)
        ]
        if again:
            self._send(again)

    def follow(self, posts: Iterable[Post] = ()) -> Why:
        """Looks and invokes until the round is over. Raises HeldByOther and StorageError.

        `posts` are the notes of the workers that earlier coordinators invoked.
        """
        try:
            self._take_over(posts)
            while True:
                now = self.look()
                if now:
                    if why := self._find_end(now):
                        return why
                    self._seal_late(now)
                    self._invoke_more()
                    if self.workers.were_refused():
                        return Why.REFUSED
                    if not self._run.rules.watch:
                        return Why.SENT
                self.wait()
        except StopRequested:
            return Why.STOPPED

    def look(self) -> datetime | None:
        """Looks at the folder; None if the storage fails. StorageError if it fails for too long."""
        try:
            now = self._looks.look()
            asks = bool(self.workers) and self._run.free_slots.may_ask()
            if self._run.rules.chunk_timeout_s or asks:
                self._claims = self._looks.list_claims()
        except StorageError as error:
            away_s = self._run.clock.now_s() - self._seen_s
            if away_s > self._run.lanes.timing.storage_patience_s:
                raise
            log.warning("the storage has not answered for %s: %s", format_duration(away_s), error)
            return None
        self._seen_s = self._run.clock.now_s()
        self._note_progress()
        self.workers.judge(now)
        self._run.hints.look(self.workers.list_overdue(now), self._seen_s)
        self._show()
        return now

    def wait(self) -> None:
        """Waits for the time of the next look."""
        self._run.clock.wait(Event(), self._run.rules.poll_s)

    def _find_end(self, now: datetime) -> Why | None:
        """Why the round is over; None if it is not."""
        rules, ledger = self._run.rules, self._ledger
        if not ledger.open_chunks:
            return Why.COMPLETE
        if self._looks.stopped:
            return Why.STOPPED
        age_s = (now - self._began).total_seconds()
        if rules.run_timeout_s is not None and age_s > rules.run_timeout_s:
            return Why.TIMED_OUT
        tolerated, items = rules.tolerated_failures, self._run.plan.index.items
        if tolerated and not tolerated.allows(ledger.failed, items):
            return Why.TOO_MANY_FAILED
        situation = self._make_situation()
        if situation.is_hopeless and situation.were_seen:
            return Why.HOPELESS
        return Why.NO_CAPACITY if situation.is_hopeless or self._has_starved() else None

    def _has_starved(self) -> bool:
        """Whether no worker lives, and the cluster was full for too long."""
        if self._starved_s is None:
            return False
        patience_s = max(self._run.rules.wait_for_room_s, self._run.rules.pending_timeout_s)
        return self._run.clock.now_s() - self._starved_s > patience_s

    def _seal_late(self, now: datetime) -> None:
        """Gives up the chunks whose newest attempt takes longer than the config allows."""
        limit_s = self._run.rules.chunk_timeout_s
        if limit_s is None:
            return
        late = timedelta(seconds=limit_s)
        chunks = {chunk for chunk, since in self._claims.items() if now - since > late}
        seal_chunks(self._run, self._ledger, lambda key: (key.lane, key.chunk) in chunks)

    def _invoke_more(self) -> None:
        now_s = self._run.clock.now_s()
        if now_s < self._next_post_s:
            return
        situation, free = self._make_situation(), 0
        if situation.wants_slots() and self._run.free_slots.may_ask():
            free = self._run.free_slots.count(situation.living)
            self._note_free_slots(free, situation.living, now_s)
        lanes = choose_lanes(situation, free)
        if not lanes:
            return
        if situation.workers:
            log.warning("%d more workers are invoked", len(lanes))
            self._idle_posts += len(lanes)
            # Several coordinators may lose their workers together; jitter spreads their requests.
            jitter = random.uniform(0.75, 1.25)  # noqa: S311 (no secret)
            self._next_post_s = now_s + jitter * compute_backoff_s(self._idle_posts)
        epoch = self._run.layout.epoch
        first = self._run.posts.choose_number(epoch)
        names = [name_worker(epoch, first + at) for at in range(len(lanes))]
        workers = list(zip(names, lanes, strict=True))
        self._send(make_worker_invocations(self._run.plan, self._round, workers))

    def _note_free_slots(self, free: int, living: int, now_s: float) -> None:
        """Notes since when no worker lives and none can start."""
        if free or living:
            self._starved_s = None
        elif self._starved_s is None:
            self._starved_s = now_s

    def _send(self, invocations: Sequence[Invocation]) -> None:
        self._run.free_slots.defer()
        self._progress.invocations = [*self._progress.invocations, *invocations]
        try:
            self.workers.add(self._run.invoke(self._round.number, invocations))
        except StopRequested:  # it is waited for those that had been sent
            self.workers.add(self._progress.list_started(invocations))
            raise
        if self.workers.were_interrupted():
            raise KeyboardInterrupt  # it came while requests were sent

    def _note_progress(self) -> None:
        """Forgets the invocations that achieved nothing as soon as there is a new result."""
        if len(self._ledger.settled) > self._results:
            self._results, self._idle_posts = len(self._ledger.settled), 0
            self._next_post_s = 0.0

    def _make_situation(self) -> Situation:
        settled = {(each.key.lane, each.key.chunk) for each in self._ledger.settled.values()}
        unclaimed = len(self._round.chunks) - len(settled | self._claims.keys())
        return Situation(
            workers=self.workers.list_seen(),
            open_chunks=self._ledger.count_open(),
            exclusive=self._round.lanes.exclusive,
            idle_posts=self._idle_posts,
            # Before claims are listed, all chunks count as unclaimed.
            unclaimed=unclaimed if self._claims else 0,
        )

    def _show(self) -> None:
        """Records what the look showed, for the log and for reports."""
        progress, ledger = self._progress, self._ledger
        progress.workers = (*progress.former_workers, *self.workers.list_workers())
        progress.accounts = ledger.account()
        progress.outcomes |= ledger.list_outcomes()
        pending = self._run.plan.index.items - ledger.done - ledger.failed
        settled, now_s = ledger.done + ledger.failed, self._run.clock.now_s()
        speed = self._rate.measure(settled, pending, now_s)
        # Most of what is pending is not processed then, so there is no end to estimate.
        progress.speed = None if self.stopping else speed
        number = self._round.number
        again = f"round {number}, " if number > 1 else ""
        workers = self.workers.describe() or "none"
        ending = f"{self.stopping}: the items in hand end; " if self.stopping else ""
        progress.show(f"{ending}{again}workers: {workers}{self._run.hints.describe()}")
