# SPDX-License-Identifier: Apache-2.0
"""Makes the body of an invocation, in a form that OSCAR passes on unchanged.

OSCAR pipes the body through an unquoted `echo $EVENT` in the image's /bin/sh, and the supervisor
classifies it by its JSON keys. So the body is one JSON object without white space. Every character
that a shell or `echo` could change is written as `\\uXXXX`. No key is one of the supervisor's
(`event`, `Records`, `httpMethod`, …).
"""

from __future__ import annotations

import string

from ..model.items import Chunk
from ..model.run import Plan

# Characters that dash, bash and BusyBox ash and their `echo` never change.
_SAFE = frozenset(string.ascii_letters + string.digits + "_-.:/@+,=%")
# DNS-1123, at most 63 characters with run id, chunk number and attempt behind it.
_JOB_SERVICE_LENGTH = 24


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
    pairs = (f"{_quote(key)}:{_encode_value(value)}" for key, value in fields.items())
    return ("{" + ",".join(pairs) + "}").encode("ascii")


def make_job_name(plan: Plan, chunk: Chunk, attempt: int) -> str:
    """A Kubernetes name that the same chunk and attempt of the same run always gets."""
    service = plan.service[:_JOB_SERVICE_LENGTH].rstrip("-")
    return f"{service}-{plan.run_id}-{chunk.number}-{attempt}"


def _encode_value(value: str | int) -> str:
    return str(value) if isinstance(value, int) else _quote(value)


def _quote(text: str) -> str:
    """A JSON string; characters beyond the safe ones as UTF-16 escapes, as JSON has them."""
    units = (character if character in _SAFE else _escape(character) for character in text)
    return '"' + "".join(units) + '"'


def _escape(character: str) -> str:
    encoded = character.encode("utf-16-be")
    return "".join(f"\\u{encoded[i]:02x}{encoded[i + 1]:02x}" for i in range(0, len(encoded), 2))
