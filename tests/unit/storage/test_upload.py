# SPDX-License-Identifier: Apache-2.0
"""An object of unknown size goes out whole and is proved whole, or it fails."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

import pytest

from coordinator.storage.upload import (
    COMPLETE_DELAYS_S,
    PART_BYTES,
    IncompleteWrite,
    Written,
    upload,
    verify,
)

STARTED = b"<InitiateMultipartUploadResult xmlns='x'><UploadId>u1</UploadId>"
STARTED += b"</InitiateMultipartUploadResult>"
COMPLETED = b"<CompleteMultipartUploadResult/>"
LARGE = [b"x" * (PART_BYTES + 1)]


class Server:
    """Answers the end of an upload with each of `completed` in turn, then with the last."""

    def __init__(self, *completed: bytes | Exception, stored: list[bytes] | None = None) -> None:
        self.completed = list(completed or [COMPLETED])
        self.asked: list[tuple[str, dict[str, str], dict[str, str], bytes]] = []
        self.slept: list[float] = []
        self._stored = stored

    def upload(self, pieces: Iterable[bytes]) -> Written:
        return upload(
            self.request, pieces, "text/plain", stored=self.stored, sleep=self.slept.append
        )

    def stored(self) -> Iterator[bytes]:
        if self._stored is None:
            raise KeyError("there is no such object")
        yield from self._stored

    def request(
        self,
        method: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | memoryview | None = None,
    ) -> tuple[Mapping[str, str], bytes]:
        query = query or {}
        self.asked.append((method, dict(query), dict(headers or {}), bytes(body or b"")))
        if method == "POST":
            return {}, STARTED if "uploads" in query else self._complete()
        return {"ETag": f'"e{query.get("partNumber")}"'}, b""

    def _complete(self) -> bytes:
        answer = self.completed.pop(0) if len(self.completed) > 1 else self.completed[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def methods(self) -> str:
        return " ".join(method for method, *_ in self.asked)


def test_a_small_object_is_one_request_that_has_the_metadata() -> None:
    server = Server()
    written = server.upload([b"a\n", b"b\n"])
    sha256 = hashlib.sha256(b"a\nb\n").hexdigest()
    assert written == Written(4, 2, sha256, 0)
    headers = {"Content-Type": "text/plain", "x-amz-meta-lines": "2", "x-amz-meta-sha256": sha256}
    assert server.asked == [("PUT", {}, headers, b"a\nb\n")]


def test_no_pieces_are_an_empty_object() -> None:
    server = Server()
    assert server.upload([]).size_bytes == 0
    assert server.methods == "PUT"


@pytest.mark.parametrize(
    ("extra", "parts"),
    [(1, 2), (0, 1), (PART_BYTES, 2), (-1, 0)],
    ids=["more", "full", "twice", "less"],
)
def test_a_large_object_goes_in_parts(extra: int, parts: int) -> None:
    content = (b"0123456\n" * (PART_BYTES // 4))[: PART_BYTES + extra]
    server = Server()
    written = server.upload([content[:100], content[100:]])
    sent = b"".join(body for method, _, _, body in server.asked if method == "PUT")
    assert sent == content
    sha256 = hashlib.sha256(content).hexdigest()
    expected = 0 if parts < 2 else parts
    assert written == Written(len(content), content.count(b"\n"), sha256, expected)


def test_parts_are_completed_in_their_order() -> None:
    server = Server()
    server.upload([b"x" * PART_BYTES * 2, b"y"])
    assert server.methods == "POST PUT PUT PUT POST"
    *_, (_, query, _, body) = server.asked
    parts = "".join(
        f'<Part><PartNumber>{i}</PartNumber><ETag>"e{i}"</ETag></Part>' for i in (1, 2, 3)
    )
    assert (query, body.decode()) == (
        {"uploadId": "u1"},
        f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>",
    )


def test_an_error_among_the_pieces_leaves_no_upload_behind() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x" * (PART_BYTES + 1)
        raise KeyError("the listing failed")

    server = Server()
    with pytest.raises(KeyError, match="the listing failed"):
        server.upload(pieces())
    assert server.asked[-1][:2] == ("DELETE", {"uploadId": "u1"})


@pytest.mark.parametrize("answer", [b"<Error><Code>InternalError</Code></Error>", b"", b"ok"])
def test_success_is_only_what_says_so(answer: bytes) -> None:
    server = Server(answer)
    with pytest.raises(IncompleteWrite, match="did not complete"):
        server.upload(LARGE)
    assert server.methods == "POST PUT PUT POST POST POST POST DELETE"
    assert server.slept == list(COMPLETE_DELAYS_S)


def test_an_end_that_failed_is_requested_again() -> None:
    server = Server(b"<Error><Code>InternalError</Code></Error>", COMPLETED)
    assert server.upload(LARGE).parts == 2
    assert (server.methods, server.slept) == ("POST PUT PUT POST POST", [COMPLETE_DELAYS_S[0]])


@pytest.mark.parametrize("found", [LARGE, [b"x", b"x" * PART_BYTES]])
def test_an_upload_whose_end_was_not_confirmed_is_done_if_the_object_is_there(
    found: list[bytes],
) -> None:
    server = Server(OSError("NoSuchUpload"), stored=found)
    written = server.upload(LARGE)
    sha256 = hashlib.sha256(LARGE[0]).hexdigest()
    assert written == Written(PART_BYTES + 1, 0, sha256, 2)
    assert server.methods == "POST PUT PUT POST"


@pytest.mark.parametrize("found", [None, [], [b"y" + LARGE[0][1:]], [b"the index of another run"]])
def test_what_else_is_at_the_key_does_not_count(found: list[bytes] | None) -> None:
    server = Server(OSError("NoSuchUpload"), stored=found)
    with pytest.raises(OSError, match="NoSuchUpload"):
        server.upload(LARGE)
    assert server.methods == "POST PUT PUT POST DELETE"


WRITTEN = Written(4, 2, hashlib.sha256(b"a\nb\n").hexdigest(), 0)


def test_what_reads_back_the_same_is_whole() -> None:
    headers = {name.title(): value for name, value in WRITTEN.metadata.items()}
    verify(WRITTEN, headers, [b"a", b"\nb\n"])


@pytest.mark.parametrize(
    ("changed", "content"),
    [({}, b"a\nc\n"), ({}, b"a\n"), ({"x-amz-meta-lines": "3"}, b"a\nb\n")],
)
def test_anything_else_is_not(changed: dict[str, str], content: bytes) -> None:
    with pytest.raises(IncompleteWrite, match=r"reads"):
        verify(WRITTEN, WRITTEN.metadata | changed, [content])
