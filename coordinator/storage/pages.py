# SPDX-License-Identifier: Apache-2.0
"""A way to fetch one page → all pages of one listing, checked.

What a server or the network can do to a listing ends in one of two ways: the page is asked for
again, or the walk fails and says why. It never ends early as if the folder were shorter. Called
by `parallel`. Next: `parallel`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, pairwise
from operator import lt

from ..model.errors import clean_text
from ..model.object_columns import ObjectColumns
from .page import MalformedPage, Page, parse_page

Fetch = Callable[[Mapping[str, str]], bytes]

# Pauses before a malformed page is asked for again. (Pages that do not come are `storage`'s.)
AGAIN_S = (0.5, 2.0, 8.0)
# A page is asked to have this many keys and about this many bytes. MinIO and AWS send 1,000 keys
# at the most whatever is asked; SeaweedFS sends up to 10,000, and costs less per key then.
LEAST_KEYS = 1_000
MOST_KEYS = 7_000
# The largest page that servers may send, as far as is known: SeaweedFS has 10,000 keys at the most.
_LARGEST_KEYS = 9_999
PAGE_BYTES = 1536 * 1024


@dataclass(frozen=True, slots=True)
class ListQuery:
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


def fetch_first_page(fetch: Fetch, folder: ListQuery, sleep: Callable[[float], None]) -> Page:
    """The first page of a folder."""
    return _page(fetch, folder, "", LEAST_KEYS, sleep)


def fetch_pages(
    fetch: Fetch,
    folder: ListQuery,
    sleep: Callable[[float], None],
    *,
    first: Page | None = None,
    small: bool = False,
) -> Iterator[Page]:
    """All pages of a folder, of which the first may be at hand; `small` where many are held."""
    found = first or fetch_first_page(fetch, folder, sleep)
    yield found
    token = ""
    landmark, steps, leap = "", 0, 1
    while found.token:
        # A cycle of tokens is noticed without keeping them all: by a landmark ever further on.
        steps += 1
        if found.token in {token, landmark}:
            where = clean_text(found.token, 80)
            raise MalformedPage(
                f"it sent the continuation token {where!r} twice: the list is a circle"
            )
        if steps == leap:
            landmark, leap = found.token, leap * 2
        token = found.token
        asked = LEAST_KEYS if small else _next_size(found)
        found = _page(fetch, folder, _sendable(found), asked, sleep)
        yield found


def check_order(batches: Iterable[ObjectColumns]) -> Iterator[ObjectColumns]:
    """The batches that hold anything, if all keys ascend strictly; raises Malformed if not."""
    last = b""
    for each in batches:
        if each.keys:
            _check_order(last, each.keys)
            last = each.keys[-1]
            yield each


def _page(
    fetch: Fetch, folder: ListQuery, token: str, asked: int, sleep: Callable[[float], None]
) -> Page:
    """The page at a token. One that is full and is said to be the last is not believed at once.

    SeaweedFS takes a list for complete if a page is filled up below an object `a` that has `a/b`
    beside it and is the last of its folder. A larger page shows whether there is more.
    """
    found = _one(fetch, folder.query(token, asked), sleep)
    while folder.recursive and not found.token and _count(found) >= asked:
        before, asked = _count(found), asked * 2
        found = _one(fetch, folder.query(token, asked), sleep)
        if _count(found) <= before:
            break
        if not found.token and _count(found) > _LARGEST_KEYS:
            end = clean_text(found.objects().keys[-1].decode(errors="replace"), 120)
            raise MalformedPage(f"it says that its list ends at {end!r}, and there may be more")
    return found


def _sendable(found: Page) -> str:
    """The token as the server has it.

    SeaweedFS's is the last key itself, in which XML has U+FFFD for a control character, whatever
    the encoding asked for; sent back so, it would point elsewhere.
    """
    if "\ufffd" not in found.token:
        return found.token
    for end in (*found.objects().keys[-1:], *found.folders[-1:]):
        last = end.decode(errors="replace")
        if len(last) == len(found.token) and all(map(_alike, last, found.token)):
            return last
    raise MalformedPage(
        f"its continuation token {clean_text(found.token, 80)!r} cannot be sent back"
    )


def _alike(sent: str, shown: str) -> bool:
    return shown in {sent, "\ufffd"}


def _one(fetch: Fetch, query: Mapping[str, str], sleep: Callable[[float], None]) -> Page:
    for pause in (*AGAIN_S, None):
        try:
            return parse_page(fetch(query))
        except MalformedPage as error:
            if pause is None:
                tries = len(AGAIN_S) + 1
                raise MalformedPage(f"{error}; asked {tries} times for the same page") from error
            sleep(pause)
    raise AssertionError("unreachable")


def _count(found: Page) -> int:
    return found.body.count(b"</Key>")


def _next_size(found: Page) -> int:
    """How many keys the next page may have, going by the bytes of this one."""
    fitting = PAGE_BYTES * _count(found) // len(found.body)
    return min(max(fitting, LEAST_KEYS), MOST_KEYS)


def _check_order(last: bytes, keys: list[bytes]) -> None:
    """Keys ascend strictly: by bytes as in S3, or folder by folder as SeaweedFS has them."""
    if last < keys[0] and all(map(lt, keys, islice(keys, 1, None))):
        return
    names = [last, *keys] if last else keys
    for before, after in pairwise(names):
        if before.split(b"/") >= after.split(b"/"):
            wrong = clean_text(after.decode(errors="replace"), 120)
            raise MalformedPage(
                f"its listing is out of order at {wrong!r}: it would miss or repeat objects"
            )
