# SPDX-License-Identifier: Apache-2.0
"""`S3Client` sends a signed request, repeats it where that helps, and translates errors.

MinIO restarts whenever an OSCAR service is created or deleted, so a request is repeated across a
gap of 30 s. An answer that says what is wrong (404, 403, 412) is never repeated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

import urllib3
from minio import Minio
from minio.commonconfig import CopySource
from minio.deleteobjects import DeleteError, DeleteObject
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError

from ..model.access import StorageAccess
from ..model.errors import StorageError, clean_foreign, clean_text
from .connections import (
    AnswerTimeout,
    AnswerTooLarge,
    Connections,
    explain_tls,
    is_lasting,
)
from .retry import Sleep, retry

T = TypeVar("T")

# Longer than a restart of MinIO (6 s asleep, then a probe).
DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_REPEATABLE = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
# Of answers. The largest pages that are asked for have 1.5 MB, of the longest keys 20 MB.
_MOST_BYTES, _USUAL_BYTES, _ERROR_BYTES = 64 * 1024**2, 4 * 1024**2, 64 * 1024
_FIRST_S, _LEAST_RATE = 60.0, 64 * 1024
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
# The most keys that S3 deletes in one request.
_MOST_DELETED = 1_000
# Amazon S3 answers 409 with these while another conditional write to the same key goes on.
_REPEATABLE_CODES = {"ConditionalRequestConflict", "OperationAborted"}


_REDIRECTS = (
    "it redirects to another address, which is never followed; give the right one as MinIO.url"
)


class S3Client:
    """Requests to the objects of one bucket."""

    def __init__(
        self,
        access: StorageAccess,
        bucket: str,
        *,
        delays_s: Sequence[float],
        sleep: Sleep,
    ) -> None:
        """Opens no connection."""
        parts = urlsplit(access.url)
        if parts.path:
            raise StorageError(f"cannot use MinIO at {access.url}: its address must have no path")
        self.bucket, self._address, self._secret_key = bucket, access.url, access.secret_key
        self._delays_s, self._sleep = delays_s, sleep
        self._minio = Minio(
            parts.netloc,
            access_key=access.access_key,
            secret_key=access.secret_key,
            secure=parts.scheme == "https",
            region=access.region or None,
            http_client=Connections(
                verify=access.verify,
                ca_file=access.ca_file,
                allow=allow_answer,
                timeout=urllib3.Timeout(connect=5, read=60),
                most=4,  # a page, a part of the index, and two to spare
            ),
        )

    def request(
        self,
        method: str,
        key: str | None = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | memoryview | None = None,
        on_repeat: Callable[[], None] = lambda: None,
    ) -> tuple[Mapping[str, str], bytes]:
        """One signed request; its headers and its whole body. Raises errors of minio and urllib3.

        `on_repeat` is called before a request is sent again. It uses a private method of
        minio, whose public API cannot return the bytes of a page, upload parts from one buffer, or
        send a condition. `tests/unit/storage/test_bucket.py` fails when a
        new version of minio changes it.
        """

        def send(attempt: int) -> tuple[Mapping[str, str], bytes]:
            if attempt > 1:
                on_repeat()
            response = self._minio._execute(
                method,
                bucket_name=self.bucket,
                object_name=key,
                body=body,  # type: ignore[arg-type]  # any buffer can be hashed and sent
                headers=dict(headers or {}),
                query_params=dict(query or {}),
            )
            return response.headers, response.data

        return self._retry(send)

    def copy(
        self, bucket: str, key: str, target: str, metadata: Mapping[str, str] | None = None
    ) -> None:
        """Copies an object on the server, with other metadata if they are given."""
        directive = "REPLACE" if metadata else None
        self._retry(
            lambda _: self._minio.copy_object(
                self.bucket,
                target,
                CopySource(bucket, key),
                metadata=dict(metadata) if metadata else None,
                metadata_directive=directive,
            )
        )

    def delete(self, keys: Sequence[str]) -> None:
        """Deletes objects, a thousand with a request. Raises errors of minio and urllib3."""
        for start in range(0, len(keys), _MOST_DELETED):
            asked = [DeleteObject(key) for key in keys[start : start + _MOST_DELETED]]
            failed = self._retry(partial(self._delete, asked))
            if failed:
                raise MinioException(f"{failed[0].code}: {failed[0].message}")

    def _delete(self, asked: Sequence[DeleteObject], _attempt: int) -> list[DeleteError]:
        return list(self._minio.remove_objects(self.bucket, asked))

    def list_buckets(self) -> tuple[str, ...]:
        """The names of all buckets of the server that this account sees."""
        return self._retry(lambda _: tuple(each.name for each in self._minio.list_buckets()))

    def _retry(self, action: Callable[[int], T]) -> T:
        def attempt(number: int) -> T:
            try:
                return action(number)
            except LookupError as error:  # minio reads XML in whatever encoding it names
                raise ParseError("the answer is XML in an unknown encoding") from error

        return retry(attempt, delays_s=self._delays_s, repeatable=_is_repeatable, sleep=self._sleep)

    @contextmanager
    def translate_errors(self, verb: str, key: str) -> Iterator[None]:
        """Vendor errors of a block as StorageError. Errors of the caller's own pass through."""
        attempt = clean_text(f"{verb} {self.bucket}/{key}".removesuffix(" /"), 200)
        what = f"could not {attempt} on {self._address}"
        try:
            yield
        except S3Error as error:
            raise StorageError(f"{what}: {_advise(error, self._secret_key)}") from error
        except ServerError as error:
            if 300 <= error.status_code < 400:
                raise StorageError(f"{what}: {_REDIRECTS}") from error
            raise StorageError(f"{what}: it answered HTTP {error.status_code}") from error
        except (InvalidResponseError, ParseError) as error:
            if 300 <= get_status(error) < 400:
                raise StorageError(f"{what}: {_REDIRECTS}") from error
            raise StorageError(f"{what}: that address does not answer as S3 does") from error
        except (MinioException, ValueError) as error:
            raise StorageError(
                f"{what}: {clean_foreign(str(error), [self._secret_key])}"
            ) from error
        except urllib3.exceptions.HTTPError as error:
            raise StorageError(f"{what}: {_explain_unreachable(error)}") from error


