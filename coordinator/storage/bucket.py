# SPDX-License-Identifier: Apache-2.0
"""`Bucket`: the operations on one bucket that a run needs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from minio.error import S3Error

from ..model.access import StorageAccess
from ..model.object_columns import ObjectColumns
from .client import DELAYS_S, S3Client, get_status
from .conditional import honours_condition, put_new
from .notifications import parse_notifications
from .pages import ListQuery, PageSource, Tuning, list_folders, list_objects
from .retry import Sleep
from .upload import IncompleteWrite, Written, upload, verify

# What one request reads of an object that is read piece by piece.
PIECE_BYTES = 1024 * 1024


DEFAULT_TUNING = Tuning()


class Bucket:
    """One bucket of one S3 server. Every operation raises StorageError."""

    def __init__(
        self,
        access: StorageAccess,
        name: str,
        *,
        delays_s: Sequence[float] = DELAYS_S,
        sleep: Sleep = time.sleep,
        tuning: Tuning = DEFAULT_TUNING,
    ) -> None:
        """Opens no connection. A failing request is repeated after each of the delays."""
        self.name = name
        self._access, self._delays_s = access, delays_s
        self._sleep, self._tuning = sleep, tuning
        self._client = S3Client(access, name, delays_s=delays_s, sleep=sleep)

    def beside(self, name: str) -> Bucket:
        """Another bucket of the same server."""
        if name == self.name:
            return self
        return Bucket(
            self._access, name, delays_s=self._delays_s, sleep=self._sleep, tuning=self._tuning
        )

    def list_objects(self, query: ListQuery) -> Iterator[ObjectColumns]:
        """All objects of a folder, in listing order, in batches."""
        with self._client.translate_errors("list", query.prefix):
            source = PageSource(self._fetch_page, self._sleep, self._tuning)
            yield from list_objects(source, query)

    def list_folders(self, prefix: str, *, every: bool = False) -> list[str]:
        """Folders directly below a prefix: every one, or those on the first page of the listing."""
        with self._client.translate_errors("list", prefix):
            source = PageSource(self._fetch_page, self._sleep, self._tuning)
            return list_folders(source, prefix, every=every)

    def read_pieces(self, key: str) -> Iterator[bytes]:
        """An object's content in pieces. The object must not change meanwhile."""
        with self._client.translate_errors("read", key):
            yield from self._read_pieces(key)

    def read_small(self, key: str, limit_bytes: int) -> bytes | None:
        """One small object; None if there is none, or if it is larger than the limit."""
        with self._client.translate_errors("read", key):
            return self._read_small(key, limit_bytes)

    def exists(self, key: str) -> bool:
        """Whether there is an object of that key."""
        return self.read_stamp(key) is not None

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        """A part of an object. Raises StorageError if it has no such part."""
        if not length:
            return b""
        with self._client.translate_errors("read", key):
            asked = {"Range": f"bytes={offset}-{offset + length - 1}"}
            _, content = self._client.request("GET", key, headers=asked)
            if len(content) != length:
                raise IncompleteWrite("a piece of it has a wrong length")
            return content

    def read_stamp(self, key: str) -> str | None:
        """A text that changes whenever an object is written; None if there is no object."""
        with self._client.translate_errors("look for", key):
            try:
                headers, _ = self._client.request("HEAD", key)
            except S3Error as error:
                if get_status(error) == HTTPStatus.NOT_FOUND:
                    return None
                raise
            return f"{headers.get('ETag')} {headers.get('Last-Modified')}"

    def read_clock(self, key: str) -> datetime:
        """The server's clock, from its answer about an object that exists."""
        with self._client.translate_errors("read", key):
            headers, _ = self._client.request("HEAD", key)
            return parsedate_to_datetime(headers["Date"])

    def shows(self, key: str, content: bytes) -> bool:
        """Whether an object has this content; without the object or its bucket it has not."""
        with self._client.translate_errors("read", key):
            try:
                return self._read_small(key, PIECE_BYTES) == content
            except S3Error as error:
                if error.code != "NoSuchBucket":
                    raise
                return False

    def write(self, key: str, content: bytes, content_type: str) -> None:
        """Writes one small object, over an older one too."""
        with self._client.translate_errors("write", key):
            self._client.request("PUT", key, headers={"Content-Type": content_type}, body=content)

    def put_new(self, key: str, content: bytes, content_type: str) -> None:
        """Creates one small object, whose content must name its writer. Raises Conflict."""
        with self._client.translate_errors("create", key):
            put_new(
                self._client,
                key,
                content,
                content_type,
                lambda: self._read_small(key, PIECE_BYTES),
            )

    def honours_condition(self, key: str) -> bool:
        """Whether the server refuses to create an object twice; uses and removes `key`."""
        with self._client.translate_errors("create", key):
            return honours_condition(self._client, key, lambda: self._read_small(key, PIECE_BYTES))

    def read_notifications(self) -> list[tuple[str, str]] | None:
        """The targets of notifications of new objects, with prefixes; None if it is not MinIO."""
        with self._client.translate_errors("read the notifications of", ""):
            headers, content = self._client.request("GET", query={"notification": ""})
            return parse_notifications(content) if "MinIO" in headers.get("Server", "") else None

    def write_lines(self, key: str, pieces: Iterable[bytes], content_type: str) -> Written:
        """Writes an object of unknown size in bounded memory, all of it or nothing.

        The number of its lines and its digest are its metadata, and it is read back.
        """

        def request(method: str, **options: Any) -> tuple[Mapping[str, str], bytes]:
            return self._client.request(method, key, **options)

        with self._client.translate_errors("write", key):
            written = upload(
                request,
                pieces,
                content_type,
                stored=lambda: self._read_pieces(key),
                sleep=self._sleep,
            )
            if written.parts:
                metadata = {"Content-Type": content_type, **written.metadata}
                self._client.copy(self.name, key, key, metadata)
            headers, _ = self._client.request("HEAD", key)
            verify(written, headers, self._read_pieces(key))
            return written

    def copy_from(self, source: Bucket, key: str, target: str) -> None:
        """Copies an object of a bucket on the same server, without moving it through here."""
        with self._client.translate_errors("write", target):
            self._client.copy(source.name, key, target)

    def delete(self, keys: Sequence[str]) -> None:
        """Deletes objects. It is no error if one is gone already."""
        with self._client.translate_errors("delete", keys[0] if keys else ""):
            self._client.delete(keys)

    def _fetch_page(self, query: Mapping[str, str]) -> bytes:
        return self._client.request("GET", query=query)[1]

    def _read_small(self, key: str, limit_bytes: int) -> bytes | None:
        # One byte more than the limit, so that a larger object shows.
        asked = {"Range": f"bytes=0-{limit_bytes}"}
        try:
            _, content = self._client.request("GET", key, headers=asked)
        except S3Error as error:
            if error.code == "NoSuchKey":
                return None
            if get_status(error) == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return b""  # an empty object has no first byte
            raise
        return content if len(content) <= limit_bytes else None

    def _read_pieces(self, key: str) -> Iterator[bytes]:
        headers, _ = self._client.request("HEAD", key)
        try:
            size, tag = int(headers["Content-Length"]), headers["ETag"]
        except (KeyError, ValueError) as error:
            raise IncompleteWrite("its headers do not say how large it is") from error
        for start in range(0, size, PIECE_BYTES):
            stop = min(start + PIECE_BYTES, size)
            asked = {"Range": f"bytes={start}-{stop - 1}", "If-Match": tag}
            _, piece = self._client.request("GET", key, headers=asked)
            if len(piece) != stop - start:
                raise IncompleteWrite("a piece of it has a wrong length")
            yield piece
