# SPDX-License-Identifier: Apache-2.0
"""Encodes the body of an invocation in a form that OSCAR passes on unchanged.

OSCAR pipes the body through an unquoted `echo $EVENT` in the image's /bin/sh. So the body is JSON
without white space, and every character of a string that a shell or `echo` could change is written
as `\\uXXXX`.
"""

from __future__ import annotations

import json
import string
from collections.abc import Mapping

# The longest value that Linux takes for one variable: 131,072 bytes with `EVENT=` and a NUL. OSCAR
# accepts a longer body, and its container cannot start.
MOST_BYTES = 131_065
# Characters that dash, bash and BusyBox ash and their `echo` never change.
_SAFE = frozenset(string.ascii_letters + string.digits + "_-.:/@+,=%")


def encode_body(value: object) -> bytes:
    """Decoded JSON as a body. Raises ValueError for a number that JSON does not have."""
    return _encode(value).encode("ascii")


def _encode(value: object) -> str:
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, Mapping):
        pairs = (f"{_quote(str(key))}:{_encode(each)}" for key, each in value.items())
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_encode, value)) + "]"
    return json.dumps(value, allow_nan=False)


def _quote(text: str) -> str:
    """A JSON string; characters beyond the safe ones as UTF-16 escapes, as JSON has them."""
    units = (character if character in _SAFE else _escape(character) for character in text)
    return '"' + "".join(units) + '"'


def _escape(character: str) -> str:
    encoded = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{encoded[i]:02x}{encoded[i + 1]:02x}" for i in range(0, len(encoded), 2))
