# SPDX-License-Identifier: Apache-2.0
"""Makes the body of an invocation and the name of its job.

The supervisor classifies a body by its JSON keys, so no key is one of the supervisor's own
(`event`, `Records`, `httpMethod`, …).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..model.errors import ConfigError
from ..model.items import Chunk
from ..model.run import Invocation, Plan
from .bodies.encoding import encode_body
from .bodies.template import PayloadTemplate

# DNS-1123, at most 63 characters with run id, chunk number and attempt behind it.
_JOB_SERVICE_LENGTH = 24
# What the body of a range says; services made for the first oscar-batch tool read the first two.
_NAMES = ("start", "end", "index", "index_bucket", "bucket", "run", "chunk", "attempt")


def make_range_invocations(
    plan: Plan,
    attempt: int = 1,
    payload: str = "",
    *,
    chunks: Sequence[Chunk] | None = None,
    index_key: str = "",
) -> tuple[Invocation, ...]:
    """One invocation per chunk, in their order: of the plan, or of a later round and its index.

    `payload` is a template for the bodies. Raises ConfigError if it fails for some chunk.
    """
    plan = replace(plan, index_key=index_key or plan.index_key)
    try:
        template = PayloadTemplate(payload) if payload else None
        return tuple(
            Invocation(
                number=chunk.number,
                name=f"chunk {chunk.number}",
                job=make_job_name(plan, f"{chunk.number}-{attempt}"),
                body=template.render(list_values(plan, chunk, attempt))
                if template
                else write_range_body(plan, chunk, attempt),
            )
            for chunk in (plan.chunks if chunks is None else chunks)
        )
    except ValueError as error:
        raise ConfigError([f"service.payload: {error}"]) from error


def write_range_body(plan: Plan, chunk: Chunk, attempt: int) -> bytes:
    """The body for one chunk: its first and last index line, and where the index is."""
    values = list_values(plan, chunk, attempt)
    return encode_body({name: values[name] for name in _NAMES})


def list_values(plan: Plan, chunk: Chunk, attempt: int) -> dict[str, str | int]:
    """What an invocation may say of its chunk: the variables of a template."""
    return {
        "start": chunk.first_line,
        "end": chunk.last_line,
        "items": chunk.items,
        "size_bytes": chunk.size_bytes,
        "chunk": chunk.number,
        "attempt": attempt,
        "run": plan.run_id,
        "service": plan.service,
        "bucket": plan.data.bucket,
        "folder_prefix": plan.data.prefix,
        "index": plan.index_key,
        "index_bucket": plan.index_bucket,
    }


def make_job_name(plan: Plan, name: str) -> str:
    """A Kubernetes name that the same invocation of the same run always gets.

    `name` is a chunk and its attempt (`3-1`), or a worker (`0001-00003`).
    """
    service = plan.service[:_JOB_SERVICE_LENGTH].rstrip("-")
    return f"{service}-{plan.run_id}-{name}"
