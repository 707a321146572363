# SPDX-License-Identifier: Apache-2.0
"""Notifies services of written objects, in the form that MinIO sends.

A notifier holds what OSCAR registers with MinIO for each service: a webhook with the service's
token, and prefixes of buckets. A real MinIO keeps these itself (see minio_server). For SeaweedFS,
reports of its filer are turned into events of MinIO and posted to /job/<service>. The rules are
MinIO's: no suffix filter, overwrites and folder markers trigger too, and an event that cannot be
delivered is lost.
"""

import asyncio
import json
import logging
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

log = logging.getLogger(__name__)

BUCKETS = "/buckets/"
ETAG = "Seaweed-X-Amz-ETag"
MARKER_WAIT_S = 3.0


@dataclass(frozen=True, slots=True)
class Written:
    """An object that was created or overwritten."""

    bucket: str
    key: str
    size: int
    etag: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Trigger:
    """One bucket notification: objects of ``bucket`` below ``prefix`` start ``service``."""

    service: str
    bucket: str
    prefix: str

    def matches(self, written: Written) -> bool:
        return written.bucket == self.bucket and written.key.startswith(self.prefix)


def read_webhook(payload: Mapping[str, Any]) -> Written | None:
    """The object behind a filer event; None for buckets, implied folders and internal files."""
    path, entry = str(payload.get("key", "")), payload.get("message", {}).get("new_entry")
    bucket, _, key = path.removeprefix(BUCKETS).partition("/")
    if not path.startswith(BUCKETS) or not entry or not key:
        return None
    if bucket.startswith(".") or key.startswith(".uploads/") or key == ".uploads":
        return None
    etag = b64decode(entry.get("extended", {}).get(ETAG, "")).decode("ascii", "replace")
    if entry.get("is_directory"):
        if not etag:
            return None  # a folder that exists only because something is in it
        key += "/"
    attributes = entry.get("attributes", {})
    return Written(
        bucket,
        key,
        int(attributes.get("file_size", 0)),
        etag,
        str(attributes.get("mime") or "application/octet-stream"),
    )


def make_minio_event(written: Written, now: datetime) -> str:
    """The body that MinIO's webhook target sends for one object."""
    name, sequencer = "s3:ObjectCreated:Put", f"{int(now.timestamp() * 1e9):X}"
    record = {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "awsRegion": "us-east-1",
        "eventTime": f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z",
        "eventName": name,
        "userIdentity": {"principalId": "minio"},
        "requestParameters": {
            "principalId": "minio",
            "region": "us-east-1",
            "sourceIPAddress": "127.0.0.1",
        },
        "responseElements": {"x-amz-id-2": sequencer, "x-amz-request-id": sequencer},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "Config",
            "bucket": {
                "name": written.bucket,
                "ownerIdentity": {"principalId": "minio"},
                "arn": f"arn:aws:s3:::{written.bucket}",
            },
            "object": {
                "key": quote_plus(written.key),
                "size": written.size,
                "eTag": written.etag,
                "contentType": written.content_type,
                "userMetadata": {"content-type": written.content_type},
                "sequencer": sequencer,
            },
        },
        "source": {"host": "127.0.0.1", "port": "", "userAgent": "MinIO (sandbox)"},
    }
    event = {"EventName": name, "Key": f"{written.bucket}/{written.key}", "Records": [record]}
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    # Go's encoder escapes these three characters, so that JSON is safe in HTML.
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


class Notifier:
    """The notifications of all buckets. This class serves a storage that sends none."""

    def __init__(self) -> None:
        self._tokens: dict[str, str] = {}
        self._triggers: set[Trigger] = set()

    async def register(self, service: str, token: str) -> None:
        """Give the service a webhook with this token, which a later new token does not change."""
        self._tokens[service] = token

    async def unregister(self, service: str) -> None:
        await self.replace(service, set())
        self._tokens.pop(service, None)

    async def replace(self, service: str, triggers: set[Trigger]) -> None:
        """Replace the triggers of the service."""
        others = {trigger for trigger in self._triggers if trigger.service != service}
        self._triggers = others | triggers

    def list_triggers(self, service: str) -> set[Trigger]:
        return {trigger for trigger in self._triggers if trigger.service == service}

    def receive(self, payload: Mapping[str, Any]) -> None:
        """Take a report of the filer; returns at once."""

    async def write_and_wait(self, bucket: str, key: str, write: Awaitable[None]) -> None:
        """Do ``write``; triggers that are registered afterwards do not see it."""
        await write


class FilerNotifier(Notifier):
    """Delivers the notifications of SeaweedFS's filer."""

    def __init__(self, post: Callable[[str, str, str], Awaitable[int]]) -> None:
        super().__init__()
        self._post = post
        self._awaited: dict[tuple[str, str], asyncio.Event] = {}
        self._deliveries: set[asyncio.Task[None]] = set()

    def receive(self, payload: Mapping[str, Any]) -> None:
        written = read_webhook(payload)
        if written is None:
            return
        if (seen := self._awaited.get((written.bucket, written.key))) is not None:
            seen.set()
        for trigger in self._triggers:
            if trigger.matches(written):
                body = make_minio_event(written, datetime.now(UTC))
                task = asyncio.create_task(self._deliver(trigger.service, body))
                self._deliveries.add(task)
                task.add_done_callback(self._deliveries.discard)

    async def write_and_wait(self, bucket: str, key: str, write: Awaitable[None]) -> None:
        """Wait for the filer's report too, which comes late: else a folder marker would trigger the
        service whose notification is set next."""
        seen = self._awaited[bucket, key] = asyncio.Event()
        try:
            await write
            await asyncio.wait_for(seen.wait(), MARKER_WAIT_S)
        except TimeoutError:
            log.warning("no storage event for %s/%s within %s s", bucket, key, MARKER_WAIT_S)
        finally:
            del self._awaited[bucket, key]

    async def _deliver(self, service: str, body: str) -> None:
        status = await self._post(service, self._tokens.get(service, ""), body)
        if status >= 300:
            log.warning("storage event for %s was refused with %d and is lost", service, status)
