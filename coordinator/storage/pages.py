# SPDX-License-Identifier: Apache-2.0
"""Lists a folder page by page, in order, and checks every page.

If a page is wrong or missing, it is requested again, or the listing fails and says why. It never
ends early as if the folder were shorter. The next page is fetched while one is parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, pairwise
from operator import lt

from ..model.errors import clean_text
from ..model.object_columns import ObjectColumns
from .page import MalformedPage, Page, parse_page
from .prefetch import Prefetch
from .retry import Sleep, retry

# Before a malformed page is requested again. (Requests without an answer are `client`'s matter.)
MALFORMED_DELAYS_S = (0.5, 2.0, 8.0)
# The largest page that a server is known to send: SeaweedFS 4.48 has 10,000 keys at most.
_LARGEST_KEYS = 9_999


@dataclass(frozen=True, slots=True)
class Tuning:
    """Every number that decides how a folder is listed; tests pass small ones."""

    least_keys: int = 1_000
    """Keys of a page at least. MinIO and Amazon S3 send no more than 1,000 whatever is asked."""
    most_keys: int = 7_000
    """Keys of a page at most. SeaweedFS sends up to 10,000, and costs less per key then."""
    page_bytes: int = 1536 * 1024
    """About as large may a page be."""


@dataclass(frozen=True, slots=True)
class PageSource:
    """Where pages come from."""

    fetch: Callable[[Mapping[str, str]], bytes]
    """The body of the answer to a query."""
    sleep: Sleep
    tuning: Tuning


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What is to be listed."""

    prefix: str
    recursive: bool = True
    times: bool = False
    """Whether the times of the objects are wanted: reading them costs."""

    def make_request(self, token: str, max_keys: int) -> dict[str, str]:
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


def list_objects(source: PageSource, query: ListQuery) -> Iterator[ObjectColumns]:
    """All objects of a folder, in listing order, each once."""
    with closing(Prefetch(fetch_pages(source, query))) as pages:
        yield from check_order(page.objects(times=query.times) for page in pages)


def list_folders(source: PageSource, prefix: str, *, every: bool) -> list[str]:
    """The folders directly below a prefix: every one, or those that the first page has."""
    query = ListQuery(prefix, recursive=False)
    pages = fetch_pages(source, query)
    pages = pages if every else islice(pages, 1)
    # A server may show a folder on the page on which it starts and on the next one.
    found = dict.fromkeys(folder for page in pages for folder in page.folders)
    return [folder.decode(errors="replace") for folder in found]


def fetch_pages(source: PageSource, query: ListQuery) -> Iterator[Page]:
    """All pages of a folder."""
    found = _fetch_page(source, query, "", source.tuning.least_keys)
    yield found
    # A repeated token is found without keeping them all: each is compared with the one before it
    # and with an older one, which is replaced after 1, 2, 4, 8, … pages.
    token = kept = ""
    steps, renew_at = 0, 1
    while found.token:
        steps += 1
        if found.token in {token, kept}:
            shown = clean_text(found.token, 80)
            raise MalformedPage(
                f"it sent the continuation token {shown!r} twice: the list is a circle"
            )
        if steps == renew_at:
            kept, renew_at = found.token, renew_at * 2
        token = found.token
        keys = _choose_page_keys(source.tuning, found)
        found = _fetch_page(source, query, _restore_token(found), keys)
        yield found


def check_order(batches: Iterable[ObjectColumns]) -> Iterator[ObjectColumns]:
    """The batches that hold anything, if all keys ascend strictly; raises MalformedPage if not."""
    last = b""
    for each in batches:
        if each.keys:
            _check_order(last, each.keys)
            last = each.keys[-1]
            yield each


def _fetch_page(source: PageSource, query: ListQuery, token: str, keys: int) -> Page:
    """The page at a token. One that is full and is said to be the last is not believed at once.

    SeaweedFS 4.48 says that a list is complete if a page is filled up below an object `a` that
    has `a/b` beside it and is the last of its folder. A larger page shows whether there is more.
    """
    found = _fetch_well_formed(source, query.make_request(token, keys))
    while query.recursive and not found.token and _count_keys(found) >= keys:
        before, keys = _count_keys(found), keys * 2
        found = _fetch_well_formed(source, query.make_request(token, keys))
        if _count_keys(found) <= before:
            break
        if not found.token and _count_keys(found) > _LARGEST_KEYS:
            end = clean_text(found.objects().keys[-1].decode(errors="replace"), 120)
            raise MalformedPage(f"it says that its list ends at {end!r}, and there may be more")
    return found


def _restore_token(found: Page) -> str:
    """The token as the server has it.

    SeaweedFS 4.48 sends the last key itself, with U+FFFD for every control character, also where
    url encoding was requested; sent back like this, the token would point elsewhere.
    """
    if "\ufffd" not in found.token:
        return found.token
    for end in (*found.objects().keys[-1:], *found.folders[-1:]):
        last = end.decode(errors="replace")
        if len(last) == len(found.token) and all(map(_may_be_shown_as, last, found.token)):
            return last
    raise MalformedPage(
        f"its continuation token {clean_text(found.token, 80)!r} cannot be sent back"
    )


def _may_be_shown_as(sent: str, shown: str) -> bool:
    return shown in {sent, "\ufffd"}


def _fetch_well_formed(source: PageSource, query: Mapping[str, str]) -> Page:
    try:
        return retry(
            lambda _: parse_page(source.fetch(query)),
            delays_s=MALFORMED_DELAYS_S,
            repeatable=lambda error: isinstance(error, MalformedPage),
            sleep=source.sleep,
        )
    except MalformedPage as error:
        tries = len(MALFORMED_DELAYS_S) + 1
        raise MalformedPage(f"{error}; requested {tries} times") from error


def _count_keys(found: Page) -> int:
    return found.body.count(b"</Key>")


def _choose_page_keys(tuning: Tuning, found: Page) -> int:
    """How many keys the next page may have, estimated from the bytes of this one."""
    fitting = tuning.page_bytes * _count_keys(found) // len(found.body)
    return min(max(fitting, tuning.least_keys), tuning.most_keys)


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
