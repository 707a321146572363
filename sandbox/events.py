# SPDX-License-Identifier: Apache-2.0
"""Turns the filer's webhook calls into MinIO-shaped events and posts them to /job/<service>.

The rules are those of the webhook that OSCAR registers with MinIO: a prefix filter, no suffix
filter, overwrites and folder markers trigger too, and an event that cannot be delivered is lost.
Bodies go through the HTTP API with the service's token, as MinIO's do. Next: api.
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


def minio_event(written: Written, now: datetime) -> str:
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
    # Go's encoder escapes these three for HTML's sake.
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


class Notifier:
    """The notifications of all buckets, and the deliveries under way."""

    def __init__(self, post: Callable[[str, str], Awaitable[int]]) -> None:
        self._post = post
        self._triggers: set[Trigger] = set()
        self._awaited: dict[tuple[str, str], asyncio.Event] = {}
        self._deliveries: set[asyncio.Task[None]] = set()

    def replace(self, service: str, triggers: set[Trigger]) -> None:
        """From now on these are the triggers of the service."""
        others = {trigger for trigger in self._triggers if trigger.service != service}
        self._triggers = others | triggers

    def of(self, service: str) -> set[Trigger]:
        return {trigger for trigger in self._triggers if trigger.service == service}

    def receive(self, payload: Mapping[str, Any]) -> None:
        """Called for every webhook request of the filer; returns at once."""
        written = read_webhook(payload)
        if written is None:
            return
        if (seen := self._awaited.get((written.bucket, written.key))) is not None:
            seen.set()
        for trigger in self._triggers:
            if trigger.matches(written):
                body = minio_event(written, datetime.now(UTC))
                task = asyncio.create_task(self._deliver(trigger.service, body))
                self._deliveries.add(task)
                task.add_done_callback(self._deliveries.discard)

    async def arrival(self, bucket: str, key: str, write: Awaitable[None]) -> None:
        """Do ``write`` and wait until its event came by: a folder marker must not trigger the
        service whose notification is set right after it."""
        seen = self._awaited[bucket, key] = asyncio.Event()
        try:
            await write
            await asyncio.wait_for(seen.wait(), MARKER_WAIT_S)
        except TimeoutError:
            log.warning("no storage event for %s/%s within %s s", bucket, key, MARKER_WAIT_S)
        finally:
            del self._awaited[bucket, key]

    async def _deliver(self, service: str, body: str) -> None:
        status = await self._post(service, body)
        if status >= 300:
            log.warning("storage event for %s was refused with %d and is lost", service, status)
