# SPDX-License-Identifier: Apache-2.0
"""The items of a redrive: what failed or is pending in a run that has ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

from ...index.builder import IndexBuilder
from ...model.errors import ConfigError, StorageError, clean_text
from ...model.items import Index
from ...model.object_columns import ObjectColumns
from ...model.planning import ChunkRules
from ...run.folder import read_json
from ...run.layout import RunLayout
from ...run.lines import split_lines
from ...storage.bucket import Bucket
from .indexing import Write

_BATCH = 10_000


def refuse_unsuited(state: Bucket, layout: RunLayout) -> None:
    """Raises ConfigError if a run has not ended, or if nothing says which of its items are left.

    The lists are missing where nobody followed the jobs, or where the folder is being removed.
    """
    if not layout.run_id:
        raise ConfigError(["run.redrive: needs run.id, the run whose items are processed again"])
    if not state.exists(layout.start):
        raise ConfigError([f"run.id: there is no run {layout.run_id} in {layout.locations.state}"])
    if not state.exists(layout.end):
        raise ConfigError(
            [
                f"run.redrive: run {layout.run_id} has not ended; drop its config without "
                "run.redrive to continue it, or end it with `oscar-batch cancel`"
            ]
        )
    data, own = read_json(state, layout.start).get("data"), str(layout.locations.data)
    if data and data != own:
        name = clean_text(str(data), 120)
        raise ConfigError([f"run.id: the items of run {layout.run_id} are in {name}, not in {own}"])
    if missing := [key for key in _list_needed(state, layout) if not state.exists(key)]:
        raise ConfigError(
            [
                f"run.redrive: run {layout.run_id} has left items, and {state.name}/{missing[0]}, "
                "which would name them, is missing: nobody followed its jobs, or its folder is "
                "being removed; drop its config without run.id and run.redrive, with "
                "bucket.skip_done to leave out what has its output"
            ]
        )


def _list_needed(state: Bucket, layout: RunLayout) -> list[str]:
    """The lists that a run must have left, by the last word on it."""
    counts = read_json(state, layout.end).get("counts")
    known = counts if isinstance(counts, dict) else {}
    lists = {"failed": layout.failed, "pending": layout.pending}
    return [key for name, key in lists.items() if known.get(name) != 0]


def build_redrive(state: Bucket, source: RunLayout, rules: ChunkRules, write: Write) -> Index:
    """Hands the index of a redrive to `write`. Raises StorageError if a list is damaged."""
    builder = IndexBuilder(rules)
    sha256 = write(builder.build_lines(_list_items(state, source)))
    return builder.index(sha256=sha256)


def _list_items(state: Bucket, source: RunLayout) -> Iterator[ObjectColumns]:
    for key in _list_needed(state, source):
        lines = split_lines(state.read_pieces(key))
        while batch := list(islice(lines, _BATCH)):
            yield ObjectColumns([_read_key(state, key, line) for line in batch], None)


def _read_key(state: Bucket, name: str, line: bytes) -> bytes:
    try:
        return str(json.loads(line)["key"]).encode(errors="surrogateescape")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StorageError(f"{state.name}/{name} has a line that names no item") from error
