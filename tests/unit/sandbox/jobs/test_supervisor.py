# SPDX-License-Identifier: Apache-2.0
"""What the supervisor takes an event for, and which outputs it uploads."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sandbox.jobs.supervisor import Event, StoredObject, is_wanted, parse_event, stage_in


def record(source: str = "minio:s3") -> dict[str, Any]:
    s3 = {"bucket": {"name": "b"}, "object": {"key": "in%2Fa+b%2B.json"}}
    return {"Records": [{"eventSource": source, "eventTime": "t", "s3": s3}]}


@pytest.mark.parametrize(
    ("event", "content"),
    [
        ('{"start":1,"end":2}', b'{"start": 1, "end": 2}'),
        ('{"é":1}', b'{"\\u00e9": 1}'),
        ("eyJhIjoxfQ==\n", b'{"a":1}'),
        ("\n", b""),
        ('{"event":{"a":1},"b":2}', b'{"a": 1}'),
        ('{"storage_provider":"x","event":"{\\"a\\":1}"}', b'{"a": 1}'),
        ('{"httpMethod":"POST","body":"{\\"a\\":1}"}', b'{"a": 1}'),
        ('{"Records":[]}', b'{"Records": []}'),
        (json.dumps(record("somewhere")), json.dumps(record("somewhere")).encode()),
        ('{"Records":[{"requestParameters":{}}]}', b'{"Records": [{"requestParameters": {}}]}'),
        ('{"event_type":"x","payload":1}', b'{"event_type": "x", "payload": 1}'),
    ],
)
def test_events_that_are_saved(event: str, content: bytes) -> None:
    assert parse_event(event) == Event(content)


@pytest.mark.parametrize("source", ["minio:s3", "aws:s3", "OneTrigger"])
def test_storage_events_name_an_object(source: str) -> None:
    text = json.dumps(record(source))
    stored = StoredObject("b", "in/a b+.json", "t")
    assert parse_event(text) == Event(text.encode(), stored)


def test_a_delegated_storage_event() -> None:
    assert parse_event(json.dumps({"event": record()})).stored is not None


@pytest.mark.parametrize(
    "event",
    [
        "1234",
        "null",
        "true",
        '"an event"',
        '{"event":1}',
        '{"event":[1]}',
        '{"Records":[1]}',
        '{"Records":{"a":1}}',
        '{"httpMethod":"GET"}',
    ],
)
def test_an_event_of_a_wrong_form_ends_the_supervisor(event: str) -> None:
    with pytest.raises((TypeError, KeyError, AttributeError, ValueError)):
        parse_event(event)


@pytest.mark.parametrize("event", ["[1]", "abc", '{"a":"\n"}', '{"event":"x"}'])
def test_an_event_that_cannot_be_saved_ends_the_supervisor_later(
    event: str, tmp_path: Path
) -> None:
    found = parse_event(event)
    stage_in(found, {"file_stage_in": True}, tmp_path)
    with pytest.raises(ValueError, match=re.escape(found.problem)):
        stage_in(found, {}, tmp_path)
    assert found.problem


@pytest.mark.parametrize(
    ("name", "output", "upload"),
    [
        ("a.txt", {}, True),
        ("a.txt", {"suffix": [".txt", ".csv"]}, True),
        ("a.txt", {"suffix": [".csv"]}, False),
        ("sub/a.txt", {"prefix": ["sub/"]}, True),
        ("sub/a.txt", {"prefix": ["a"]}, False),
        ("a.txt", {"prefix": ["a"], "suffix": [".csv"]}, False),
        (" a.txt ", {"prefix": ["a"], "suffix": [".txt"]}, True),
        ("a", {"prefix": None, "suffix": []}, True),
    ],
)
def test_output_filters(name: str, output: dict[str, Any], upload: bool) -> None:
    assert is_wanted(name, output) is upload
