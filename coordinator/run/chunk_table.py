# SPDX-License-Identifier: Apache-2.0
"""The chunk table of a round ⇄ the chunks of a plan, in lines of fixed width.

A worker computes from the widths where the rows of a lane are, and reads only those. Rows are in
the order of lanes, then chunks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from ..model.items import Chunk
from ..model.pull.lanes import Lanes, Table
from ..model.pull.rounds import IndexObject
from ..report.values import BadDocument, check_schema, read_value

SCHEMA = "oscar-batch/chunks/1"
# Widths are multiples of this, so that a table is easily read by people.
_STEP = 32


def measure_table(index: IndexObject, counts: Sequence[int], chunks: Sequence[Chunk]) -> Table:
    """The widths of a table that holds these chunks."""
    header = len(_write_line(_write_header(index, counts)))
    rows = (len(_write_line(row)) for row in _write_rows(counts, chunks))
    return Table(_round_up(header), _round_up(max(rows, default=1)))


def write_table(index: IndexObject, lanes: Lanes, chunks: Sequence[Chunk]) -> bytes:
    """The whole table."""
    header = _write_line(_write_header(index, lanes.counts), lanes.table.header_bytes)
    rows = _write_rows(lanes.counts, chunks)
    return header + b"".join(_write_line(row, lanes.table.row_bytes) for row in rows)


def read_table(
    content: bytes, table: Table
) -> tuple[IndexObject, tuple[int, ...], tuple[Chunk, ...]]:
    """The index, the chunks of each lane, and the chunks. Raises BadDocument."""
    header = check_schema(_decode(content[: table.header_bytes], "the header"), SCHEMA)
    counts = read_value(tuple[int, ...], header.get("lanes"), "lanes")
    ends = range(table.header_bytes, len(content) + 1, table.row_bytes)
    if len(content) != ends[-1] or len(ends) != sum(counts) + 1:
        raise BadDocument(f"the table has {len(content)} bytes, which is not what its lanes say")
    chunks = tuple(
        _read_row(_decode(content[start:end], f"row {number}"), number)
        for number, (start, end) in enumerate(pairwise(ends), start=1)
    )
    return read_value(IndexObject, {**header, "key": header.get("index")}), counts, chunks


def find_widths(content: bytes) -> Table:
    """The widths of a table, from its first two lines. Raises BadDocument."""
    header = content.find(b"\n") + 1
    row = content.find(b"\n", header) + 1 - header
    if not header or row <= 0:
        raise BadDocument("the table has no header or no row")
    return Table(header, row)


def _write_header(index: IndexObject, counts: Sequence[int]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "index": index.key,
        "size": index.size,
        "sha256": index.sha256,
        "lanes": list(counts),
    }


def _write_rows(counts: Sequence[int], chunks: Sequence[Chunk]) -> list[dict[str, Any]]:
    places = ((lane, n) for lane, count in enumerate(counts, 1) for n in range(1, count + 1))
    return [
        {
            "lane": lane,
            "chunk": number,
            "start": chunk.first_line,
            "end": chunk.last_line,
            "offset": chunk.offset,
            "length": chunk.length_bytes,
            "bytes": chunk.size_bytes,
        }
        for (lane, number), chunk in zip(places, chunks, strict=True)
    ]


def _read_row(row: Mapping[str, Any], number: int) -> Chunk:
    def read(name: str) -> int:
        return read_value(int, row.get(name), f"row {number}.{name}")

    return Chunk(
        number, read("start") - 1, read("end"), read("bytes"), read("offset"), read("length")
    )


def _write_line(members: Mapping[str, Any], width: int = 0) -> bytes:
    return json.dumps(members).encode().ljust(width - 1) + b"\n"


def _decode(line: bytes, name: str) -> Mapping[str, Any]:
    try:
        return read_value(dict[str, Any], json.loads(line), name)
    except (ValueError, RecursionError) as error:
        raise BadDocument(f"{name} of the table is not a JSON object") from error


def _round_up(width: int) -> int:
    return -(-width // _STEP) * _STEP
