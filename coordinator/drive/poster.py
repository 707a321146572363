# SPDX-License-Identifier: Apache-2.0
"""Sends the invocations of a run: checks the lease, writes a note, sends, records the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..model.errors import BatchError
from ..model.run import Invocation, Reply, Sent, Verdict
from ..model.service import Mode, Service
from ..oscar.client import OscarClient
from ..run.lease import Lease
from .jobs.job_run import JobRun
from .post_notes import NamePost
from .progress import Progress
from .submission import Pace, Post, Spacing, Steps, submit


class Poster:
    """Sends invocations of one run, writes a note for each, and records the answers.

    Before each request it checks that this coordinator still holds the lease.
    """

    def __init__(self, run: JobRun, pace: Pace, progress: Progress, name: NamePost) -> None:
        # Releases that do not name jobs (before OSCAR 4.1) sustain half as many POSTs.
        pace = pace if run.named else replace(pace, posts_per_s=pace.posts_per_s / 2)
        self._run, self._pace, self._name = run, pace, name
        self._spacing = Spacing(pace)
        self._post = make_post(run.oscar, run.service)
        self._steps = make_steps(run.lease, progress)
        # Event mode has up to millions of invocations: no note of them is kept in memory.
        self._forgets = run.plan.mode is Mode.EVENT
        if self._forgets:
            self._steps = replace(
                self._steps,
                before_post=lambda invocation: run.lease.check(),
                on_sent=lambda sent: None,
            )

    def send(self, number: int, invocations: Sequence[Invocation]) -> Sequence[Sent]:
        """Sends invocations of a round and returns the state of each. Raises BatchError."""
        book = self._run.posts
        try:
            return submit(
                invocations,
                self._post,
                repeat_lost=self._run.named,
                pace=self._pace,
                clock=self._run.clock,
                steps=book.record(number, self._steps, self._name),
                spacing=self._spacing,
            )
        finally:
            for each in invocations if self._forgets else ():
                book.forget(each, self._name)


def make_steps(lease: Lease, progress: Progress) -> Steps:
    """The steps before and after every request."""

    def before_post(invocation: Invocation) -> None:
        lease.check()
        progress.record_request(invocation)

    def show(settled: int, whole: int) -> None:
        progress.show(f"{settled:,} of {whole:,} invocations sent")

    return Steps(before_post=before_post, on_sent=progress.record_sent, on_progress=show)


def make_post(oscar: OscarClient, service: Service) -> Post:
    """A function that sends an invocation once.

    A token that is refused is read again once, because an update of the service may renew it.
    """

    def post(invocation: Invocation) -> Reply:
        nonlocal service
        reply = oscar.invoke(service, invocation.body, job=invocation.job)
        if reply.verdict is Verdict.STALE_TOKEN:
            try:
                service = oscar.read_service(service.name)
            except BatchError as error:
                return Reply(Verdict.REFUSED, f"{reply.detail}; {error}")
            reply = oscar.invoke(service, invocation.body, job=invocation.job)
        return reply

    return post
