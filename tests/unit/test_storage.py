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

from coordinator.credentials import StorageAccess
from coordinator.errors import StorageError
from coordinator.storage import Bucket
from coordinator.walk import Folder
from tests.unit.test_walk import body

Answer = tuple[int, bytes]


@contextmanager
def server(answer: Callable[[dict[str, str]], Answer]) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback that answers by the query, and the authorizations that it saw."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = parse_qs(parts.query, keep_blank_values=True)
            seen.append(f"{parts.path} {self.headers.get('Authorization', '')[:16]}")
            status, content = answer({name: values[0] for name, values in query.items()})
            self.send_response(abs(status))
            self.send_header("Content-Length", str(len(content) + (100 if status < 0 else 0)))
            self.send_header("Content-Type", "application/xml")
            self.end_headers()
            self.wfile.write(content)
            if status < 0:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{found.server_port}", seen
        finally:
            found.shutdown()
            thread.join()


def keys(url: str, retries: int = 1) -> list[bytes]:
    access = StorageAccess(url, "key", "secret", region="us-east-1")
    found = Bucket(access, "data", retries=retries).objects(Folder("in/"))
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
