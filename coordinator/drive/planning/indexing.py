# SPDX-License-Identifier: Apache-2.0
"""The index of a run: listed, filtered and written in one pass, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain

from ...index.builder import IndexBuilder
from ...index.manifest import read_inventory, read_objects
from ...index.sample import NAME as NOT_CHOSEN
from ...index.sample import Sample
from ...index.selection import MARKERS, ItemFilter
from ...index.skip_done import DoneFilter
from ...model.errors import ConfigError, clean_text
from ...model.items import Index
from ...model.object_columns import ObjectColumns
from ...model.planning import ChunkRules
from ...model.selection import Selection
from ...model.service import Folder
from ...storage.bucket import Bucket
from ...storage.pages import ListQuery

Write = Callable[[Iterable[bytes]], str]
"""Takes all lines of the index; the SHA-256 of what was written, or empty text."""

Count = Callable[[Iterator[ObjectColumns]], Iterator[ObjectColumns]]
"""Returns the same batches, and counts their keys."""

_BY_CANARY = "run.canary"
"""The reason with which the report counts items that a canary has done."""
# More names make no message.
_MOST_FOLDERS = 5


def build_index(
    data: Bucket,
    selection: Selection,
    run_files: tuple[str, ...],
    rules: ChunkRules,
    write: Write,
    known: KnownItems | None = None,
    count: Count = lambda batches: batches,
) -> Index:
    """Lists the data folder and hands the index to `write`.

    `run_files` are the keys and folders that runs write: they hold no items. The items of `known`
    are left out. `count` sees all keys that are listed, also those of outputs.
    """
    known = known or KnownItems()
    builder = IndexBuilder(rules)
    item_filter = ItemFilter(selection.rules, run_files)
    items = item_filter.select(count(_list_candidates(data, selection)))
    if outputs := selection.skip_done:
        existing = data.beside(outputs.bucket).list_objects(ListQuery(outputs.prefix))
        items = DoneFilter(outputs, count(existing), builder.skip).drop_done(items)
    items = known.drop(items)
    if selection.sample is None:
        sha256 = write(builder.build_lines(items))
        left_out = {**item_filter.left_out, **known.left_out}
        return builder.index(left_out, sha256=sha256)
    sample = Sample(selection.sample)
    sha256 = write(builder.build_lines(sample.choose(items)))
    return builder.index({**item_filter.left_out, NOT_CHOSEN: sample.left_out}, sha256=sha256)


@dataclass(slots=True)
class KnownItems:
    """A few items that another run has done."""

    keys: frozenset[bytes] = frozenset()
    dropped: int = 0

    def drop(self, batches: Iterable[ObjectColumns]) -> Iterator[ObjectColumns]:
        """The batches without these items."""
        for batch in batches:
            if not self.keys:
                yield batch
                continue
            kept = batch.filter(key not in self.keys for key in batch.keys)
            self.dropped += len(batch) - len(kept)
            yield kept

    @property
    def left_out(self) -> dict[str, int]:
        return {_BY_CANARY: self.dropped} if self.dropped else {}


def refuse_empty_folder(data: Bucket, folder: Folder, selection: Selection, index: Index) -> None:
    """Raises ConfigError, naming folders that exist, if the data folder holds no object at all.

    Most such folders are mistyped. A manifest may be empty, and so may what `skip_done` leaves.
    """
    objects = index.listed - index.left_out.get(MARKERS, 0)
    if objects or selection.manifest or selection.skip_done:
        return
    parent, missing = folder.prefix, ""
    found: list[str] = []
    while parent and not found:
        above, _, last = parent.rstrip("/").rpartition("/")
        parent, missing = (f"{above}/" if above else ""), last
        # The data folder itself is listed if it has a marker.
        found = [each for each in data.list_folders(parent) if each != folder.prefix]
    raise ConfigError(
        [f"bucket.folder_prefix: {folder} holds no objects; {_advise(missing, found)}"]
    )


def _advise(missing: str, folders: Sequence[str]) -> str:
    """The folders that a user may have meant, nearest names first."""
    if not folders:
        return (
            "the bucket has no other folders" if missing else "put the files into the bucket first"
        )
    names = {folder.rstrip("/").rpartition("/")[2].lower(): folder for folder in folders}
    near = [names[name] for name in get_close_matches(missing.lower(), names)]
    shown = [clean_text(folder, 80) for folder in near or folders[:_MOST_FOLDERS]]
    more = (
        "" if near or len(folders) <= _MOST_FOLDERS else f" and {len(folders) - _MOST_FOLDERS} more"
    )
    return (
        f"{'did you mean' if near else 'there are'} {', '.join(shown)}{more}{'?' if near else ''}"
    )


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
    files = read_inventory(data.read_pieces(manifest.key))
    return chain.from_iterable(read_objects(file, data.read_pieces(file.key)) for file in files)
