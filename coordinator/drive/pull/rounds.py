# SPDX-License-Identifier: Apache-2.0
"""Opens the rounds of a pull run: the first is the plan's, later ones are cut from the results.

The items of a later round depend only on the results of the rounds before, so every coordinator
chooses the same items. The chunk table is a *new* object: if another coordinator wrote one first,
that one counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import compress, islice

from ...index.builder import IndexBuilder
from ...model.errors import Conflict, StorageError
from ...model.object_columns import ObjectColumns
from ...model.planning import ChunkRules, Cost
from ...model.pull.lanes import Lanes
from ...model.pull.rounds import IndexObject, Round
from ...model.run import Plan
from ...plan.choose import choose_lanes
from ...run.chunk_table import measure_table, write_table
from ...run.layout import ResultKey, RunLayout
from ...run.lines import split_lines
from ...run.store import read_round
from ...storage.bucket import Bucket
from .ledger import Ledger

INDEX_TYPE = "text/plain; charset=utf-8"
_MOST_COUNTED_BYTES = 512 * 1024 * 1024
# The index lines of one batch.
_BATCH = 10_000


def make_first_round(plan: Plan, lanes: Lanes) -> Round:
    """Round 1: the chunks of the plan."""
    key = f"{plan.index_bucket}/{plan.index_key}"
    return Round(1, IndexObject(key, plan.index.text_bytes, plan.index.sha256), lanes, plan.chunks)


def save_table(state: Bucket, layout: RunLayout, round_: Round) -> None:
    """Writes the chunk table of a round, unless it is there. Before any worker is invoked."""
    content = write_table(round_.index, round_.lanes, round_.chunks)
    state.put_new(layout.table(round_.number), content, "application/jsonl")


def has_table(state: Bucket, layout: RunLayout, number: int) -> bool:
    """Whether a round was cut."""
    return state.exists(layout.table(number))


def open_retries(
    state: Bucket, layout: RunLayout, plan: Plan, lanes: Lanes, ledger: Ledger
) -> Round:
    """The next round, with the items that the ledger chose; cuts it if needed. StorageError."""
    number = ledger.round.number + 1
    if found := _read_round(state, layout, number, lanes):
        return found
    round_ = _cut_retries(state, layout, plan, lanes, ledger)
    try:
        save_table(state, layout, round_)
    except Conflict:  # another coordinator cut the same
        return _read_round(state, layout, number, lanes) or round_
    return round_


def read_counted(
    state: Bucket, layout: RunLayout, number: int
) -> dict[tuple[int, int], int | None]:
    """Which attempt of each chunk counts, if that was recorded. Raises StorageError."""
    key = layout.counted(number)
    content = state.read_small(key, _MOST_COUNTED_BYTES)
    try:
        rows = [json.loads(line) for line in (content or b"").splitlines()]
        return {(int(row["lane"]), int(row["chunk"])): row["attempt"] for row in rows}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StorageError(f"{state.name}/{key} cannot be read: it is damaged") from error


def encode_counted(key: ResultKey) -> bytes:
    """A line of counted.jsonl."""
    return json.dumps({"lane": key.lane, "chunk": key.chunk, "attempt": key.attempt}).encode()


def _cut_retries(
    state: Bucket, layout: RunLayout, plan: Plan, lanes: Lanes, ledger: Ledger
) -> Round:
    """Writes the index of the next round and cuts it into chunks."""
    builder = IndexBuilder()
    number, key = ledger.round.number + 1, layout.round_index(ledger.round.number + 1)
    keys = _list_chosen(split_lines(state.read_pieces(plan.index_key)), ledger)
    written = state.write_lines(key, builder.build_lines(keys), INDEX_TYPE)
    index = builder.index(sha256=written.sha256)
    cost = plan.choice.cost if plan.choice else Cost()
    counts, chunks, _ = choose_lanes(index, plan.capacity.slots, ChunkRules(), cost)
    stored = IndexObject(f"{state.name}/{key}", index.text_bytes, index.sha256)
    return Round(
        number,
        stored,
        replace(lanes, counts=counts, table=measure_table(stored, counts, chunks)),
        chunks,
    )


def _list_chosen(lines: Iterable[bytes], ledger: Ledger) -> Iterator[ObjectColumns]:
    """The keys of the items that the ledger chose, in batches."""
    chosen = compress(lines, ledger.list_chosen())
    while batch := list(islice(chosen, _BATCH)):
        yield ObjectColumns(batch, None)


def _read_round(state: Bucket, layout: RunLayout, number: int, lanes: Lanes) -> Round | None:
    found = read_round(state, layout, number)
    if found is None:
        return None
    table, index, counts, chunks = found
    return Round(number, index, replace(lanes, counts=counts, table=table), chunks)
