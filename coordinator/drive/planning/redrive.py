# SPDX-License-Identifier: Apache-2.0
"""The items of a redrive: what failed or is pending in a run that has ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

from ...index.builder import IndexBuilder
from ...model.errors import ConfigError, StorageError
from ...model.items import Index
from ...model.object_columns import ObjectColumns
from ...model.planning import ChunkRules
from ...run.layout import RunLayout
from ...run.lines import split_lines
from ...storage.bucket import Bucket
from .indexing import Write

_BATCH = 10_000


def refuse_unfinished(state: Bucket, layout: RunLayout) -> None:
    """Raises ConfigError if a run has not ended: then nothing is known to have failed for good."""
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


def build_redrive(state: Bucket, source: RunLayout, rules: ChunkRules, write: Write) -> Index:
    """Hands the index of a redrive to `write`. Raises StorageError if a list is damaged."""
    builder = IndexBuilder(rules)
    sha256 = write(builder.build_lines(_list_items(state, source)))
    return builder.index(sha256=sha256)


def _list_items(state: Bucket, source: RunLayout) -> Iterator[ObjectColumns]:
    for key in (source.failed, source.pending):
        lines = split_lines(state.read_pieces(key)) if state.exists(key) else iter(())
        while batch := list(islice(lines, _BATCH)):
            yield ObjectColumns([_read_key(state, key, line) for line in batch], None)


def _read_key(state: Bucket, name: str, line: bytes) -> bytes:
    try:
        return str(json.loads(line)["key"]).encode(errors="surrogateescape")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StorageError(f"{state.name}/{name} has a line that names no item") from error
