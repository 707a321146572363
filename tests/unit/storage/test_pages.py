# SPDX-License-Identifier: Apache-2.0
"""The walk over pages: all objects once, or a failure; never a shorter list."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import pytest

from coordinator.storage.page import MalformedPage
from coordinator.storage.pages import (
    MALFORMED_DELAYS_S,
    ListQuery,
    PageSource,
    Tuning,
    list_objects,
)
from coordinator.storage.retry import Sleep
from tests.unit.storage.test_page import entry


def body(keys: list[str], token: str = "") -> bytes:
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    truncated = "true" if token else "false"
    entries = "".join(map(entry, keys))
    head = f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>"
    return f"{head}{entries}{more}</ListBucketResult>".encode()


def make_source(
    fetch: Callable[[Mapping[str, str]], bytes], sleep: Sleep = lambda seconds: None
) -> PageSource:
    return PageSource(fetch, sleep, Tuning())


class Server:
    """Answers by token, each time with the next of the answers that it has for it."""

    def __init__(self, answers: Mapping[str, list[bytes]]) -> None:
        self.answers = {token: list(bodies) for token, bodies in answers.items()}
        self.asked: list[dict[str, str]] = []
        self.slept: list[float] = []

    def fetch(self, query: Mapping[str, str]) -> bytes:
        self.asked.append(dict(query))
        bodies = self.answers[query.get("continuation-token", "")]
        return bodies.pop(0) if len(bodies) > 1 else bodies[0]

    def list(self, folder: ListQuery | None = None) -> list[bytes]:
        found = list_objects(make_source(self.fetch, self.slept.append), folder or ListQuery("p/"))
        return [key for objects in found for key in objects.keys]


def test_all_pages_come_in_order_and_empty_ones_do_not_end_it() -> None:
    server = Server({"": [body(["a", "b"], "1")], "1": [body([], "2")], "2": [body(["c"])]})
    assert server.list() == [b"a", b"b", b"c"]
    assert [query.get("continuation-token") for query in server.asked] == [None, "1", "2"]


def test_the_first_request_says_all_that_policies_may_ask_for() -> None:
    server = Server({"": [body([])]})
    server.list(ListQuery("in put/", recursive=False))
    assert server.asked == [
        {
            "list-type": "2",
            "prefix": "in put/",
            "delimiter": "/",
            "encoding-type": "url",
            "max-keys": "1000",
        }
    ]


def test_small_entries_make_the_next_page_larger() -> None:
    server = Server({"": [body(["a"], "1")], "1": [body(["b"])]})
    server.list()
    assert server.asked[1]["max-keys"] == str(Tuning().most_keys)


def test_long_keys_keep_it_small() -> None:
    server = Server({"": [body([f"{i}" + "k" * 1024 for i in range(9)], "1")], "1": [body(["b"])]})
    server.list()
    assert 1_300 < int(server.asked[1]["max-keys"]) < 1_500


def test_a_page_cut_short_is_requested_again() -> None:
    whole = body(["a", "b"], "1")
    server = Server({"": [whole[:70], whole[:-30], whole], "1": [body(["c"])]})
    assert server.list() == [b"a", b"b", b"c"]
    assert server.slept == list(MALFORMED_DELAYS_S[:2])


def test_a_page_that_stays_cut_short_ends_the_listing() -> None:
    server = Server({"": [body(["a"])[:60]]})
    with pytest.raises(MalformedPage, match="requested 4 times"):
        server.list()
    assert server.slept == list(MALFORMED_DELAYS_S)


@pytest.mark.parametrize("circle", [["1"], ["1", "2"], ["1", "2", "3"], list("12345678")])
def test_tokens_in_a_circle_end_the_listing(circle: list[str]) -> None:
    answers = {"": [body([], circle[0])]}
    answers |= {token: [body([], circle[(i + 1) % len(circle)])] for i, token in enumerate(circle)}
    with pytest.raises(MalformedPage, match="circle"):
        Server(answers).list()


@pytest.mark.parametrize(
    "pages",
    [[["b", "a"]], [["a", "a"]], [["a", "b"], ["b", "c"]], [["a", "c"], ["b"]], [["a/b", "a/a"]]],
    ids=["descends", "twice", "repeats over pages", "descends over pages", "in a folder"],
)
def test_a_listing_out_of_order_is_an_error(pages: list[list[str]]) -> None:
    last = len(pages) - 1
    answers = {
        str(i or ""): [body(keys, str(i + 1) if i < last else "")] for i, keys in enumerate(pages)
    }
    with pytest.raises(MalformedPage, match="out of order"):
        Server(answers).list()


def test_seaweedfs_orders_folder_by_folder() -> None:
    assert Server({"": [body(["a", "a/b", "a-b", "a.b"])]}).list() == [b"a", b"a/b", b"a-b", b"a.b"]


class Capped:
    """Says that its list ends where a page is full, as SeaweedFS does below `a` beside `a/b`."""

    def __init__(self, keys: list[str], cap: int) -> None:
        self.keys, self.cap = keys, cap
        self.asked: list[int] = []

    def fetch(self, query: Mapping[str, str]) -> bytes:
        self.asked.append(int(query["max-keys"]))
        return body(self.keys[: min(self.asked[-1], self.cap)])


@pytest.mark.parametrize(
    ("count", "cap", "asked"),
    [
        pytest.param(999, 1000, [1000], id="not full"),
        pytest.param(1000, 1000, [1000, 2000], id="full, and no more"),
        pytest.param(3500, 10_000, [1000, 2000, 4000], id="more is there"),
        pytest.param(8500, 10_000, [1000, 2000, 4000, 8000, 16000], id="much more is there"),
    ],
)
def test_a_last_page_that_is_full_is_not_believed_at_once(
    count: int, cap: int, asked: list[int]
) -> None:
    server = Capped([f"{i:05}" for i in range(count)], cap)
    found = list(list_objects(make_source(server.fetch), ListQuery("")))
    assert (sum(map(len, found)), server.asked) == (count, asked)


def test_a_list_whose_end_cannot_be_found_is_an_error() -> None:
    server = Capped([f"{i:05}" for i in range(20_000)], 10_000)
    with pytest.raises(MalformedPage, match="ends at '09999', and there may be more"):
        list(list_objects(make_source(server.fetch), ListQuery("")))


def test_a_token_in_which_xml_lost_a_character_is_restored_from_the_last_key() -> None:
    first = body(["a", "b%1F"], "b\ufffd").replace(b"<IsT", b"<EncodingType>url</EncodingType><IsT")
    server = Server({"": [first], "b\x1f": [body(["c"])]})
    assert server.list() == [b"a", b"b\x1f", b"c"]


@pytest.mark.parametrize("last", ["x", "bb"])
def test_a_token_that_cannot_be_restored_is_an_error(last: str) -> None:
    with pytest.raises(MalformedPage, match="cannot be sent back"):
        Server({"": [body(["a", last], "c\ufffd")]}).list()


def test_the_next_page_is_fetched_while_one_is_worked_on() -> None:
    fetched = threading.Event()

    def fetch(query: Mapping[str, str]) -> bytes:
        if "continuation-token" in query:
            fetched.set()
            return body(["b"])
        return body(["a"], "1")

    found = list_objects(make_source(fetch), ListQuery(""))
    assert next(found).keys == [b"a"]
    assert fetched.wait(10)
    assert [objects.keys for objects in found] == [[b"b"]]
