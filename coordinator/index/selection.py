# SPDX-License-Identifier: Apache-2.0
"""Selects the items among listed objects, and counts what each rule leaves out.

A glob without `/` is matched against the file name, in any folder; one with `/` against the whole
key below the folder: `*` and `?` stay within one folder, `**` does not. Upper and lower case
differ. Never items, whatever the rules: folder markers (empty objects whose key ends with `/`) and
what runs leave in the bucket.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from ..model.errors import ConfigError, StorageError
from ..model.globs import compile_globs
from ..model.object_columns import ObjectColumns
from ..model.selection import Rules, parse_time

MARKERS = "folder markers"
OF_RUNS = "files of runs"

_Keep = Callable[[ObjectColumns], Iterable[object]]


class ItemFilter:
    """Selects items in batches; `left_out` counts by the first rule that drops an object."""

    def __init__(self, rules: Rules, of_runs: tuple[str, ...] = ()) -> None:
        """`of_runs` are the keys that runs write, and the folders: those that end with `/`."""
        self._run_files = frozenset(key.encode() for key in of_runs if not key.endswith("/"))
        self._run_folders = tuple(key.encode() for key in of_runs if key.endswith("/"))
        self._rules = list(_compile_rules(rules))
        self.left_out: Counter[str] = Counter()

    def select(self, batches: Iterable[ObjectColumns]) -> Iterator[ObjectColumns]:
        """The objects of each batch that are items, in their order."""
        for batch in batches:
            kept = self._leave_out(batch, MARKERS, _find_markers(batch))
            if self._run_files or self._run_folders:
                kept = self._leave_out(kept, OF_RUNS, self._find_run_files(kept))
            for name, keep in self._rules:
                if kept.keys:
                    kept = self._leave_out(kept, name, (not good for good in keep(kept)))
            if kept.keys:
                yield kept

    def _find_run_files(self, batch: ObjectColumns) -> Iterator[bool]:
        files, folders = self._run_files, self._run_folders
        return (key in files or key.startswith(folders) for key in batch.keys)

    def _leave_out(self, batch: ObjectColumns, name: str, out: Iterable[object]) -> ObjectColumns:
        leaves = list(out)
        if not any(leaves):
            return batch
        kept = batch.filter(not leave for leave in leaves)
        self.left_out[name] += len(batch) - len(kept)
        return kept


def _compile_rules(rules: Rules) -> Iterator[tuple[str, _Keep]]:
    folder = rules.prefix.encode()
    below = len(folder)
    if folder:  # a manifest may name what lies elsewhere
        yield "bucket.folder_prefix", lambda batch: (key.startswith(folder) for key in batch.keys)
    if rules.include:
        wanted = compile_globs(rules.include)
        yield "bucket.include", lambda batch: (wanted(key, below) for key in batch.keys)
    if rules.exclude:
        unwanted = compile_globs(rules.exclude)
        yield "bucket.exclude", lambda batch: (not unwanted(key, below) for key in batch.keys)
    if (least := rules.min_size) is not None:
        yield "bucket.min_size", lambda batch: (size >= least for size in _require_sizes(batch))
    if (most := rules.max_size) is not None:
        yield "bucket.max_size", lambda batch: (size <= most for size in _require_sizes(batch))
    if (after := rules.modified_after) is not None:
        yield "bucket.modified_after", lambda batch: (time >= after for time in _parse_times(batch))
    if (before := rules.modified_before) is not None:
        yield (
            "bucket.modified_before",
            lambda batch: (time < before for time in _parse_times(batch)),
        )


def _find_markers(batch: ObjectColumns) -> list[bool]:
    sizes = batch.sizes if batch.sizes is not None else [0] * len(batch)
    return [key[-1:] == b"/" and not size for key, size in zip(batch.keys, sizes, strict=True)]


def _require_sizes(batch: ObjectColumns) -> list[int]:
    if batch.sizes is None:
        raise ConfigError(
            ["bucket.manifest: has no sizes, which bucket.min_size and bucket.max_size need"]
        )
    return batch.sizes


def _parse_times(batch: ObjectColumns) -> list[datetime]:
    if batch.times is None:
        raise ConfigError(["bucket.manifest: has no times, which bucket.modified_… need"])
    try:
        return [parse_time(text) for text in batch.times]
    except ValueError as error:
        raise StorageError(
            "could not use the listing: an object has a time of last change that is none"
        ) from error
