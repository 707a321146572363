# SPDX-License-Identifier: Apache-2.0
"""Writes that succeed only if the object is new (`If-None-Match: *`).

Of several writers of one key exactly one succeeds; the others get Conflict. If an answer
is lost, the content of the object tells who wrote it, so every content must name its writer. A
request without an answer may still arrive after the object was read: a writer that fails with
StorageError may have written after all.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from minio.error import S3Error

from ..model.errors import Conflict
from .client import S3Client, get_status

Read = Callable[[], bytes | None]


def put_new(client: S3Client, key: str, content: bytes, content_type: str, read: Read) -> None:
    """Creates an object; `read` returns what is at its key. Raises Conflict if it exists."""
    repeated = False

    def note_repeat() -> None:
        nonlocal repeated
        repeated = True

    headers = {"Content-Type": content_type, "If-None-Match": "*"}
    try:
        client.request("PUT", key, headers=headers, body=content, on_repeat=note_repeat)
    except Exception as error:
        status = get_status(error)
        refused = status == HTTPStatus.PRECONDITION_FAILED
        # A 4xx to the only request proves that nothing was written.
        certain = not repeated and 400 <= status < 500
        if certain and not refused:
            raise
        found = None if certain else read()
        if found == content:
            return
        if refused or found is not None:
            raise Conflict(f"{client.bucket}/{key} exists already") from error
        raise


def honours_condition(client: S3Client, key: str, read: Read) -> bool:
    """Whether the server refuses a second conditional write; leaves no object at `key`.

    MinIO before its release of August 2024 and some gateways answer 200 and overwrite, others
    refuse the header as not implemented.
    """
    try:
        for content in (b"first", b"second"):
            put_new(client, key, content, "text/plain", read)
    except Conflict:
        return True
    except S3Error as error:
        if get_status(error) != HTTPStatus.NOT_IMPLEMENTED:
            raise
    finally:
        client.request("DELETE", key)
    return False
