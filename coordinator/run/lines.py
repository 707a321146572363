# SPDX-License-Identifier: Apache-2.0
"""The lines of an object that comes in pieces, and lines in pieces that are worth a request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

# Lines that are written together.
_BATCH = 10_000


def split_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a text, without their line feeds."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines


def join_lines(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The text of the lines, each with its line feed, in large pieces."""
    rest = iter(lines)
    while batch := list(islice(rest, _BATCH)):
        yield b"\n".join(batch) + b"\n"
