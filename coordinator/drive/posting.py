# SPDX-License-Identifier: Apache-2.0
"""Sends invocations to the service, and reads the service's token again if it is refused."""

from __future__ import annotations

from collections.abc import Sequence

from ..model.errors import BatchError
from ..model.run import Invocation, Reply, Sent, Verdict
from ..model.service import Mode, Service
from ..oscar.client import OscarClient
from .events.watch import Invoke, JobRun
from .progress import Progress
from .pull.start import record_posts
from .submission import Pace, Post, Steps, submit


def make_invoke(run: JobRun, pace: Pace, progress: Progress) -> Invoke:
    """A function that sends invocations and records what became of each when it is known."""
    post = make_post(run.oscar, run.service)
    steps = Steps(before_post=progress.record_request, on_sent=progress.record_sent)
    if run.plan.lanes:
        steps = record_posts(run.state, run.layout, progress.clock, steps)
    if run.plan.mode is Mode.EVENT:  # its ledger has two bytes for each of millions
        steps = Steps()

    def invoke(invocations: Sequence[Invocation]) -> Sequence[Sent]:
        return submit(
            invocations,
            post,
            repeat_lost=run.named,
            pace=pace,
            clock=run.clock,
            steps=steps,
        )

    return invoke


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
