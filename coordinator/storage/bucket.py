# SPDX-License-Identifier: Apache-2.0
"""`Bucket`: keys in; index, plan and reports in and out. The only room that knows minio.

Vendor errors become StorageError here, with what was attempted, on what, and what to do next.
MinIO restarts whenever any OSCAR service is created or deleted, so every call is retried across
a gap of 30 s. Called by `batch`. Next: `index`.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import certifi
import urllib3
from minio import Minio
from minio.commonconfig import CopySource
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError

from ..model.access import StorageAccess
from ..model.errors import StorageError, clean_text
from ..model.object_columns import ObjectColumns
from .listing import STREAMS, list_objects
from .pages import ListQuery
from .upload import IncompleteWrite, Written, upload, verify

# 0.5 + 1 + 2 + … + 16 s: longer than a restart of MinIO (6 s asleep, then a probe).
RETRIES = 6
# What one request reads of an object that is read piece by piece.
PIECE_BYTES = 1024 * 1024

_Result = TypeVar("_Result")


class Bucket:
    """One bucket of one MinIO, with the few operations that a run needs."""

    def __init__(self, access: StorageAccess, name: str, *, retries: int = RETRIES) -> None:
        """Opens no connection. `retries` is how often a failing call is repeated."""
        self.name = name
        self._address = access.url
        parts = urlsplit(access.url)
        if parts.path:
            raise StorageError(f"cannot use MinIO at {access.url}: its address must have no path")
        self._client = Minio(
            parts.netloc,
            access_key=access.access_key,
            secret_key=access.secret_key,
            secure=parts.scheme == "https",
            region=access.region or None,
            http_client=_pool(access, retries),
        )

    def list_objects(self, folder: ListQuery) -> Iterator[ObjectColumns]:
        """All objects of a folder, in listing order, batch by batch."""
        with _translated(f"list {self.name}/{folder.prefix}", self._address):
            yield from list_objects(lambda query: self._request("GET", query=query)[1], folder)

    def read_pieces(self, key: str) -> Iterator[bytes]:
        """An object's content piece by piece. It must not change meanwhile."""
        with _translated(f"read {self.name}/{key}", self._address):
            yield from self._pieces(key)

    def read_small(self, key: str, limit_bytes: int) -> bytes | None:
        """One small object; None if there is none, or if it is larger than the limit."""

        def read() -> bytes | None:
            try:
                answer = self._client.get_object(self.name, key)
            except S3Error as error:
                if error.code == "NoSuchKey":
                    return None
                raise
            try:
                content = answer.read(limit_bytes + 1)
            finally:
                answer.close()
                answer.release_conn()
            return content if len(content) <= limit_bytes else None

        return self._call("read", key, read)

    def write(self, key: str, content: bytes, content_type: str) -> None:
        """Writes one small object."""
        stream = io.BytesIO(content)
        self._call(
            "write",
            key,
            lambda: self._client.put_object(
                self.name, key, stream, len(content), content_type=content_type
            ),
        )

    def write_lines(self, key: str, pieces: Iterable[bytes], content_type: str) -> Written:
        """Writes an object of unknown size in bounded memory, all of it or nothing.

        The number of its lines and its digest are its metadata, and it is read back.
        """

        def request(method: str, **options: Any) -> tuple[Mapping[str, str], bytes]:
            return self._request(method, key, **options)

        with _translated(f"write {self.name}/{key}", self._address):
            written = upload(
                request, pieces, content_type, stored=lambda: self._pieces(key), sleep=time.sleep
            )
            if written.parts:
                self._client.copy_object(
                    self.name,
                    key,
                    CopySource(self.name, key),
                    metadata={"Content-Type": content_type, **written.metadata},
                    metadata_directive="REPLACE",
                )
            headers, _ = self._request("HEAD", key)
            verify(written, headers, self._pieces(key))
            return written

    def copy_from(self, source: Bucket, key: str, target: str) -> None:
        """Copies an object of a bucket on the same server, without moving it through here."""
        self._call(
            "write",
            target,
            lambda: self._client.copy_object(self.name, target, CopySource(source.name, key)),
        )

    def _call(self, verb: str, key: str, action: Callable[[], _Result]) -> _Result:
        with _translated(f"{verb} {self.name}/{key}", self._address):
            return action()

    def _pieces(self, key: str) -> Iterator[bytes]:
        headers, _ = self._request("HEAD", key)
        size, tag = int(headers["Content-Length"]), headers["ETag"]
        for start in range(0, size, PIECE_BYTES):
            stop = min(start + PIECE_BYTES, size)
            asked = {"Range": f"bytes={start}-{stop - 1}", "If-Match": tag}
            _, piece = self._request("GET", key, headers=asked)
            if len(piece) != stop - start:
                raise IncompleteWrite("a piece of it has a wrong length")
            yield piece

    def _request(
        self,
        method: str,
        key: str | None = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | memoryview | None = None,
    ) -> tuple[Mapping[str, str], bytes]:
        """One signed request; its headers and its whole body.

        The one place that uses what minio does not promise: its public API can neither hand out
        the bytes of a page, nor upload parts from one buffer, nor repeat a read that broke off.
        `tests/unit/test_storage.py` fails when a new version of minio changes it.
        """
        response = self._client._execute(
            method,
            bucket_name=self.name,
            object_name=key,
            body=body,  # type: ignore[arg-type]  # any buffer can be hashed and sent
            headers=dict(headers or {}),
            query_params=dict(query or {}),
        )
        return response.headers, response.data


