# SPDX-License-Identifier: Apache-2.0
"""The index of a run: listed, filtered and written in one pass, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from ..index.builder import IndexBuilder
from ..index.manifest import read_inventory, read_objects
from ..index.selection import ItemFilter
from ..index.skip_done import DoneFilter
from ..model.items import Index
from ..model.object_columns import ObjectColumns
from ..model.planning import ChunkRules
from ..model.selection import Selection
from ..storage.bucket import Bucket
from ..storage.pages import ListQuery

Write = Callable[[Iterable[bytes]], str]
"""Takes all lines of the index; the SHA-256 of what was written, or empty text."""


def build_index(
    data: Bucket, selection: Selection, run_files: tuple[str, ...], rules: ChunkRules, write: Write
) -> Index:
    """Lists the data folder and hands the index to `write`.

    `run_files` are the keys and folders that runs themselves write: they hold no items.
    """
    builder = IndexBuilder(rules)
    item_filter = ItemFilter(selection.rules, run_files)
    items = item_filter.select(_list_candidates(data, selection))
    if selection.skip_done:
        existing = data.list_objects(ListQuery(selection.skip_done.prefix))
        items = DoneFilter(selection.skip_done, existing, builder.skip).drop_done(items)
    sha256 = write(builder.build_lines(items))
    return builder.index(item_filter.left_out, sha256=sha256)


def count_only(lines: Iterable[bytes]) -> str:
    """Writes nothing: what a dry run does with the lines of its index."""
    for _ in lines:
        continue
    return ""


def _list_candidates(data: Bucket, selection: Selection) -> Iterator[ObjectColumns]:
    """The objects from which items are selected: the folder's, or those that a manifest names."""
    manifest, rules = selection.manifest, selection.rules
    if manifest is None:
        return data.list_objects(ListQuery(rules.prefix, selection.recursive, rules.times))
    if not manifest.is_inventory:
        return read_objects(manifest, data.read_pieces(manifest.key))
    files = read_inventory(b"".join(data.read_pieces(manifest.key)))
    return chain.from_iterable(read_objects(file, data.read_pieces(file.key)) for file in files)
