# SPDX-License-Identifier: Apache-2.0
"""What `storage` uses of minio without a promise, and what it makes of bad answers."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from minio import Minio

from coordinator.model.access import StorageAccess
from coordinator.model.errors import StorageError
from coordinator.storage.bucket import Bucket
from coordinator.storage.client import DELAYS_S
from coordinator.storage.pages import ListQuery
from tests.unit.storage.test_pages import body

Answer = tuple[int, bytes]


@contextmanager
def server(
    answer: Callable[[dict[str, str]], Answer], port: int = 0
) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback that answers by the query, and the authorizations that it saw."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = parse_qs(parts.query, keep_blank_values=True)
            seen.append(f"{parts.path} {self.headers.get('Authorization', '')[:16]}")
            status, content = answer({name: values[0] for name, values in query.items()})
            self.send_response(abs(status))
            if status == 503:
                self.send_header("Retry-After", "60")
            self.send_header("Content-Length", str(len(content) + (100 if status < 0 else 0)))
            self.send_header("Content-Type", "application/xml")
            self.end_headers()
            self.wfile.write(content)
            if status < 0:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{found.server_port}", seen
        finally:
            found.shutdown()
            thread.join()


def keys(url: str, delays_s: tuple[float, ...] = (0.0,)) -> list[bytes]:
    access = StorageAccess(url, "key", "secret", region="us-east-1")
    found = Bucket(access, "data", delays_s=delays_s).list_objects(ListQuery("in/"))
    return [key for objects in found for key in objects.keys]


def error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>as it is</Message></Error>".encode()


def test_minio_still_has_what_its_api_does_not_promise() -> None:
    parameters = list(inspect.signature(Minio._execute).parameters)
    assert parameters[:7] == [
        "self",
        "method",
        "bucket_name",
        "object_name",
        "body",
        "headers",
        "query_params",
    ]


def test_requests_are_repeated_for_thirty_seconds() -> None:
    assert sum(DELAYS_S) >= 30


def test_a_server_that_restarts_in_the_middle_of_a_listing_is_waited_for() -> None:
    with server(lambda query: (200, body(["in/a"], "t"))) as (url, _):
        port = urlsplit(url).port or 0
        access = StorageAccess(url, "key", "secret", region="us-east-1")
        # Not fetched ahead: the second page is asked for when the server is away.
        fetched = threading.Event()
        bucket = Bucket(access, "data")
        request = bucket._client.request

        def late(method: str, **options: Any) -> Any:
            if "continuation-token" in options["query"]:
                assert fetched.wait(10)
            return request(method, **options)

        bucket._client.request = late  # type: ignore[assignment, method-assign]
        found = bucket.list_objects(ListQuery("in/"))
        assert next(found).keys == [b"in/a"]
    fetched.set()
    with server(lambda query: (200, body(["in/b"])), port):
        assert [objects.keys for objects in found] == [[b"in/b"]]


def test_pages_are_asked_for_signed() -> None:
    with server(lambda query: (200, body(["in/a"]))) as (url, seen):
        assert keys(url) == [b"in/a"]
    assert seen == ["/data AWS4-HMAC-SHA256"]


@pytest.mark.parametrize(
    "bad",
    [(503, error("SlowDown")), (500, error("InternalError")), (-200, body(["in/b"]))],
    ids=["SlowDown", "InternalError", "connection cut"],
)
def test_a_page_that_fails_once_is_asked_for_again(bad: Answer) -> None:
    answers = [(200, body(["in/a"], "t")), bad, (200, body(["in/b"]))]
    with server(lambda query: answers.pop(0)) as (url, _):
        assert keys(url) == [b"in/a", b"in/b"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ((503, error("SlowDown")), "SlowDown"),
        ((403, error("RequestTimeTooSkewed")), "the clock here"),
        ((403, error("AccessDenied")), "refused the credentials"),
        ((404, error("NoSuchBucket")), "no such bucket"),
        ((-200, body(["in/b"])), "no usable answer"),
        ((200, body(["in/b"], "t")), "circle"),
        ((200, body(["in/a"])), "out of order"),
    ],
)
def test_a_listing_that_cannot_go_on_fails_and_says_why(bad: Answer, said: str) -> None:
    answers = [(200, body(["in/a"], "t"))]
    with (
        server(lambda query: answers.pop() if answers else bad) as (url, _),
        pytest.raises(StorageError, match=rf"could not list data/in/ .*{said}"),
    ):
        keys(url)