def _pool(access: StorageAccess, retries: int) -> urllib3.PoolManager:
    """minio's default pool gives up after seconds and cannot be told of a CA file."""
    retry = urllib3.Retry(
        total=retries,
        backoff_factor=0.5,
        status_forcelist=(500, 502, 503, 504),
        allowed_methods=None,
        # The last answer is wanted, not urllib3's summary: its body says what is wrong.
        raise_on_status=False,
        # A MinIO that restarts asks for a minute of patience and is back after seconds.
        respect_retry_after_header=False,
    )
    if not access.verify:  # asked for in the config; the report says so
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return urllib3.PoolManager(
        maxsize=STREAMS + 2,
        timeout=urllib3.Timeout(connect=5, read=60),
        retries=retry,
        cert_reqs="CERT_REQUIRED" if access.verify else "CERT_NONE",
        ca_certs=access.ca_file or certifi.where(),
    )


@contextmanager
def _translated(attempt: str, address: str) -> Iterator[None]:
    """Vendor errors of a block as StorageError. Errors of the caller's own pass through."""
    what = f"could not {clean_text(attempt, 200)} on {address}"
    try:
        yield
    except S3Error as error:
        raise StorageError(f"{what}: {_advice(error)}") from error
    except ServerError as error:
        raise StorageError(f"{what}: it answered HTTP {error.status_code}") from error
    except InvalidResponseError as error:
        raise StorageError(f"{what}: that address does not answer as S3 does") from error
    except (MinioException, ValueError) as error:
        raise StorageError(f"{what}: {clean_text(str(error))}") from error
    except urllib3.exceptions.MaxRetryError as error:
        raise StorageError(f"{what}: {_unreachable(error.reason)}") from error
    except urllib3.exceptions.HTTPError as error:
        raise StorageError(f"{what}: {_unreachable(error)}") from error


def _advice(error: S3Error) -> str:
    if error.code == "NoSuchBucket":
        return "there is no such bucket; check its name in the config"
    if error.code == "RequestTimeTooSkewed":
        return "the clock here and its clock differ by more than 15 minutes; set them right"
    if error.code == "PreconditionFailed":
        return "the object was written anew meanwhile"
    if error.code in {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"}:
        return f"it refused the credentials ({error.code}); check MinIO.access_key and secret_key"
    return f"it answered {clean_text(error.code or 'an error')}: {clean_text(error.message or '')}"


def _unreachable(reason: Exception | None) -> str:
    if isinstance(reason, urllib3.exceptions.SSLError):
        return "its TLS certificate is not trusted; give MinIO.ca_file, or MinIO.verify false"
    if isinstance(reason, urllib3.exceptions.NameResolutionError):
        return "its host name is not known; check MinIO.url"
    if isinstance(reason, urllib3.exceptions.NewConnectionError):
        return "nothing accepts connections there; check MinIO.url"
    return f"no usable answer ({type(reason).__name__})"
