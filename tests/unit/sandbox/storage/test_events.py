# SPDX-License-Identifier: Apache-2.0
"""Filer events into objects, objects into MinIO's bodies, and which of them trigger."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.storage.events import Trigger, Written, make_minio_event, read_webhook

ETAG = {"Seaweed-X-Amz-ETag": base64.b64encode(b"abc").decode()}
NOW = datetime(2026, 1, 2, 3, 4, 5, 678_900, UTC)


def filer(key: str, **entry: Any) -> dict[str, Any]:
    return {
        "event_type": "create",
        "key": key,
        "message": {"new_entry": {"extended": ETAG} | entry},
    }


def test_a_written_object_is_read() -> None:
    attributes = {"file_size": 7, "mime": "application/json"}
    written = read_webhook(filer("/buckets/b/in/a b#.json", attributes=attributes))
    assert written == Written("b", "in/a b#.json", 7, "abc", "application/json")


def test_a_folder_marker_is_an_object_that_ends_in_a_slash() -> None:
    written = read_webhook(filer("/buckets/b/in", is_directory=True))
    assert written is not None
    assert (written.key, written.size) == ("in/", 0)


@pytest.mark.parametrize(
    "payload",
    [
        filer("/buckets/b", is_directory=True),
        filer("/buckets/b/in", is_directory=True, extended={}),
        filer("/buckets/b/.uploads", is_directory=True),
        filer("/buckets/b/.uploads/1/0001.part"),
        filer("/buckets/.system/owners/x"),
        filer("/etc/x/y"),
        {"event_type": "delete", "key": "/buckets/b/a", "message": {"old_entry": {}}},
        {},
    ],
    ids=["bucket", "implied", "uploads", "part", "system", "elsewhere", "delete", "empty"],
)
def test_an_event_about_no_object_is_ignored(payload: dict[str, Any]) -> None:
    assert read_webhook(payload) is None


def test_the_body_escapes_the_key_as_minio_does() -> None:
    body = make_minio_event(Written("b", "in/é a+b&.json", 7, "abc", "text/plain"), NOW)
    event = json.loads(body)
    assert event["Key"] == "b/in/é a+b&.json"
    assert event["EventName"] == "s3:ObjectCreated:Put"
    (record,) = event["Records"]
    assert record["s3"]["object"]["key"] == "in%2F%C3%A9+a%2Bb%26.json"
    assert record["eventSource"] == "minio:s3"
    assert record["eventTime"] == "2026-01-02T03:04:05.678Z"
    assert "&" not in body


@pytest.mark.parametrize(
    ("bucket", "key", "matches"),
    [
        ("b", "in/a", True),
        ("b", "in/deep/a", True),
        ("b", "in/", True),
        ("b", "in", False),
        ("b", "in2/a", False),
        ("c", "in/a", False),
    ],
)
def test_triggers_are_prefixes(bucket: str, key: str, matches: bool) -> None:
    trigger = Trigger("s", "b", "in/")
    assert trigger.matches(Written(bucket, key, 0, "", "")) is matches
