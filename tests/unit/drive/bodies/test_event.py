# SPDX-License-Identifier: Apache-2.0
"""The event of an item: the supervisor finds the object that the item is, whatever its key."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.drive.bodies.encoding import MOST_BYTES
from coordinator.drive.bodies.event import MOST_KEY_BYTES, write_event_body
from sandbox.jobs import supervisor
from sandbox.services.job_requests import find_principal
from sandbox.storage.events import Written, make_minio_event
from tests.unit.drive.test_payload import SHELLS, echoed

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
# A key with a NUL is in no environment variable, and no server stores one.
KEYS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=60
)
BUCKETS = st.from_regex(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", fullmatch=True)
HOSTILE = [
    "in/a b.jpg",
    "in/a+b%2F#c&d=e.jpg",
    "in/  two\tblanks\n.jpg",
    r"in/back\nslash\c\\",
    "* ? [a-z] {a,b} ~",
    "$HOME `id` $(id) ; | & > x",
    "'\"",
    "ü日本𝄞\u2028",
    "-n -e",
    "a/event/httpMethod/Records",
]


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """Supervisors write the environment of their process."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def event(key: str, bucket: str = "data", owner: str = "cluster_admin") -> str:
    return write_event_body(bucket, key, owner, MOMENT).decode("ascii")


def parse_with_sandbox(text: str) -> tuple[str, str, str]:
    stored = supervisor.parse_event(text).stored
    assert stored is not None
    return stored.bucket, stored.key, stored.time


def parse_with_original(text: str) -> tuple[str, str, str]:
    """faas-supervisor 1.5.8, the newest on PyPI; its wheel names a dependency that pip refuses.

    Install it with `pip install --no-deps faas-supervisor==1.5.8`, where pip is older than 23.3.
    """
    found = importlib.import_module("faassupervisor.events").parse_event(text)
    assert found.get_type() == "MINIO"
    return found.bucket_name, found.object_key, found.event_time


PARSERS = [
    pytest.param(parse_with_sandbox, id="sandbox"),
    pytest.param(
        parse_with_original,
        id="original",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("faassupervisor") is None, reason="not installed"
        ),
    ),
]


@pytest.mark.parametrize("parse", PARSERS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(bucket=BUCKETS, key=KEYS)
def test_a_supervisor_finds_the_object(
    parse: Callable[[str], tuple[str, str, str]], bucket: str, key: str
) -> None:
    assert parse(event(key, bucket)) == (bucket, key, "2026-01-02T03:04:05.678Z")


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("key", HOSTILE)
def test_a_supervisor_finds_an_object_with_a_hostile_key(
    parse: Callable[[str], tuple[str, str, str]], key: str
) -> None:
    assert parse(event(key))[1] == key


@given(KEYS)
def test_the_keys_are_written_as_minio_writes_them(key: str) -> None:
    ours = json.loads(event(key))
    real = json.loads(make_minio_event(Written("data", key, 1, "", ""), MOMENT))
    assert ours["Key"] == real["Key"] == f"data/{key}"
    assert ours["Records"][0]["s3"]["object"]["key"] == real["Records"][0]["s3"]["object"]["key"]


def test_an_event_has_the_members_of_minios_but_what_the_index_does_not_know() -> None:
    ours = json.loads(event("a"))
    real = json.loads(make_minio_event(Written("data", "a", 1, "", ""), MOMENT))
    assert ours.keys() == real.keys()
    assert ours["Records"][0].keys() == real["Records"][0].keys()
    assert ours["Records"][0]["s3"].keys() == real["Records"][0]["s3"].keys()


@pytest.mark.parametrize(
    ("owner", "user"),
    [("cluster_admin", "minio"), ("", "minio"), ("abc123@egi.eu", "abc123@egi.eu")],
)
def test_the_event_names_a_user_whose_secret_exists(owner: str, user: str) -> None:
    assert find_principal(event("a", owner=owner).encode()) == user


@pytest.mark.parametrize("character", ["x", " ", "\t", "é", "日", "𝄞"])
def test_the_longest_key_fits_even_when_the_supervisor_writes_it_again(character: str) -> None:
    key = character * (MOST_KEY_BYTES // len(character.encode()))
    body = event(key)
    again = json.dumps(json.loads(body))  # into the variable EVENT
    assert max(len(body), len(again)) < MOST_BYTES // 8


def test_a_key_that_no_object_has_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than 1024 bytes"):
        event("é" * 513)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("key", HOSTILE)
def test_an_event_survives_an_unquoted_echo(shell: str, key: str, tmp_path: Path) -> None:
    sent = event(key).encode()
    assert echoed(shell, sent, tmp_path) == sent + b"\n"
