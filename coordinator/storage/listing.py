# SPDX-License-Identifier: Apache-2.0
"""A folder → its objects in listing order, subfolders listed side by side where that pays.

A server sends the pages of one listing one after the other, and most of the time is spent waiting
for them. Several listings at the same time wait together, each of a folder of its own; their
objects are put back into listing order. The folders are those of one level of `/`, at which they
are neither tiny nor huge. Where that cannot be said safely, or pages come fast, there is one
listing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from math import inf

from ..model.object_columns import ObjectColumns, PackedColumns
from .page import Page
from .pages import ListQuery, PageSource, check_order, fetch_first_page, fetch_pages
from .prefetch import Prefetch

NO_OBJECTS = ObjectColumns([], [])


def list_objects(source: PageSource, query: ListQuery) -> Iterator[ObjectColumns]:
    """All objects of a folder, in listing order, each once."""
    started_s = source.clock()
    first = fetch_first_page(source, query)
    waited_s = source.clock() - started_s
    division = None
    if query.recursive and first.token and waited_s >= source.tuning.least_wait_s:
        division = _find_division(source, query, first.objects().keys)
    batches = division.list_batches() if division else _list_straight(source, query, first)
    with closing(batches):
        yield from check_order(batches)


def _list_straight(
    source: PageSource, query: ListQuery, first: Page
) -> Generator[ObjectColumns, None, None]:
    """One listing; the next page is fetched while one is parsed."""
    with closing(Prefetch(fetch_pages(source, query, first=first))) as pages:
        for page in pages:
            yield page.objects(times=query.times)


def _find_division(
    source: PageSource, query: ListQuery, keys: list[bytes]
) -> _DividedListing | None:
    """The listing by folders of the best level, if there is one; `keys` are of the first page.

    It is the highest level whose folders are not too large, going by the folders of the first
    page and by how many others are beside them.
    """
    start = len(query.prefix.encode())
    names = [key[start:].split(b"/")[:-1] for key in keys]
    depth, size = 0, float(len(keys))
    while True:
        met = {tuple(name[: depth + 1]) for name in names if len(name) > depth}
        if not 0 < len(met) <= source.tuning.folders_a_page:
            break
        depth, size = depth + 1, len(keys) / len(met)
    path = next((name[:depth] for name in names if len(name) >= depth), [])
    while depth:
        below = b"".join(name + b"/" for name in path[: depth - 1])
        # A name that is not Unicode cannot be requested; what is requested instead is empty.
        level = _read_level(source, query, query.prefix + below.decode(errors="replace"))
        folders = [part.folder for part in level or () if part.folder]
        size *= inf if level is None else len(folders)
        if level and size > source.tuning.folder_objects:
            if len(folders) > 1 and _may_list(source, replace(query, prefix=folders[0])):
                return _DividedListing(source, query, depth, len(keys))
            return None
        depth -= 1
    return None


def _may_list(source: PageSource, query: ListQuery) -> bool:
    """Whether a subfolder may be listed: a policy may allow the one above alone."""
    try:
        fetch_first_page(source, query)
    except Exception:  # one listing needs no subfolder, and reports what is really wrong
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of a level in listing order: one folder, or objects between two folders."""

    folder: str = ""
    objects: ObjectColumns = NO_OBJECTS


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The batches of one part, in memory or on their way."""

    batches: Iterator[PackedColumns]
    folders: int = 0
    close: Callable[[], None] = lambda: None


def _read_level(source: PageSource, query: ListQuery, prefix: str) -> list[_Part] | None:
    """What lies directly below a prefix, in listing order.

    None if there is too much of it, if its order or a folder's name is in doubt, or if the server
    refuses: one listing needs no level, and reports what is really wrong.
    """
    here = replace(query, prefix=prefix, recursive=False)
    try:
        pages = fetch_pages(source, here, small=True)
        found = list(islice(pages, source.tuning.level_pages))
        if found[-1].token or not all(page.url_encoded for page in found):
            return None
        batches = [page.objects(times=query.times) for page in found]
        folders = [name.decode() for page in found for name in page.folders]
    except Exception:  # see above
        return None
    return _merge_level(ObjectColumns.join(batches), folders, prefix)


def _merge_level(objects: ObjectColumns, folders: list[str], prefix: str) -> list[_Part] | None:
    """The objects and the folders of a level in listing order; None if that is in doubt.

    Servers order by bytes, as `a-b` < `a/` < `a0`, or folder by folder, as `a/` < `a-b` < `a0`.
    """
    start = len(prefix.encode())
    if any(b"/" in key[start:] for key in objects.keys):  # an object whose key ends with /
        return None
    for folder in folders:
        name = folder[len(prefix) :]
        if not folder.startswith(prefix) or name.find("/") != len(name) - 1 or "\ufffd" in name:
            return None
    names = sorted([*objects.keys, *map(str.encode, folders)])
    in_doubt = names != sorted(names, key=lambda name: name.split(b"/"))
    if in_doubt or len(set(names)) < len(names) or objects.keys != sorted(objects.keys):
        return None
    found: list[_Part] = []
    done = 0
    for folder in sorted(folders, key=str.encode):
        position = bisect_left(objects.keys, folder.encode())
        found += [_Part(objects=objects.slice(done, position)), _Part(folder)]
        done = position
    found.append(_Part(objects=objects.slice(done, len(objects))))
    return [part for part in found if part.folder or part.objects.keys]


class _DividedListing:
    """One listing of a folder by the subfolders of some depth."""

    def __init__(self, source: PageSource, query: ListQuery, depth: int, page_keys: int) -> None:
        self._source, self._query, self._tuning = source, query, source.tuning
        self._depth, self._page_keys = depth, page_keys
        self._folders = self._objects = 0

    def list_batches(self) -> Generator[ObjectColumns, None, None]:
        """All objects, in listing order."""
        waiting: deque[_Stretch] = deque()
        parts = Prefetch(self._find_parts(self._query.prefix, 0), most_weight=self._tuning.streams)
        try:
            for part in parts:
                waiting.append(self._start(part))
                if len(waiting) == self._tuning.streams:
                    yield from self._use_first(waiting)
            while waiting:
                yield from self._use_first(waiting)
        finally:
            parts.close()
            for stretch in waiting:
                stretch.close()

    def _find_parts(self, prefix: str, depth: int) -> Iterator[_Part]:
        """What lies below a prefix, in listing order, down to the folders that are listed."""
        level = _read_level(self._source, self._query, prefix) if depth < self._depth else None
        if level is None:
            yield _Part(prefix)
            return
        for part in level:
            if part.folder:
                yield from self._find_parts(part.folder, depth + 1)
            else:
                yield part

    def _start(self, part: _Part) -> _Stretch:
        if not part.folder:
            return _Stretch(iter([PackedColumns(part.objects)]))
        pages = self._list_folder(part.folder)
        prefetch = Prefetch(pages, most_weight=self._tuning.buffer_objects, weigh=len)
        return _Stretch(prefetch, folders=1, close=prefetch.close)

    def _list_folder(self, prefix: str) -> Iterator[PackedColumns]:
        query = replace(self._query, prefix=prefix)
        for page in fetch_pages(self._source, query, small=True):
            yield PackedColumns(page.objects(times=query.times))

    def _use_first(self, waiting: deque[_Stretch]) -> Iterator[ObjectColumns]:
        """All batches of the first that waits; until it ends it counts as waiting."""
        for batch in waiting[0].batches:
            self._objects += len(batch)
            yield batch.unpack()
        self._folders += waiting.popleft().folders
        if self._folders == self._tuning.review_folders:
            # The other folders may be far smaller than the first ones: then list larger ones.
            if self._objects * self._tuning.folders_a_page < self._folders * self._page_keys:
                self._depth = max(1, self._depth - 1)
            self._folders = self._objects = 0
