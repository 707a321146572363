# SPDX-License-Identifier: Apache-2.0
"""A way to fetch one page → all objects of a folder, page by page, fetched ahead and checked.

While one page is worked on, a thread fetches the next. What a server or the network can do to a
listing ends in one of two ways: the page is asked for again, or the walk fails and says why.
It never ends early as if the folder were shorter. Called by `storage`. Next: `selection`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice, pairwise
from operator import lt
from queue import Empty, Full, Queue
from typing import TypeVar

from coordinator.errors import trimmed
from coordinator.listing import Malformed, Page, page
from coordinator.objects import Objects

T = TypeVar("T")
Fetch = Callable[[Mapping[str, str]], bytes]

# Pauses before a malformed page is asked for again. (Pages that do not come are `storage`'s.)
AGAIN_S = (0.5, 2.0, 8.0)
# A page is asked to have this many keys and about this many bytes. MinIO and AWS send 1,000 keys
# at the most whatever is asked; SeaweedFS sends up to 10,000, and costs less per key then.
LEAST_KEYS = 1_000
MOST_KEYS = 5_000
PAGE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Folder:
    """What is to be listed."""

    prefix: str
    recursive: bool = True
    times: bool = False
    """Whether the times of the objects are wanted: reading them costs."""

    def query(self, token: str, max_keys: int) -> dict[str, str]:
        """The request for one page. Empty values are sent too: bucket policies may test them."""
        asked = {
            "list-type": "2",
            "prefix": self.prefix,
            "delimiter": "" if self.recursive else "/",
            # Without it, names with control characters arrive mangled from most servers.
            "encoding-type": "url",
            "max-keys": str(max_keys),
        }
        return asked | ({"continuation-token": token} if token else {})


def walk(
    fetch: Fetch, folder: Folder, *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Objects]:
    """All objects of a folder, in listing order, each once."""
    last = b""
    with closing(ahead(_pages(fetch, folder, sleep))) as pages:
        for each in pages:
            objects = each.objects(times=folder.times)
            if objects.keys:
                _check_order(last, objects.keys)
                last = objects.keys[-1]
                yield objects


def ahead(source: Iterator[T]) -> Generator[T, None, None]:
    """The same values, one fetched ahead in a thread; errors arrive where their value would."""
    ready: Queue[tuple[T | None, BaseException | None]] = Queue(maxsize=1)
    stopped = threading.Event()

    def put(value: T | None, error: BaseException | None) -> None:
        while not stopped.is_set():
            with suppress(Full):
                ready.put((value, error), timeout=0.1)
                return

    def produce() -> None:
        try:
            for value in source:
                put(value, None)
                if stopped.is_set():
                    return
            put(None, None)
        except BaseException as error:  # raised again by the consumer
            put(None, error)

    thread = threading.Thread(target=produce, name="listing", daemon=True)
    thread.start()
    try:
        while True:
            value, error = ready.get()
            if error is not None:
                raise error
            if value is None:
                return
            yield value
    finally:
        stopped.set()
        with suppress(Empty):
            ready.get_nowait()
        # Not joined: it may be in the middle of a request, whose end nobody waits for.


def _pages(fetch: Fetch, folder: Folder, sleep: Callable[[float], None]) -> Iterator[Page]:
    token, asked = "", LEAST_KEYS
    landmark, steps, leap = "", 0, 1
    while True:
        found = _one(fetch, folder.query(token, asked), sleep)
        yield found
        if not found.token:
            return
        # A cycle of tokens is noticed without keeping them all: by a landmark ever further on.
        steps += 1
        if found.token in {token, landmark}:
            where = trimmed(found.token, 80)
            raise Malformed(f"it sent the continuation token {where!r} twice: the list is a circle")
        if steps == leap:
            landmark, leap = found.token, leap * 2
        token, asked = found.token, _next_size(found)


def _one(fetch: Fetch, query: Mapping[str, str], sleep: Callable[[float], None]) -> Page:
    for pause in (*AGAIN_S, None):
        try:
            return page(fetch(query))
        except Malformed as error:
            if pause is None:
                tries = len(AGAIN_S) + 1
                raise Malformed(f"{error}; asked {tries} times for the same page") from error
            sleep(pause)
    raise AssertionError("unreachable")


def _next_size(found: Page) -> int:
    """How many keys the next page may have, going by the bytes of this one."""
    count = found.body.count(b"</Key>")
    fitting = PAGE_BYTES * count // len(found.body)
    return min(max(fitting, LEAST_KEYS), MOST_KEYS)


def _check_order(last: bytes, keys: list[bytes]) -> None:
    """Keys ascend strictly: by bytes as in S3, or folder by folder as SeaweedFS has them."""
    if last < keys[0] and all(map(lt, keys, islice(keys, 1, None))):
        return
    names = [last, *keys] if last else keys
    for before, after in pairwise(names):
        if before.split(b"/") >= after.split(b"/"):
            wrong = trimmed(after.decode(errors="replace"), 120)
            raise Malformed(
                f"its listing is out of order at {wrong!r}: it would miss or repeat objects"
            )