def get_status(error: Exception) -> int:
    """The HTTP status of an error that the server answered; 0 for every other one."""
    if isinstance(error, S3Error):
        return int(error.response.status)
    if isinstance(error, InvalidResponseError):  # a proxy before the server, for instance
        return int(error._code)
    return int(error.status_code) if isinstance(error, ServerError) else 0


def _is_repeatable(error: Exception) -> bool:
    if is_lasting(error):
        return False
    # minio raises ParseError for an error answer whose XML is cut short.
    if isinstance(error, urllib3.exceptions.HTTPError | ParseError):
        return True
    if isinstance(error, S3Error) and error.code in _REPEATABLE_CODES:
        return True
    return get_status(error) in _REPEATABLE


def allow_answer(body: Any, headers: Mapping[str, str]) -> tuple[float, int]:
    """Seconds and bytes for an answer: after a minute, a server must have moved 64 KiB a second."""
    asked = _RANGE.fullmatch(headers.get("Range", ""))
    span = int(asked[2]) - int(asked[1]) + 1 if asked else 0
    size = len(body or b"") + (span or _USUAL_BYTES)
    return _FIRST_S + size / _LEAST_RATE, (span + _ERROR_BYTES if asked else _MOST_BYTES)


def _advise(error: S3Error, secret_key: str) -> str:
    if 300 <= get_status(error) < 400:
        return _REDIRECTS
    if error.code == "NoSuchBucket":
        return "there is no such bucket; check its name in the config"
    if error.code == "RequestTimeTooSkewed":
        return (
            "its clock and the clock of this machine differ by more than 15 minutes; correct them"
        )
    if error.code == "PreconditionFailed":
        return "the object was changed at the same time; run again"
    if error.code in {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"}:
        return f"it refused the credentials ({error.code}); check MinIO.access_key and secret_key"
    code, message = error.code or "an error", error.message or ""
    return f"it answered {clean_foreign(code)}: {clean_foreign(message, [secret_key])}"


def _explain_unreachable(error: Exception) -> str:
    if isinstance(error, urllib3.exceptions.SSLError):
        return explain_tls(error, "MinIO")
    if isinstance(error, AnswerTooLarge | AnswerTimeout):
        return str(error)
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return "its host name is not known; check MinIO.url"
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return "nothing accepts connections there; check MinIO.url"
    return f"no usable answer ({type(error).__name__})"
