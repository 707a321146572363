# SPDX-License-Identifier: Apache-2.0
"""Reads the objects that a manifest names, in its order, in batches.

Five forms, which the file's name and its first line distinguish, each plain or gzip:

    keys one a line    any other text; as this tool's index has them
    .jsonl, .ndjson    an object with `key` a line, maybe `size` or `size_bytes`, maybe `modified`;
                       so failed.jsonl of an earlier run can be used as it is
    .csv               with a header line that has the named column (`key`), maybe those above
    S3 Inventory       its manifest.json, which names CSV files without header and their columns

A line without a key ends the run, with the number of the line. No message quotes the file. Blank
lines are ignored.
"""

from __future__ import annotations

import csv
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any
from urllib.parse import unquote_plus

from ..model.errors import ConfigError
from ..model.object_columns import ObjectColumns
from ..model.selection import Manifest, parse_time

BATCH = 1_000
LONGEST_LINE = 1024 * 1024
_LARGEST_INVENTORY = 16 * 1024 * 1024
_MOST_DIGITS, _MOST_BYTES = 19, 2**63
_PLAIN, _MOST_NAMES = re.compile(r"[A-Za-z_]{1,40}"), 10
_SIZES = ("size_bytes", "size", "Size")
_TIMES = ("modified", "last_modified", "LastModifiedDate")


def read_inventory(content: Iterable[bytes]) -> list[Manifest]:
    """The files that the manifest.json of an S3 Inventory names, in order. Raises ConfigError."""
    whole = bytearray()
    for piece in content:
        whole += piece
        if len(whole) > _LARGEST_INVENTORY:
            raise ConfigError(["bucket.manifest: this manifest.json is larger than 16 MiB"])
    try:
        found = json.loads(whole)
        columns = tuple(name.strip() for name in found["fileSchema"].split(","))
        keys = [entry["key"] for entry in found["files"]]
        files = [Manifest(key, inventory=columns) for key in keys]
        if not all(isinstance(key, str) and key for key in keys):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            ["bucket.manifest: is not the manifest.json of an S3 Inventory"]
        ) from error
    if found.get("fileFormat", "CSV") != "CSV" or "Key" not in columns:
        raise ConfigError(["bucket.manifest: of S3 Inventory, only the CSV format is read"])
    return files


Row = tuple[str, int | None, str | None]


def read_objects(manifest: Manifest, content: Iterable[bytes]) -> Iterator[ObjectColumns]:
    """The objects that a manifest names. Raises ConfigError."""
    rows = _read_rows(manifest, _read_lines(manifest, _decompress(content)))
    while batch := list(islice(rows, BATCH)):
        sizes = [size for _, size, _ in batch if size is not None]
        times = [time for _, _, time in batch if time is not None]
        yield ObjectColumns(
            # What is no Unicode is skipped later, with its reason.
            keys=[key.encode(errors="surrogatepass") for key, _, _ in batch],
            sizes=sizes if len(sizes) == len(batch) else None,
            times=times if len(times) == len(batch) else None,
        )


def _decompress(content: Iterable[bytes]) -> Iterator[bytes]:
    """The content, unzipped where its first bytes say that it is gzip; whole, or an error."""
    source = iter(content)
    first = next(source, b"")
    if first[:2] != b"\x1f\x8b":
        yield first
        yield from source
        return
    unzip = zlib.decompressobj(wbits=31)
    ended = False
    try:
        for piece in _chain(first, source):
            rest, more = piece, True
            while rest or more:
                if ended:  # more members may follow: `cat a.gz b.gz` is a gzip file
                    unzip, ended = zlib.decompressobj(wbits=31), False
                plain = unzip.decompress(rest, LONGEST_LINE)
                yield plain
                ended = unzip.eof
                rest = unzip.unused_data if ended else unzip.unconsumed_tail
                more = not ended and len(plain) == LONGEST_LINE
    except zlib.error as error:
        raise ConfigError([f"bucket.manifest: is a broken gzip file ({error})"]) from error
    if not ended:
        raise ConfigError(["bucket.manifest: the gzip file ends too early"])


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _read_lines(manifest: Manifest, content: Iterable[bytes]) -> Iterator[str]:
    """Lines of text, `\\n` kept; a UTF-8 byte order mark is not part of the first."""
    number, size_bytes = 0, 0
    open_line: list[bytes] = []
    for piece in content:
        # Pieces may be small, so they are put together once for each line.
        first, *others = piece.split(b"\n")
        open_line.append(first)
        size_bytes += len(first)
        if others:
            *whole, rest = b"".join(open_line), *others
            open_line, size_bytes = [rest], len(rest)
            for line in whole:
                number += 1
                yield _decode_line(number, line) + "\n"
        if size_bytes > LONGEST_LINE:
            raise _make_error(number + 1, "is longer than 1 MiB")
    if last := b"".join(open_line):
        yield _decode_line(number + 1, last)


