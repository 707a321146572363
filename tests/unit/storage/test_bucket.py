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
from coordinator.storage.bucket import PIECE_BYTES, Bucket
from coordinator.storage.client import DELAYS_S, allow_answer
from coordinator.storage.pages import ListQuery
from coordinator.storage.upload import PART_BYTES
from tests.unit.sockets import answering
from tests.unit.storage.s3 import S3, s3_server
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
            html = content.startswith(b"<html")
            self.send_header("Content-Type", "text/html" if html else "application/xml")
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


def test_an_object_exists_or_not_and_a_refusal_is_an_error() -> None:
    with s3_server() as s3:
        s3.objects["in/a"] = b""
        assert s3.bucket().exists("in/a")
        assert not s3.bucket().exists("in/b")
        s3.before = lambda method, key: 403
        with pytest.raises(StorageError, match="could not look for data/in/a"):
            s3.bucket().exists("in/a")


def test_a_part_of_an_object_is_read_or_it_is_an_error() -> None:
    with s3_server() as s3:
        s3.objects["in/a"] = b"0123456789"
        assert s3.bucket().read_range("in/a", 2, 3) == b"234"
        assert s3.bucket().read_range("in/gone", 2, 0) == b""
        with pytest.raises(StorageError, match="could not read data/in/a"):
            s3.bucket().read_range("in/a", 8, 3)


def test_the_folders_of_a_bucket_are_listed_from_one_page() -> None:
    prefixes = "".join(f"<CommonPrefixes><Prefix>{n}/</Prefix></CommonPrefixes>" for n in "ab")
    page = body(["file"], "").replace(b"</ListBucketResult>", prefixes.encode())
    with server(lambda query: (200, page + b"</ListBucketResult>")) as (url, seen):
        access = StorageAccess(url, "key", "secret", region="us-east-1")
        assert Bucket(access, "data").list_folders("") == ["a/", "b/"]
    assert len(seen) == 1


def test_every_folder_is_listed_where_that_is_asked() -> None:
    pages = {"": body(["file"], "t"), "t": body(["other"], "")}
    folders = {"": "ab", "t": "bc"}

    def answer(query: dict[str, str]) -> Answer:
        token = query.get("continuation-token", "")
        prefixes = "".join(
            f"<CommonPrefixes><Prefix>{n}/</Prefix></CommonPrefixes>" for n in folders[token]
        )
        end = b"</ListBucketResult>"
        return 200, pages[token].replace(end, prefixes.encode() + end)

    with server(answer) as (url, seen):
        access = StorageAccess(url, "key", "secret", region="us-east-1")
        assert Bucket(access, "data").list_folders("", every=True) == ["a/", "b/", "c/"]
    assert len(seen) == 2


def test_objects_are_deleted_a_thousand_with_a_request() -> None:
    keys = [f"run/{number}" for number in range(1_001)]
    with s3_server() as s3:
        s3.objects = dict.fromkeys([*keys, "other"], b"x")
        s3.bucket().delete([])
        assert s3.requests == []
        s3.bucket().delete([*keys, "gone"])
        assert [*s3.objects] == ["other"]
    assert len(s3.requests) == 2


def test_an_object_that_is_not_deleted_is_an_error_and_a_gap_is_waited_for() -> None:
    with s3_server() as s3:
        s3.objects = {"a": b"x"}
        faults = iter([503, None])
        s3.before = lambda method, key: next(faults)
        s3.bucket().delete(["a"])
        assert s3.objects == {}
        s3.before = lambda method, key: None
        s3.undeleted = "<Error><Key>a</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
        with pytest.raises(StorageError, match=r"could not delete data/a .*AccessDenied: no"):
            s3.bucket().delete(["a"])


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


def test_requests_for_pages_are_signed() -> None:
    with server(lambda query: (200, body(["in/a"]))) as (url, seen):
        assert keys(url) == [b"in/a"]
    assert seen == ["/data AWS4-HMAC-SHA256"]


