# SPDX-License-Identifier: Apache-2.0
"""Storage whose every answer may be anything: what was asked for, or one error."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
from hypothesis import given
from hypothesis import strategies as st

from coordinator.index.builder import IndexBuilder
from coordinator.index.selection import ItemFilter
from coordinator.model.access import StorageAccess
from coordinator.model.errors import BatchError
from coordinator.model.selection import Rules
from coordinator.storage.bucket import Bucket
from coordinator.storage.pages import ListQuery
from tests.unit.fuzz.cases import FUZZ, SECRET_KEY, check_texts, limited, scratched

DATA = Path(__file__).parents[2] / "data"
PAGES = [path.read_bytes() for path in sorted(DATA.glob("list_*.xml"))]
ENTRY = b"<Contents><Key>in/%d.jpg</Key><Size>7</Size></Contents>"
BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;">]>'
    b"<ListBucketResult><Name>&d;</Name><IsTruncated>false</IsTruncated></ListBucketResult>"
)
ERRORS = [
    b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>",
    b"<Error><Code>AccessDe",
    b"<Error><Code>Odd</Code><Message>the key " + SECRET_KEY.encode() + b"</Message></Error>",
    b"<Error><Code>" + b"x" * 5000 + b"</Code></Error>",
    b"<Error></Error>",
    b'<?xml version="1.0" encoding="TF-8"?><Error><Code>NoSuchKey</Code></Error>',
    b'<?xml version="1.0" encoding="utf-32"?><Error><Code>NoSuchKey</Code></Error>',
    b"",
    b"<html>Bad gateway</html>",
    b"\xff\x00",
]
NUMBERS = [b"0", b"-1", b"1.5", b"18446744073709551616", b"9" * 5000, b"", b"\xd9\xa3"]
STATUS_CODES = [200, 200, 200, 200, 206, 301, 307, 400, 403, 404, 409, 412, 416, 500, 503]
HEADERS: list[dict[str, str]] = [
    {"Content-Type": "application/xml"},
    {"Content-Type": "text/html; charset=nonsense"},
    {"Location": f"https://u:{SECRET_KEY}@elsewhere/", "Content-Type": "application/xml"},
    {"Content-Length": "-1"},
    {"ETag": '"x"', "Content-Length": "5"},
]


@st.composite
def pages(draw: Callable[..., Any]) -> bytes:
    """A page of a listing as some server sent it, with parts of it replaced."""
    page: bytes = draw(st.sampled_from([*PAGES, BOMB]))
    if draw(st.booleans()):
        number = draw(st.sampled_from(NUMBERS))
        tag = draw(st.sampled_from([b"Size", b"KeyCount", b"IsTruncated", b"LastModified"]))
        start, end = page.find(b"<" + tag + b">"), page.find(b"</" + tag + b">")
        if start >= 0:
            page = page[: start + len(tag) + 2] + number + page[end:]
    if draw(st.integers(0, 3)) == 0:
        page = page.replace(b"</ListBucketResult>", ENTRY % 3 + ENTRY % 1 + b"</ListBucketResult>")
    return draw(scratched(page)) if draw(st.booleans()) else page


@dataclass
class Answer:
    """What the server says to one request."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@st.composite
def answers(draw: Callable[..., Any]) -> Answer:
    status = draw(st.sampled_from(STATUS_CODES))
    body = draw(pages() if status < 300 else st.sampled_from(ERRORS))
    return Answer(status, body, draw(st.sampled_from(HEADERS)))


class Pool:
    """A pool of connections that answers from a list, its last answer forever."""

    def __init__(self, given: list[Answer]) -> None:
        self._answers = given

    def urlopen(self, method: str, *_: Any, **__: Any) -> urllib3.HTTPResponse:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return urllib3.HTTPResponse(
            io.BytesIO(answer.body),
            answer.headers,
            answer.status,
            preload_content=False,
            request_method=method,
            enforce_content_length=False,
        )

    def clear(self) -> None:
        """As a real pool has it."""


def use(bucket: Bucket) -> Iterator[Callable[[], object]]:
    """Everything that a run does with a bucket."""
    query = ListQuery("in/", times=True)
    listed = ItemFilter(Rules("in/")).select(bucket.list_objects(query))
    yield lambda: list(IndexBuilder().build_lines(listed))
    yield lambda: list(bucket.list_objects(ListQuery("", recursive=False)))
    yield lambda: list(bucket.list_folders("in/"))
    yield lambda: list(bucket.read_pieces("in/a"))
    yield lambda: bucket.read_small("in/a", 100)
    yield lambda: bucket.write("out/a", b"x", "text/plain")
    yield lambda: bucket.put_new("out/a", b"x", "text/plain")
    yield lambda: bucket.write_lines("out/a", [b"x\n", b"y\n"], "text/plain")
    yield lambda: bucket.copy_from(bucket, "out/a", "out/b")


@FUZZ
@given(st.lists(answers(), min_size=1, max_size=3), st.integers(0, 8))
def test_storage_answers_what_was_asked_or_ends_with_an_error(
    given: list[Answer], number: int
) -> None:
    access = StorageAccess("https://minio.example.org", "key", SECRET_KEY, region="us-east-1")
    bucket = Bucket(access, "data", delays_s=(0.0,), sleep=lambda _: None)
    bucket._client._minio._http = Pool(given)  # type: ignore[assignment]
    with limited("the request"):
        try:
            list(use(bucket))[number]()
        except BatchError as error:
            check_texts([str(error), *error.problems])