def _decode_line(number: int, line: bytes) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise _make_error(number, "is not UTF-8 text") from error


def _read_rows(manifest: Manifest, lines: Iterator[str]) -> Iterator[Row]:
    name = manifest.key.lower().removesuffix(".gz")
    if manifest.inventory:
        return _read_inventory_rows(manifest, lines)
    if name.endswith((".jsonl", ".ndjson")):
        return _read_jsonl(manifest, lines)
    if name.endswith(".csv"):
        return _read_csv(manifest, lines)
    return ((line, None, None) for raw in lines if (line := raw.rstrip("\r\n")))


def _read_jsonl(manifest: Manifest, lines: Iterator[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _make_error(number, "is not JSON") from error
        if not isinstance(found, dict):
            raise _make_error(number, "is not a JSON object")
        yield _make_row(manifest, number, found)


def _read_csv(manifest: Manifest, lines: Iterator[str]) -> Iterator[Row]:
    reader = csv.reader(lines, strict=True)
    header = _read_cells(reader)
    if header is not None and manifest.column not in header:
        # What is no header may be anything, a secret for instance.
        known = ", ".join(name if _PLAIN.fullmatch(name) else "…" for name in header[:_MOST_NAMES])
        raise ConfigError([f"bucket.manifest: has no column {manifest.column!r}; it has {known}"])
    while header is not None and (cells := _read_cells(reader)) is not None:
        if cells:
            yield _make_row(manifest, reader.line_num, dict(zip(header, cells, strict=False)))


def _read_inventory_rows(manifest: Manifest, lines: Iterator[str]) -> Iterator[Row]:
    reader = csv.reader(lines, strict=True)
    while (cells := _read_cells(reader)) is not None:
        if not cells:
            continue
        found = dict(zip(manifest.inventory, cells, strict=False))
        if found.get("IsLatest", "true") == "false" or found.get("IsDeleteMarker") == "true":
            continue
        key, size, time = _make_row(Manifest("", column="Key"), reader.line_num, found)
        yield unquote_plus(key), size, time


def _read_cells(reader: Any) -> list[str] | None:
    try:
        return next(reader, None)
    except csv.Error as error:
        raise _make_error(reader.line_num, f"is not CSV ({error})") from error


def _make_row(manifest: Manifest, number: int, found: Mapping[str, Any]) -> Row:
    key = found.get(manifest.column)
    if not isinstance(key, str) or not key:
        raise _make_error(number, f"has no {manifest.column!r}")
    size, time = (_find_first(found, names) for names in (_SIZES, _TIMES))
    try:
        if time is not None:
            parse_time(time)
    except (TypeError, ValueError) as error:
        raise _make_error(number, "has a time that is not one of ISO-8601") from error
    try:
        return key, None if size is None else _parse_size(size), time
    except ValueError as error:
        raise _make_error(number, "has a size that is no number of bytes") from error


def _find_first(found: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The first of these members that has a value."""
    values = (found.get(name) for name in names)
    return next((value for value in values if value is not None and value != ""), None)


def _parse_size(value: object) -> int:
    if isinstance(value, str) and len(value) <= _MOST_DIGITS and value.isascii():
        value = int(value) if value.isdecimal() else None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _MOST_BYTES:
        raise ValueError
    return value


def _make_error(number: int, what: str) -> ConfigError:
    return ConfigError([f"bucket.manifest: line {number} {what}"])
