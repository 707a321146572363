# SPDX-License-Identifier: Apache-2.0
"""Writes pieces of unknown total length as one object, and verifies it.

A small object is sent in one request, a larger one as a multipart upload whose parts share a single
buffer. The number of lines and the digest become metadata of the object: they are known only at
the end, so a multipart upload gets them by a copy onto itself on the server. Afterwards the object
is read back. It never leaves half an object.

When the answer to the end of a multipart upload is lost, the repeated request finds no upload any
more. Then the object at the key decides whether the upload succeeded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol
from xml.etree import ElementTree

from .retry import Sleep, retry

# The smallest part that S3 accepts; 10,000 of them hold an index of 48 GiB.
PART_BYTES = 5 * 1024 * 1024
# Before an upload is completed again whose answer was 200 with an error in its body.
COMPLETE_DELAYS_S = (0.5, 2.0, 8.0)


class IncompleteWrite(ValueError):
    """What was written did not arrive, or the server did not confirm it."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, as the writer counted it."""

    size_bytes: int
    lines: int
    sha256: str
    parts: int

    @property
    def metadata(self) -> dict[str, str]:
        """The counts as headers of the object."""
        return {"x-amz-meta-lines": str(self.lines), "x-amz-meta-sha256": self.sha256}


class Request(Protocol):
    """One signed request on the object; returns the headers and the body of the answer."""

    def __call__(
        self,
        method: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | memoryview | None = None,
    ) -> tuple[Mapping[str, str], bytes]: ...


Stored = Callable[[], Iterable[bytes]]


def upload(
    request: Request, pieces: Iterable[bytes], content_type: str, *, stored: Stored, sleep: Sleep
) -> Written:
    """Writes the pieces as one object, all of it or nothing. `stored` reads what is at the key."""
    digest, size, lines = hashlib.sha256(), 0, 0
    tags: list[str] = []
    upload_id = ""

    def count_lines() -> Iterator[bytes]:
        nonlocal lines
        for piece in pieces:
            lines += piece.count(b"\n")
            yield piece

    try:
        for part, last in _split_parts(count_lines()):
            digest.update(part)
            size += len(part)
            if last and not tags:
                written = Written(size, lines, digest.hexdigest(), 0)
                headers = {"Content-Type": content_type, **written.metadata}
                request("PUT", headers=headers, body=part)
                return written
            upload_id = upload_id or _begin_multipart(request, content_type)
            where = {"partNumber": str(len(tags) + 1), "uploadId": upload_id}
            answer, _ = request("PUT", query=where, body=part)
            tags.append(answer["ETag"])
        written = Written(size, lines, digest.hexdigest(), len(tags))
        with _ignore_if_stored(written, stored):
            _complete_multipart(request, upload_id, tags, sleep)
        return written
    except BaseException:
        if upload_id:
            # The first error is the one to report.
            with suppress(Exception):
                request("DELETE", query={"uploadId": upload_id})
        raise


def verify(written: Written, headers: Mapping[str, str], content: Iterable[bytes]) -> None:
    """Compares what is stored with what was written. Raises IncompleteWrite."""
    found = {name.lower(): value for name, value in headers.items()}
    for name, value in written.metadata.items():
        if found.get(name) != value:
            raise IncompleteWrite(
                f"its {name} reads {found.get(name)!r} where {value!r} was written"
            )
    size, sha256 = _sum_content(content)
    if (size, sha256) != (written.size_bytes, written.sha256):
        raise IncompleteWrite(
            f"it reads back {size} bytes that are not the {written.size_bytes} bytes written"
        )


@contextmanager
def _ignore_if_stored(written: Written, stored: Stored) -> Iterator[None]:
    """Ignores errors of a block if the new object is stored whole; an older one does not count."""
    try:
        yield
    except Exception:
        found = None
        # No object, or no answer: the first error is the one to report.
        with suppress(Exception):
            found = _sum_content(stored())
        if found != (written.size_bytes, written.sha256):
            raise


def _sum_content(content: Iterable[bytes]) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    for piece in content:
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()


def _split_parts(pieces: Iterable[bytes]) -> Iterator[tuple[memoryview, bool]]:
    """Views of one buffer, and whether it is the last; a view is valid until the next one."""
    # Filled, so that it is resident from the start: memory does not grow later in a run.
    buffer = memoryview(bytearray(b"\n" * PART_BYTES))
    have = 0
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            if have == PART_BYTES:
                yield buffer, False
                have = 0
            taken = min(len(rest), PART_BYTES - have)
            buffer[have : have + taken] = rest[:taken]
            have, rest = have + taken, rest[taken:]
    yield buffer[:have], True


def _begin_multipart(request: Request, content_type: str) -> str:
    _, body = request("POST", query={"uploads": ""}, headers={"Content-Type": content_type})
    found = _parse_answer(body, "InitiateMultipartUploadResult", "start").findtext("{*}UploadId")
    if not found:
        raise IncompleteWrite("it started a multipart upload without an id")
    return found


def _complete_multipart(request: Request, upload_id: str, tags: list[str], sleep: Sleep) -> None:
    root = ElementTree.Element("CompleteMultipartUpload")
    for number, tag in enumerate(tags, start=1):
        part = ElementTree.SubElement(root, "Part")
        ElementTree.SubElement(part, "PartNumber").text = str(number)
        ElementTree.SubElement(part, "ETag").text = tag
    document = ElementTree.tostring(root)

    def complete(_attempt: int) -> None:
        _, body = request("POST", query={"uploadId": upload_id}, body=document)
        # S3 may say "200 OK" first and then, in the body, that it failed.
        _parse_answer(body, "CompleteMultipartUploadResult", "complete")

    retry(
        complete,
        delays_s=COMPLETE_DELAYS_S,
        repeatable=lambda error: isinstance(error, IncompleteWrite),
        sleep=sleep,
    )


def _parse_answer(body: bytes, expected: str, verb: str) -> ElementTree.Element:
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 (ElementTree fetches nothing)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise IncompleteWrite(
            f"it did not {verb} the multipart upload: no XML came back"
        ) from error
    if root.tag.rpartition("}")[2] != expected:
        code = root.findtext("Code") or root.tag
        raise IncompleteWrite(f"it did not {verb} the multipart upload: {code[:80]}")
    return root
