# SPDX-License-Identifier: Apache-2.0
"""The chunk table: fixed widths, so that a lane is one byte range; read back as it was written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.model.items import Chunk
from coordinator.model.pull.lanes import Lanes, Table
from coordinator.model.pull.rounds import IndexObject
from coordinator.report.values import BadDocument
from coordinator.run.chunk_table import measure_table, read_table, write_table
from tests.unit import make
from tests.unit.values import COUNT, TEXT

INDEX = IndexObject("data/.oscar-batch/r/index.0001.txt", 123_456, "ab" * 32)


@st.composite
def lanes(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[Chunk, ...]]:
    counts = tuple(draw(st.lists(st.integers(1, 4), max_size=4)))
    chunks = [
        Chunk(number, start, start + draw(st.integers(1, 10**6)), draw(COUNT), draw(COUNT), 7)
        for number in range(1, sum(counts) + 1)
        for start in [draw(COUNT)]
    ]
    return counts, tuple(chunks)


@given(lanes(), TEXT)
def test_a_table_is_read_back_as_it_was_written(
    drawn: tuple[tuple[int, ...], tuple[Chunk, ...]], key: str
) -> None:
    counts, chunks = drawn
    index = IndexObject(key, 1, "")
    table = measure_table(index, counts, chunks)
    content = write_table(index, Lanes(counts, table), chunks)
    assert read_table(content, table) == (index, counts, chunks)


def test_the_rows_of_a_lane_are_a_range_of_bytes() -> None:
    counts, chunks = (2, 3), make.chunks(5)
    table = measure_table(INDEX, counts, chunks)
    content = write_table(INDEX, Lanes(counts, table), chunks)
    start = table.header_bytes + 2 * table.row_bytes
    rows = [json.loads(line) for line in content[start:].splitlines()]
    assert [(row["lane"], row["chunk"]) for row in rows] == [(2, 1), (2, 2), (2, 3)]
    assert rows[0] == {
        "lane": 2, "chunk": 1, "start": 3, "end": 3, "offset": 4, "length": 2, "bytes": 1,
    }  # fmt: skip
    assert {len(line) for line in content[table.header_bytes :].splitlines()} == {
        table.row_bytes - 1
    }


def test_a_table_that_is_cut_short_is_refused() -> None:
    table = measure_table(INDEX, (2,), make.chunks(2))
    content = write_table(INDEX, Lanes((2,), table), make.chunks(2))
    for damaged in (content[:-1], content[: -table.row_bytes], content + b"\n"):
        with pytest.raises(BadDocument):
            read_table(damaged, table)


def test_a_table_of_another_version_is_refused() -> None:
    table = measure_table(INDEX, (1,), make.chunks(1))
    content = write_table(INDEX, Lanes((1,), table), make.chunks(1))
    with pytest.raises(BadDocument, match="chunks/2"):
        read_table(content.replace(b"chunks/1", b"chunks/2"), table)


def test_a_chunk_of_the_plan_has_its_place_in_a_lane() -> None:
    planned = Lanes((2, 3, 1), Table(0, 0))
    places = [planned.locate(number) for number in range(1, 7)]
    assert places == [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 1)]
    assert [planned.find(*place) for place in places] == [1, 2, 3, 4, 5, 6]
    for lane, chunk in ((0, 1), (1, 0), (1, 3), (4, 1)):
        with pytest.raises(ValueError, match="no chunk"):
            planned.find(lane, chunk)
    with pytest.raises(ValueError, match="no chunk 7"):
        planned.locate(7)
