# SPDX-License-Identifier: Apache-2.0
"""Makes the body of an invocation and the name of its job.

The supervisor classifies a body by its JSON keys, so no key is one of the supervisor's own
(`event`, `Records`, `httpMethod`, …).
"""

from __future__ import annotations

from ..model.items import Chunk
from ..model.run import Invocation, Plan
from .bodies.encoding import encode_body

# DNS-1123, at most 63 characters with run id, chunk number and attempt behind it.
_JOB_SERVICE_LENGTH = 24


def make_range_invocations(plan: Plan, attempt: int = 1) -> tuple[Invocation, ...]:
    """One invocation per chunk of the plan, in their order."""
    return tuple(
        Invocation(
            number=chunk.number,
            name=f"chunk {chunk.number}",
            job=make_job_name(plan, f"{chunk.number}-{attempt}"),
            body=write_range_body(plan, chunk, attempt),
        )
        for chunk in plan.chunks
    )


def write_range_body(plan: Plan, chunk: Chunk, attempt: int) -> bytes:
    """The body for one chunk: its first and last index line, and where the index is."""
    fields: dict[str, str | int] = {
        "start": chunk.first_line,
        "end": chunk.last_line,
        "index": plan.index_key,
        "index_bucket": plan.index_bucket,
        "bucket": plan.data.bucket,
        "run": plan.run_id,
        "chunk": chunk.number,
        "attempt": attempt,
    }
    return encode_body(fields)


def make_job_name(plan: Plan, name: str) -> str:
    """A Kubernetes name that the same invocation of the same run always gets.

    `name` is a chunk and its attempt (`3-1`), or a worker (`0001-00003`).
    """
    service = plan.service[:_JOB_SERVICE_LENGTH].rstrip("-")
    return f"{service}-{plan.run_id}-{name}"
