# SPDX-License-Identifier: Apache-2.0
"""Sends an invocation to the service, and reads the service's token again if it is refused."""

from __future__ import annotations

from ..model.errors import BatchError
from ..model.run import Invocation, Reply, Verdict
from ..model.service import Service
from ..oscar.client import OscarClient
from .submission import Post


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
