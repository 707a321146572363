# SPDX-License-Identifier: Apache-2.0
"""A folder → its objects, its subfolders listed side by side and merged back into listing order.

A server gives the pages of one listing one after the other, and most of the time is its own: so
several listings at once are faster, each of a folder of its own. The folders are those that `/`
tells from each other, at a level at which they are neither tiny nor huge. Where that cannot be
said safely, or would not pay, the listing stays one. Called by `storage`. Next: `selection`.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import islice
from math import inf

from ..model.object_columns import ObjectColumns, PackedColumns
from .page import Page
from .pages import Fetch, ListQuery, check_order, fetch_first_page, fetch_pages
from .prefetch import Prefetch

# Listings at once, and how many objects of each may wait for those before it. Their pages are kept
# small: all in all, memory stays within a tenth of that of one listing.
STREAMS = 3
ROOM = 12_000
# Folders of about so many objects are best: smaller ones cost more requests, of larger ones only
# the beginning is listed while others are.
FOLDER = 24_000
# Folders are large enough if a page meets so many at the most: smaller ones cost a request each
# and yield less than a quarter of a page.
_FOLDERS_A_PAGE = 4
# After so many folders it is looked at again.
_SEEN = 32
# A level with more pages of folders than this is not divided: the list of them is held.
_LEVEL_PAGES = 8

Sleep = Callable[[float], None]


def list_objects(
    fetch: Fetch, folder: ListQuery, *, sleep: Sleep = time.sleep
) -> Iterator[ObjectColumns]:
    """All objects of a folder, in listing order, each once."""
    first = fetch_first_page(fetch, folder, sleep)
    division = None
    # A server that lists on by itself (MinIO) has nothing to do at once that it does not do anyway.
    if folder.recursive and first.token and not first.listed_ahead:
        division = _divided(fetch, folder, sleep, first.objects().keys)
    source = division.batches() if division else _straight(fetch, folder, sleep, first)
    with closing(source):
        yield from check_order(source)


def _straight(
    fetch: Fetch, folder: ListQuery, sleep: Sleep, first: Page
) -> Generator[ObjectColumns, None, None]:
    """One listing; the next page is fetched while one is read."""
    with closing(Prefetch(fetch_pages(fetch, folder, sleep, first=first))) as ahead:
        for page in ahead:
            yield page.objects(times=folder.times)


def _divided(fetch: Fetch, folder: ListQuery, sleep: Sleep, keys: list[bytes]) -> _Division | None:
    """The division at the best level, if there is any; `keys` are those of the first page.

    It is the highest level whose folders are not too large, going by the folders of the first
    page and by how many others lie beside them.
    """
    start = len(folder.prefix.encode())
    names = [key[start:].split(b"/")[:-1] for key in keys]
    depth, size = 0, float(len(keys))
    while True:
        met = {tuple(name[: depth + 1]) for name in names if len(name) > depth}
        if not 0 < len(met) <= _FOLDERS_A_PAGE:
            break
        depth, size = depth + 1, len(keys) / len(met)
    path = next((name[:depth] for name in names if len(name) >= depth), [])
    while depth:
        below = b"".join(name + b"/" for name in path[: depth - 1])
        # A name that is no Unicode cannot be asked for; what is asked for instead is empty.
        level = _level(fetch, folder, sleep, folder.prefix + below.decode(errors="replace"))
        size *= inf if level is None else sum(isinstance(part, str) for part in level)
        if level and size > FOLDER:
            folders = [part for part in level if isinstance(part, str)]
            if len(folders) > 1 and _allowed(fetch, replace(folder, prefix=folders[0]), sleep):
                return _Division(fetch, folder, sleep, depth, len(keys))
            return None
        depth -= 1
    return None


def _allowed(fetch: Fetch, folder: ListQuery, sleep: Sleep) -> bool:
    """Whether a subfolder may be listed: a policy may allow the one above alone."""
    try:
        fetch_first_page(fetch, folder, sleep)
    except Exception:  # one listing may do without it, and meets what is really wrong
        return False
    return True


def _level(
    fetch: Fetch, folder: ListQuery, sleep: Sleep, prefix: str
) -> list[ObjectColumns | str] | None:
    """What lies directly below a prefix, in listing order: objects, and the folders between them.

    None if there is too much of it, if its order or a folder's name is in doubt, or if the server
    refuses: one listing may do without it, and meets what is really wrong.
    """
    here = replace(folder, prefix=prefix, recursive=False)
    try:
        found = list(islice(fetch_pages(fetch, here, sleep, small=True), _LEVEL_PAGES))
        if found[-1].token or not all(page.url_encoded for page in found):
            return None
        batches = [page.objects(times=folder.times) for page in found]
        folders = [name.decode() for page in found for name in page.folders]
    except Exception:  # see above
        return None
    return _merged(ObjectColumns.join(batches), folders, prefix)


def _merged(
    objects: ObjectColumns, folders: list[str], prefix: str
) -> list[ObjectColumns | str] | None:
    """The objects and the folders of a level in listing order; None if that is in doubt.

    Servers order by bytes, as `a-b` < `a/` < `a0`, or folder by folder, as `a/` < `a-b` < `a0`.
    """
    start = len(prefix.encode())
    if any(b"/" in key[start:] for key in objects.keys):  # a folder in disguise
        return None
    for folder in folders:
        name = folder[len(prefix) :]
        if not folder.startswith(prefix) or name.find("/") != len(name) - 1 or "\ufffd" in name:
            return None
    names = sorted([*objects.keys, *map(str.encode, folders)])
    in_doubt = names != sorted(names, key=lambda name: name.split(b"/"))
    if in_doubt or len(set(names)) < len(names) or objects.keys != sorted(objects.keys):
        return None
    found: list[ObjectColumns | str] = []
    done = 0
    for folder in sorted(folders, key=str.encode):
        place = bisect_left(objects.keys, folder.encode())
        found += [objects.slice(done, place), folder]
        done = place
    found.append(objects.slice(done, len(objects)))
    return [part for part in found if part]


class _Division:
    """One walk over a folder by the subfolders at some depth."""

    def __init__(
        self, fetch: Fetch, folder: ListQuery, sleep: Sleep, depth: int, page_keys: int
    ) -> None:
        self._fetch, self._folder, self._sleep = fetch, folder, sleep
        self._depth, self._page_keys = depth, page_keys
        self._folders = self._objects = 0

    def batches(self) -> Generator[ObjectColumns, None, None]:
        """All objects, in listing order."""
        waiting: deque[Iterator[PackedColumns]] = deque()
        parts = Prefetch(self._parts(self._folder.prefix, 0), room=STREAMS)
        try:
            for part in parts:
                waiting.append(self._begun(part))
                if len(waiting) == STREAMS:
                    yield from self._first(waiting)
            while waiting:
                yield from self._first(waiting)
        finally:
            for each in (parts, *waiting):
                if isinstance(each, Prefetch):
                    each.close()

    def _parts(self, prefix: str, depth: int) -> Iterator[ObjectColumns | str]:
        """What lies below a prefix, in listing order: objects, and folders to be listed."""
        level = None
        if depth < self._depth:
            level = _level(self._fetch, self._folder, self._sleep, prefix)
        if level is None:
            yield prefix
            return
        for part in level:
            if isinstance(part, ObjectColumns):
                yield part
            else:
                yield from self._parts(part, depth + 1)

    def _begun(self, part: ObjectColumns | str) -> Iterator[PackedColumns]:
        if isinstance(part, ObjectColumns):
            return iter([PackedColumns(part)])
        return Prefetch(self._listed(part), room=ROOM, weigh=len)

    def _listed(self, prefix: str) -> Iterator[PackedColumns]:
        folder = replace(self._folder, prefix=prefix)
        for page in fetch_pages(self._fetch, folder, self._sleep, small=True):
            yield PackedColumns(page.objects(times=folder.times))

    def _first(self, waiting: deque[Iterator[PackedColumns]]) -> Iterator[ObjectColumns]:
        """All of the first that waits; until it is through it counts as waiting."""
        for batch in waiting[0]:
            self._objects += len(batch)
            yield batch.unpack()
        if not isinstance(waiting.popleft(), Prefetch):
            return
        self._folders += 1
        if self._folders == _SEEN:
            # The other folders may be far smaller than the first ones: then go by larger ones.
            if self._objects * _FOLDERS_A_PAGE < self._folders * self._page_keys:
                self._depth = max(1, self._depth - 1)
            self._folders = self._objects = 0
