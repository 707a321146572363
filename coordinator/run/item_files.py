# SPDX-License-Identifier: Apache-2.0
"""Writes the lists of items: done, failed (also as CSV), pending and skipped.

Each list is written in bounded memory, from an iterator that is made just before.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass

from ..model.items import Skipped
from ..storage.bucket import Bucket
from .layout import RunLayout
from .lines import join_lines

_TEXT, _JSONL = "text/plain; charset=utf-8", "application/jsonl"
_CSV = "text/csv; charset=utf-8"
_LINE_END = "\r\n"
_COLUMNS = ("key", "reason", "attempts", "line", "kind", "seconds")


@dataclass(frozen=True, slots=True)
class FailedItem:
    """A line of failed.jsonl."""

    key: str
    reason: str
    attempts: int
    line: int
    """Of the run's index, from 1."""
    kind: str = ""
    seconds: float = 0.0
    stderr: str = ""


@dataclass(frozen=True, slots=True)
class ItemLists:
    """The items by state; each call of a function starts its list again."""

    done: Callable[[], Iterable[bytes]]
    """Keys."""
    failed: Callable[[], Iterable[FailedItem]]
    pending: Callable[[], Iterable[tuple[bytes, str]]]
    """Keys, and why they are pending where that is known."""
    skipped: tuple[Skipped, ...]


def write_item_lists(state: Bucket, layout: RunLayout, lists: ItemLists) -> None:
    """Writes all lists. Raises StorageError."""
    pending = (_write_pending(key, reason) for key, reason in lists.pending())
    skipped = (json.dumps(asdict(each)).encode() for each in lists.skipped)
    failed = (json.dumps(asdict(each)).encode() for each in lists.failed())
    state.write_lines(layout.done, join_lines(lists.done()), _TEXT)
    state.write_lines(layout.failed, join_lines(failed), _JSONL)
    state.write_lines(layout.failed_table, join_lines(_list_rows(lists.failed())), _CSV)
    state.write_lines(layout.pending, join_lines(pending), _JSONL)
    state.write_lines(layout.skipped, join_lines(skipped), _JSONL)


def _list_rows(failed: Iterable[FailedItem]) -> Iterator[bytes]:
    yield _write_row(_COLUMNS)
    for each in failed:
        yield _write_row([_guard(getattr(each, name)) for name in _COLUMNS])


def _write_row(values: Iterable[object]) -> bytes:
    text = io.StringIO()
    # Only characters of the line's end are quoted: both, since a key may have either.
    csv.writer(text, lineterminator=_LINE_END).writerow(values)
    return text.getvalue().removesuffix(_LINE_END).encode(errors="replace")


def _guard(value: object) -> object:
    """Protects text that a spreadsheet would read as a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value


def _write_pending(key: bytes, reason: str) -> bytes:
    found = {"key": key.decode(errors="surrogateescape")}
    return json.dumps({**found, "reason": reason} if reason else found).encode()
