# SPDX-License-Identifier: Apache-2.0
"""Folders listed side by side: the same objects in the same order as one listing gives."""

from __future__ import annotations

import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.storage import listing as parallel
from coordinator.storage import pages as walk
from coordinator.storage.page import MalformedPage
from coordinator.storage.pages import ListQuery

Order = Callable[[bytes], Any]


def by_bytes(key: bytes) -> Any:
    return key


def folder_by_folder(key: bytes) -> Any:
    """As SeaweedFS has it: a folder stands where its name without the slash does."""
    return key.rstrip(b"/").split(b"/"), key.endswith(b"/")


class Server:
    """Lists made-up keys as S3 does: by prefix and delimiter, page by page, in its own order."""

    def __init__(self, keys: list[str], order: Order = by_bytes, *, minio: bool = False) -> None:
        self.keys = sorted((key.encode() for key in keys), key=order)
        self.minio = minio
        self.asked: list[tuple[str, str]] = []
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def fetch(self, query: Mapping[str, str]) -> bytes:
        with self._lock:
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
        start = int(self.place(query.get("continuation-token", "0")))
        stop = start + int(query["max-keys"])
        found = "".join(
            f"<CommonPrefixes><Prefix>{quote(name)}</Prefix></CommonPrefixes>"
            if within
            else f"<Contents><Key>{quote(name)}</Key><Size>{len(name)}</Size></Contents>"
            for name, within in entries[start:stop]
        )
        token = f"{stop}[minio_cache:v2,return:]".encode()
        token = b64encode(token) if self.minio else str(stop).encode()
        more = f"<NextContinuationToken>{token.decode()}</NextContinuationToken>"
        truncated = stop < len(entries)
        head = f"<EncodingType>url</EncodingType><IsTruncated>{str(truncated).lower()}"
        head += f"</IsTruncated>{more * truncated}"
        return f"<ListBucketResult>{head}{found}</ListBucketResult>".encode()

    def place(self, token: str) -> str:
        return b64decode(token).partition(b"[")[0].decode() if len(token) > 9 else token

    def walk(self, prefix: str = "") -> list[bytes]:
        found = parallel.list_objects(self.fetch, ListQuery(prefix))
        return [key for objects in found for key in objects.keys]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of four keys; folders of more than a dozen are too large."""
    monkeypatch.setattr(walk, "LEAST_KEYS", 4)
    monkeypatch.setattr(walk, "MOST_KEYS", 4)
    monkeypatch.setattr(parallel, "FOLDER", 12)
    monkeypatch.setattr(parallel, "ROOM", 6)
    monkeypatch.setattr(parallel, "_FOLDERS_A_PAGE", 2)


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
    assert server.walk(prefix) == expected


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
    assert server.walk("in/") == server.keys
    assert 2 <= server.most_at_once <= parallel.STREAMS + 1  # and the list of folders


def test_the_level_is_the_highest_whose_folders_are_not_too_large() -> None:
    server = Server(
        [f"in/{year}/{day}/{n}" for year in range(9) for day in range(2) for n in "abcd"]
    )
    assert server.walk("in/") == server.keys
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
    assert server.walk("in/") == server.keys
    assert {prefix for prefix, delimiter in server.asked if not delimiter} == {"in/"}


def test_a_server_that_lists_ahead_by_itself_is_left_alone() -> None:
    server = Server([f"in/{year}/{n}" for year in range(9) for n in range(9)], minio=True)
    assert server.walk("in/") == server.keys
    assert set(server.asked) == {("in/", "")}


def test_small_folders_behind_large_ones_are_listed_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(walk, "LEAST_KEYS", 8)
    large = [f"in/0/{n}/{i}" for n in range(4) for i in range(9)]
    tiny = [f"in/{year}/{n:02}/x" for year in range(10, 40) for n in range(30)]
    server = Server(large + tiny)
    assert server.walk("in/") == server.keys
    assert len(server.asked) < len(server.keys) / 2


def test_an_ambiguous_order_is_left_to_the_server() -> None:
    # By bytes a-b comes before a/, folder by folder it comes after.
    keys = [*(f"{folder}/{n}" for folder in "abcd" for n in range(20)), "a-b"]
    for order in (by_bytes, folder_by_folder):
        server = Server(keys, order)
        assert server.walk() == server.keys
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
    found = parallel.list_objects(server.fetch, ListQuery("in/"), sleep=lambda _: None)
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
    assert server.walk("in/") == server.keys


def test_a_folder_that_fails_ends_the_walk_after_what_came_before() -> None:
    server = Server(YEARS)
    page = server.page

    def broken(query: Mapping[str, str]) -> bytes:
        if query["prefix"] == "in/1/" and not query["delimiter"]:
            raise KeyError("gone")
        return page(query)

    server.page = broken  # type: ignore[method-assign]
    found = parallel.list_objects(server.fetch, ListQuery("in/"))
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
        server.walk("in/")


def test_a_walk_that_is_left_lets_its_threads_end() -> None:
    before = set(threading.enumerate())
    found = parallel.list_objects(Server(YEARS).fetch, ListQuery("in/"))
    next(found)
    threads = set(threading.enumerate()) - before
    assert threads
    found.close()  # type: ignore[attr-defined]
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
