# SPDX-License-Identifier: Apache-2.0
"""Copies of indexes that earlier runs left in the data folder (`output.file`): they are no items.

Every copy is noted in the state folder before it is made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from ..storage.bucket import Bucket
from ..storage.pages import ListQuery
from .layout import RunLayout

# The name in the first tool's template: copies under it may be older than all notes.
_USUAL_NAME = "index.txt"
_MAX_BYTES = 64 * 1024


def note_copy(state: Bucket, layout: RunLayout, bucket: str, key: str) -> None:
    """Notes that a run writes a copy of its index there."""
    content = json.dumps({"bucket": bucket, "key": key, "run": layout.run_id}).encode()
    state.write(layout.copy(bucket, key), content, "application/json")


def find_copies(
    state: Bucket, data: Bucket, layout: RunLayout
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The copies that earlier configs left in the data folder, and warnings that name them."""
    folder, own = layout.locations.data, layout.locations.index_copy
    known = sorted(key for key in _read_notes(state, layout) if key.startswith(folder.prefix))
    copies = tuple(key for key in known if key != own and data.exists(key))
    warnings = tuple(
        f"{data.name}/{key} is no item, because an earlier run wrote its index there; if it is a "
        "file of yours now, rename it"
        for key in copies
    )
    usual = folder.prefix + _USUAL_NAME
    if usual not in {own, *copies} and data.exists(usual):
        warnings += (
            f"{data.name}/{usual} may be the index of an earlier config (output.file) and counts "
            "as an item: if it is one, delete it or add it to bucket.exclude",
        )
    return copies, warnings


def _read_notes(state: Bucket, layout: RunLayout) -> Iterator[str]:
    """The keys of all copies in the data bucket."""
    for page in state.list_objects(ListQuery(layout.copies)):
        for key in page.keys:
            try:
                note = json.loads(state.read_small(key.decode(errors="replace"), _MAX_BYTES) or b"")
            except (ValueError, RecursionError):
                continue
            if isinstance(note, dict) and note.get("bucket") == layout.locations.data.bucket:
                yield str(note.get("key"))
