# SPDX-License-Identifier: Apache-2.0
"""Invokes the service for a chunk, and reads the service's token again if it is refused."""

from __future__ import annotations

from ..model.errors import BatchError
from ..model.items import Chunk
from ..model.run import Plan, Reply, Verdict
from ..model.service import Service
from ..oscar.client import OscarClient
from .payload import make_job_name, write_range_body
from .submission import Post


def make_post(oscar: OscarClient, service: Service, plan: Plan) -> Post:
    """A function that invokes the service for a chunk.

    A token that is refused is read again once, because an update of the service may renew it.
    """

    def post(chunk: Chunk, attempt: int) -> tuple[str, Reply]:
        nonlocal service
        job, body = make_job_name(plan, chunk, attempt), write_range_body(plan, chunk, attempt)
        reply = oscar.invoke(service, body, job=job)
        if reply.verdict is Verdict.STALE_TOKEN:
            try:
                service = oscar.read_service(plan.service)
            except BatchError as error:
                return job, Reply(Verdict.REFUSED, f"{reply.detail}; {error}")
            reply = oscar.invoke(service, body, job=job)
        return job, reply

    return post
