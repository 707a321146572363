# SPDX-License-Identifier: Apache-2.0
"""The walk over pages: all objects once, or a failure; never a shorter list."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

import pytest

from coordinator.listing import Malformed
from coordinator.objects import Objects
from coordinator.walk import AGAIN_S, MOST_KEYS, Folder, ahead, walk
from tests.unit.test_listing import entry


def body(keys: list[str], token: str = "") -> bytes:
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    truncated = "true" if token else "false"
    entries = "".join(map(entry, keys))
    head = f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>"
    return f"{head}{entries}{more}</ListBucketResult>".encode()


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

    def walk(self, folder: Folder | None = None) -> list[bytes]:
        found = walk(self.fetch, folder or Folder("p/"), sleep=self.slept.append)
        return [key for objects in found for key in objects.keys]


def test_all_pages_come_in_order_and_empty_ones_do_not_end_it() -> None:
    server = Server({"": [body(["a", "b"], "1")], "1": [body([], "2")], "2": [body(["c"])]})
    assert server.walk() == [b"a", b"b", b"c"]
    assert [query.get("continuation-token") for query in server.asked] == [None, "1", "2"]


def test_the_first_request_says_all_that_policies_may_ask_for() -> None:
    server = Server({"": [body([])]})
    server.walk(Folder("in put/", recursive=False))
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
    server.walk()
    assert server.asked[1]["max-keys"] == str(MOST_KEYS)


def test_long_keys_do_not() -> None:
    server = Server({"": [body([f"{i}" + "k" * 1024 for i in range(9)], "1")], "1": [body(["b"])]})
    server.walk()
    assert server.asked[1]["max-keys"] == "1000"


def test_a_page_cut_short_is_asked_for_again() -> None:
    whole = body(["a", "b"], "1")
    server = Server({"": [whole[:70], whole[:-30], whole], "1": [body(["c"])]})
    assert server.walk() == [b"a", b"b", b"c"]
    assert server.slept == list(AGAIN_S[:2])


def test_a_page_that_stays_cut_short_ends_the_walk() -> None:
    server = Server({"": [body(["a"])[:60]]})
    with pytest.raises(Malformed, match="asked 4 times"):
        server.walk()
    assert server.slept == list(AGAIN_S)


@pytest.mark.parametrize("circle", [["1"], ["1", "2"], ["1", "2", "3"], list("12345678")])
def test_tokens_in_a_circle_end_the_walk(circle: list[str]) -> None:
    answers = {"": [body([], circle[0])]}
    answers |= {token: [body([], circle[(i + 1) % len(circle)])] for i, token in enumerate(circle)}
    with pytest.raises(Malformed, match="circle"):
        Server(answers).walk()


@pytest.mark.parametrize(
    "pages",
    [[["b", "a"]], [["a", "a"]], [["a", "b"], ["b", "c"]], [["a", "c"], ["b"]], [["a/b", "a/a"]]],
    ids=["descends", "twice", "repeats over pages", "descends over pages", "in a folder"],
)
def test_a_listing_out_of_order_ends_the_walk(pages: list[list[str]]) -> None:
    last = len(pages) - 1
    answers = {
        str(i or ""): [body(keys, str(i + 1) if i < last else "")] for i, keys in enumerate(pages)
    }
    with pytest.raises(Malformed, match="out of order"):
        Server(answers).walk()


def test_seaweedfs_orders_folder_by_folder() -> None:
    assert Server({"": [body(["a", "a/b", "a-b", "a.b"])]}).walk() == [b"a", b"a/b", b"a-b", b"a.b"]


def test_the_next_page_is_fetched_while_one_is_worked_on() -> None:
    fetched = threading.Event()

    def fetch(query: Mapping[str, str]) -> bytes:
        if "continuation-token" in query:
            fetched.set()
            return body(["b"])
        return body(["a"], "1")

    found = walk(fetch, Folder(""))
    assert next(found).keys == [b"a"]
    assert fetched.wait(10)
    assert [objects.keys for objects in found] == [[b"b"]]


def test_an_error_while_fetching_arrives_after_what_came_before() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise KeyError("gone")

    found = ahead(broken())
    assert next(found) == 1
    with pytest.raises(KeyError, match="gone"):
        next(found)


def test_a_walk_that_is_left_lets_its_thread_end() -> None:
    before = set(threading.enumerate())
    found = ahead(iter(range(1000)))
    next(found)
    (thread,) = set(threading.enumerate()) - before
    found.close()
    thread.join(10)
    assert not thread.is_alive()


def test_at_most_two_pages_wait() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for i in range(10):
            made.append(i)
            yield i

    found = ahead(source())
    next(found)
    assert wait_for(lambda: len(made) >= 2)
    assert len(made) <= 3
    found.close()


def wait_for(condition: Callable[[], bool]) -> bool:
    deadline = threading.Event()
    return any(condition() or deadline.wait(0.001) for _ in range(10_000))


def test_objects_where() -> None:
    found = Objects([b"a", b"b", b"c"], [1, 2, 3], ["x", "y", "z"]).where([True, False, True])
    assert found == Objects([b"a", b"c"], [1, 3], ["x", "z"])