@pytest.mark.parametrize(
    "bad",
    [(503, error("SlowDown")), (500, error("InternalError")), (-200, body(["in/b"]))],
    ids=["SlowDown", "InternalError", "connection cut"],
)
def test_a_page_that_fails_once_is_requested_again(bad: Answer) -> None:
    answers = [(200, body(["in/a"], "t")), bad, (200, body(["in/b"]))]
    with server(lambda query: answers.pop(0)) as (url, _):
        assert keys(url) == [b"in/a", b"in/b"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ((503, error("SlowDown")), "SlowDown"),
        ((403, error("RequestTimeTooSkewed")), "its clock and the clock of this machine"),
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


@pytest.fixture
def s3() -> Iterator[S3]:
    with s3_server() as found:
        yield found


def test_a_small_object_is_written_and_read(s3: S3) -> None:
    bucket = s3.bucket()
    bucket.write("a/b c", b"text", "text/plain")
    assert s3.objects == {"a/b c": b"text"}
    assert bucket.read_small("a/b c", 4) == b"text"
    assert bucket.read_small("a/b c", 3) is None
    assert bucket.read_small("absent", 3) is None


def test_an_object_is_read_in_pieces(s3: S3) -> None:
    s3.objects["a"] = bytes(range(256)) * 5_000
    pieces = list(s3.bucket().read_pieces("a"))
    assert b"".join(pieces) == s3.objects["a"]
    assert [len(piece) for piece in pieces] == [PIECE_BYTES, 1_280_000 - PIECE_BYTES]


def test_a_piece_that_is_too_short_is_noticed(s3: S3) -> None:
    s3.objects["a"] = b"x" * 10
    s3.after = lambda method, key: s3.objects.update(a=b"x" * 5) if method == "HEAD" else None
    with pytest.raises(StorageError, match="a piece of it has a wrong length"):
        list(s3.bucket().read_pieces("a"))


@pytest.mark.parametrize("count", [3, PART_BYTES // 50], ids=["one request", "in parts"])
def test_lines_are_written_whole_with_their_digest(s3: S3, count: int) -> None:
    line = b"k" * 99 + b"\n"
    written = s3.bucket().write_lines("index", (line for _ in range(count)), "text/plain")
    assert s3.objects == {"index": line * count}
    assert written.lines == count
    assert bool(written.parts) == (count > 3)
    found = {name.lower(): value for name, value in s3.metadata["index"].items()}
    assert found == written.metadata


def test_lines_that_are_not_stored_as_they_were_written_are_an_error(s3: S3) -> None:
    s3.after = lambda method, key: s3.objects.update(index=b"ab\n") if method == "PUT" else None
    with pytest.raises(StorageError, match=r"could not write data/index .*reads back"):
        s3.bucket().write_lines("index", [b"xy\n"], "text/plain")


def test_an_object_is_copied_on_the_server(s3: S3) -> None:
    s3.objects["a"] = b"x"
    bucket = s3.bucket()
    bucket.copy_from(bucket, "a", "b")
    assert s3.objects == {"a": b"x", "b": b"x"}


def test_an_address_with_a_path_is_refused() -> None:
    with pytest.raises(StorageError, match="must have no path"):
        Bucket(StorageAccess("https://example.org/minio", "key", "secret"), "data")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param((502, b"<html>"), "does not answer as S3 does", id="a proxy"),
        pytest.param((500, b""), "does not answer as S3 does", id="an empty 500"),
        pytest.param((500, b"<Error><Co"), "does not answer as S3 does", id="a cut answer"),
        pytest.param((404, error("Strange")), "it answered Strange: as it is", id="another code"),
        pytest.param(
            (412, error("PreconditionFailed")), "was changed at the same time", id="changed"
        ),
        pytest.param((200, b"no XML"), "not well-formed XML", id="nonsense"),
    ],
)
def test_every_bad_answer_is_said_with_what_was_attempted(answer: Answer, said: str) -> None:
    with server(lambda query: answer) as (url, _), pytest.raises(StorageError) as caught:
        keys(url, delays_s=())
    assert str(caught.value).startswith(f"could not list data/in/ on {url}: ")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        pytest.param("http://127.0.0.1:9", "nothing accepts connections there", id="no server"),
        pytest.param("http://no.such.host.invalid", "its host name is not known", id="no host"),
    ],
)
def test_an_address_that_does_not_answer_says_what_to_check(address: str, said: str) -> None:
    with pytest.raises(StorageError, match=said):
        keys(address, delays_s=())


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("content", [b"", error("TemporaryRedirect")])
def test_a_redirect_is_not_followed(code: int, content: bytes) -> None:
    with s3_server() as other, s3_server() as s3:
        s3.redirects = (code, f"{other.url}/data/in/a", content)
        for write in (s3.bucket().write, s3.bucket().put_new):
            with pytest.raises(StorageError, match="redirects to another address"):
                write("in/a", b"canary", "text/plain")
        with pytest.raises(StorageError, match="redirects to another address"):
            keys(s3.url)
        assert other.requests == []


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_asked_again(status: int) -> None:
    answers = [(status, error("SlowDown")), (200, body(["in/a"]))]
    with server(lambda query: answers.pop(0)) as (url, _):
        assert keys(url, delays_s=(0.0,)) == [b"in/a"]


@pytest.mark.parametrize(
    ("tls", "said"),
    [(True, "certificate is not trusted; give MinIO.ca_file"), (False, "plain HTTP and not HTTPS")],
)
def test_a_server_with_a_wrong_certificate_or_none_is_not_asked_again(tls: bool, said: str) -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", tls=tls) as (address, seen):
        slept: list[float] = []
        access = StorageAccess(f"https://{address}", "key", "secret", region="us-east-1")
        bucket = Bucket(access, "data", sleep=slept.append)
        with pytest.raises(StorageError, match=said):
            bucket.write("in/a", b"x", "text/plain")
    assert (slept, len(seen)) == ([], 1)


@pytest.mark.parametrize(
    ("body", "headers", "seconds", "most"),
    [
        (None, {}, 124, 64 * 2**20),
        (b"x" * 2**20, {}, 140, 64 * 2**20),
        (None, {"Range": "bytes=0-1048575"}, 76, 2**20 + 2**16),
        (None, {"Range": "bytes=5-5"}, 60, 1 + 2**16),
    ],
)
def test_an_answer_is_bounded_by_what_was_asked(
    body: bytes | None, headers: dict[str, str], seconds: int, most: int
) -> None:
    found_s, found = allow_answer(body, headers)
    assert (round(found_s), found) == (seconds, most)


def test_a_proxy_that_answers_for_a_restarting_server_is_asked_again() -> None:
    answers = [(502, b"<html>"), (503, b""), (200, body(["in/a"]))]
    with server(lambda query: answers.pop(0)) as (url, _):
        assert keys(url, delays_s=(0.0, 0.0)) == [b"in/a"]


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchBucket"])
def test_a_request_whose_answer_says_what_is_wrong_is_not_repeated(code: str) -> None:
    with server(lambda query: (403, error(code))) as (url, seen), pytest.raises(StorageError):
        keys(url, delays_s=(0.0, 0.0))
    assert len(seen) == 1
