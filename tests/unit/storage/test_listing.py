# SPDX-License-Identifier: Apache-2.0
"""Folders listed side by side: the same objects in the same order as one listing gives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.storage.listing import list_objects
from coordinator.storage.page import MalformedPage
from coordinator.storage.pages import ListQuery, PageSource, Tuning

Order = Callable[[bytes], Any]
# Pages of four keys; folders of more than a dozen are too large.
SMALL = Tuning(least_keys=4, most_keys=4, folder_objects=12, buffer_objects=6, folders_a_page=2)


def by_bytes(key: bytes) -> Any:
    return key


def folder_by_folder(key: bytes) -> Any:
    """As SeaweedFS has it: a folder stands where its name without the slash does."""
    return key.rstrip(b"/").split(b"/"), key.endswith(b"/")


class Server:
    """Lists made-up keys as S3 does: by prefix and delimiter, page by page, in its own order."""

    def __init__(
        self, keys: list[str], order: Order = by_bytes, *, tuning: Tuning | None = None
    ) -> None:
        self.keys = sorted((key.encode() for key in keys), key=order)
        self.tuning = tuning or SMALL
        self.now_s = 0.0
        self.page_s = 1.0
        """How long a page takes."""
        self.asked: list[tuple[str, str]] = []
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def fetch(self, query: Mapping[str, str]) -> bytes:
        with self._lock:
            self.now_s += self.page_s
            self.asked.append((query["prefix"], query["delimiter"]))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return self.page(query)
        finally:
            with self._lock:
                self.at_once -= 1

    def page(self, query: Mapping[str, str]) -> bytes:
        prefix = query["prefix"].encode()
        below = [key for key in self.keys if key.startswith(prefix)]

        def entry(key: bytes) -> tuple[bytes, bool]:
            name, slash, _ = key[len(prefix) :].partition(b"/")
            within = bool(query["delimiter"] and slash)
            return (prefix + name + b"/" if within else key), within

        entries = [entry for entry, _ in groupby(map(entry, below))]
        start = int(query.get("continuation-token", "0"))
        stop = start + int(query["max-keys"])
        found = "".join(
            f"<CommonPrefixes><Prefix>{quote(name)}</Prefix></CommonPrefixes>"
            if within
            else f"<Contents><Key>{quote(name)}</Key><Size>{len(name)}</Size></Contents>"
            for name, within in entries[start:stop]
        )
        more = f"<NextContinuationToken>{stop}</NextContinuationToken>"
        truncated = stop < len(entries)
        head = f"<EncodingType>url</EncodingType><IsTruncated>{str(truncated).lower()}"
        head += f"</IsTruncated>{more * truncated}"
        return f"<ListBucketResult>{head}{found}</ListBucketResult>".encode()

    def source(self) -> PageSource:
        def sleep(seconds: float) -> None:
            self.now_s += seconds

        return PageSource(self.fetch, sleep, lambda: self.now_s, self.tuning)

    def list(self, prefix: str = "") -> list[bytes]:
        found = list_objects(self.source(), ListQuery(prefix))
        return [key for objects in found for key in objects.keys]


YEARS = [f"in/{year}/{day:02}/{n}.jpg" for year in range(4) for day in range(3) for n in range(9)]
NAMES = st.sampled_from(["a", "a-", "a/", "a/b", "b/c", "b/c-", "b/c/", "0", "é", "\U0001f600"])
KEYS = st.lists(
    st.lists(NAMES, min_size=1, max_size=4).map("/".join).filter(lambda key: "//" not in key),
    unique=True,
    max_size=60,
)


@pytest.mark.parametrize("order", [by_bytes, folder_by_folder])
@given(keys=KEYS, prefix=st.sampled_from(["", "a", "a/", "b/c"]))
def test_it_is_what_one_listing_gives(keys: list[str], prefix: str, order: Order) -> None:
    server = Server(keys, order)
    expected = [key for key in server.keys if key.startswith(prefix.encode())]
    assert server.list(prefix) == expected


def test_folders_are_listed_side_by_side() -> None:
    server = Server(YEARS)
    both = threading.Barrier(2, timeout=10)
    page = server.page

    def meeting(query: Mapping[str, str]) -> bytes:
        beginning = "continuation-token" not in query and not query["delimiter"]
        if beginning and query["prefix"] in {"in/1/", "in/2/"}:
            both.wait()  # passes only if the two are asked for at the same time
        return page(query)

    server.page = meeting  # type: ignore[method-assign]
    assert server.list("in/") == server.keys
    assert 2 <= server.most_at_once <= SMALL.streams + 1  # and the list of folders


def test_the_level_is_the_highest_whose_folders_are_not_too_large() -> None:
    server = Server(
        [f"in/{year}/{day}/{n}" for year in range(9) for day in range(2) for n in "abcd"]
    )
    assert server.list("in/") == server.keys
    assert {prefix for prefix, delimiter in server.asked if not delimiter} == {
        "in/",
        *(f"in/{year}/" for year in range(9)),
    }


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param([f"in/{n:03}" for n in range(99)], id="flat"),
        pytest.param([f"in/{n:03}/x" for n in range(30)], id="tiny folders"),
        pytest.param([f"in/{n:03}/{i}" for n in range(99) for i in "abcd"], id="too many folders"),
        pytest.param([f"in/a/{n:03}/{i}" for n in range(99) for i in "abcd"], id="one folder"),
        pytest.param([f"in/a/{n}" for n in range(9)], id="not many"),
        pytest.param(["in/a", "in/b", "in/c/d"], id="one page"),
    ],
)
def test_it_stays_one_listing_where_dividing_would_not_pay(keys: list[str]) -> None:
    server = Server(keys)
    assert server.list("in/") == server.keys
    assert {prefix for prefix, delimiter in server.asked if not delimiter} == {"in/"}


@pytest.mark.parametrize(("page_s", "side_by_side"), [(0.01, False), (0.02, True), (0.5, True)])
def test_folders_are_listed_side_by_side_only_where_a_page_takes_long(
    page_s: float, side_by_side: bool
) -> None:
    server = Server(YEARS, tuning=replace(SMALL, least_wait_s=0.015))
    server.page_s = page_s
    assert server.list("in/") == server.keys
    assert (len(set(server.asked)) > 1) is side_by_side


def test_small_folders_behind_large_ones_are_listed_together() -> None:
    large = [f"in/0/{n}/{i}" for n in range(4) for i in range(9)]
    tiny = [f"in/{year}/{n:02}/x" for year in range(10, 40) for n in range(30)]
    server = Server(large + tiny, tuning=replace(SMALL, least_keys=8))
    assert server.list("in/") == server.keys
    assert len(server.asked) < len(server.keys) / 2


def test_an_ambiguous_order_is_left_to_the_server() -> None:
    # By bytes a-b comes before a/, folder by folder it comes after.
    keys = [*(f"{folder}/{n}" for folder in "abcd" for n in range(20)), "a-b"]
    for order in (by_bytes, folder_by_folder):
        server = Server(keys, order)
        assert server.list() == server.keys
        assert {prefix for prefix, delimiter in server.asked if not delimiter} == {""}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"<ListBucketResult><IsTr", id="no whole answer"),
        pytest.param(None, id="refused"),
        pytest.param(
            "<Contents><Key>in/0/</Key><Size>0</Size></Contents>"
            "<CommonPrefixes><Prefix>in/1/</Prefix></CommonPrefixes>"
            "<CommonPrefixes><Prefix>in/2/</Prefix></CommonPrefixes>",
            id="a folder in disguise",
        ),
        pytest.param(
            "<CommonPrefixes><Prefix>in/0/</Prefix></CommonPrefixes>" * 9, id="one folder twice"
        ),
        pytest.param(
            "".join(
                f"<CommonPrefixes><Prefix>in/{n}%EF%BF%BD/</Prefix></CommonPrefixes>"
                for n in range(9)
            ),
            id="a name that XML spoilt",
        ),
        pytest.param(
            "".join(
                f"<CommonPrefixes><Prefix>in/%FF{n}/</Prefix></CommonPrefixes>" for n in range(9)
            ),
            id="no Unicode",
        ),
        pytest.param(
            "".join(f"<CommonPrefixes><Prefix>on/{n}/</Prefix></CommonPrefixes>" for n in range(9)),
            id="folders of elsewhere",
        ),
    ],
)
def test_a_level_in_doubt_is_left_to_one_listing(answer: bytes | str | None) -> None:
    server = Server(YEARS)
    page = server.page

    def doubtful(query: Mapping[str, str]) -> bytes:
        if not query["delimiter"]:
            return page(query)
        if answer is None:
            raise PermissionError
        head = "<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"
        whole = f"<ListBucketResult>{head}{answer!s}</ListBucketResult>".encode()
        return answer if isinstance(answer, bytes) else whole

    server.page = doubtful  # type: ignore[method-assign]
    found = list_objects(server.source(), ListQuery("in/"))
    assert [key for objects in found for key in objects.keys] == server.keys
    assert {prefix for prefix, delimiter in server.asked if not delimiter} <= {"in/", "in/0/"}


def test_folders_that_a_policy_forbids_are_left_to_one_listing() -> None:
    server = Server(YEARS)
    page = server.page

    def guarded(query: Mapping[str, str]) -> bytes:
        if query["prefix"] != "in/":
            raise PermissionError
        return page(query)

    server.page = guarded  # type: ignore[method-assign]
    assert server.list("in/") == server.keys


def test_a_folder_that_fails_ends_the_walk_after_what_came_before() -> None:
    server = Server(YEARS)
    page = server.page

    def broken(query: Mapping[str, str]) -> bytes:
        if query["prefix"] == "in/1/" and not query["delimiter"]:
            raise KeyError("gone")
        return page(query)

    server.page = broken  # type: ignore[method-assign]
    found = list_objects(server.source(), ListQuery("in/"))
    first = [key for key in server.keys if key.startswith(b"in/0/")]
    assert [
        key for _, objects in zip(range(7), found, strict=False) for key in objects.keys
    ] == first
    with pytest.raises(KeyError, match="gone"):
        next(found)


def test_a_folder_that_lists_another_ends_the_walk() -> None:
    server = Server(YEARS)
    page = server.page
    server.page = lambda query: page(  # type: ignore[method-assign]
        {**query, "prefix": "in/0/"} if query["prefix"] == "in/2/" else query
    )
    with pytest.raises(MalformedPage, match="out of order"):
        server.list("in/")


def test_a_walk_that_is_left_lets_its_threads_end() -> None:
    before = set(threading.enumerate())
    found = list_objects(Server(YEARS).source(), ListQuery("in/"))
    next(found)
    threads = set(threading.enumerate()) - before
    assert threads
    found.close()  # type: ignore[attr-defined]
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
