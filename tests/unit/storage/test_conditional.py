# SPDX-License-Identifier: Apache-2.0
"""Writes of new objects: one writer wins, and a lost answer is judged by what is stored."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coordinator.model.errors import Conflict, StorageError
from tests.unit.storage.s3 import S3, Fault, s3_server

MINE, OTHERS = b"writer 1", b"writer 2"


@pytest.fixture
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


def put_new(s3: S3, content: bytes = MINE) -> None:
    s3.bucket().put_new("key", content, "text/plain")


def once(status: int, then: bytes | None = None, s3: S3 | None = None) -> Fault:
    """A fault at the first PUT alone; another writer may come right after it."""
    left = [status]

    def fault(method: str, _key: str) -> int | None:
        if method != "PUT" or not left:
            return None
        if then is not None and s3 is not None:
            s3.objects["key"] = then
        return left.pop()

    return fault


def always(status: int) -> Fault:
    return lambda method, _key: status if method == "PUT" else None


def test_a_new_object_is_created_by_one_request(s3: S3) -> None:
    put_new(s3)
    assert (s3.objects, s3.requests) == ({"key": MINE}, ["PUT key"])


def test_an_object_that_exists_is_a_conflict_and_stays(s3: S3) -> None:
    s3.objects["key"] = OTHERS
    with pytest.raises(Conflict, match="data/key exists already"):
        put_new(s3)
    assert (s3.objects, s3.requests) == ({"key": OTHERS}, ["PUT key"])


def test_an_object_of_the_same_content_is_a_conflict_if_no_answer_was_lost(s3: S3) -> None:
    """Somebody else wrote it: this writer's first request was refused."""
    s3.objects["key"] = MINE
    with pytest.raises(Conflict):
        put_new(s3)


@pytest.mark.parametrize("status", [0, 500, 503, 409], ids=["lost", "500", "503", "409"])
def test_a_request_that_failed_before_it_was_done_is_repeated(s3: S3, status: int) -> None:
    s3.before = once(status)
    put_new(s3)
    assert (s3.objects, s3.slept) == ({"key": MINE}, [1.0])


@pytest.mark.parametrize("status", [0, 500, 503], ids=["lost", "500", "503"])
def test_a_write_whose_answer_was_lost_is_a_success(s3: S3, status: int) -> None:
    s3.after = once(status)
    put_new(s3)
    assert (s3.objects, s3.requests) == ({"key": MINE}, ["PUT key", "PUT key", "GET key"])


def test_a_lost_request_that_another_writer_was_faster_than_is_a_conflict(s3: S3) -> None:
    s3.before = once(0, then=OTHERS, s3=s3)
    with pytest.raises(Conflict):
        put_new(s3)
    assert s3.objects == {"key": OTHERS}


def test_a_write_whose_answers_are_all_lost_is_judged_by_what_is_stored(s3: S3) -> None:
    s3.after = always(0)
    put_new(s3)
    assert s3.objects == {"key": MINE}


def test_a_write_that_never_arrives_is_an_error_and_no_conflict(s3: S3) -> None:
    s3.before = always(0)
    with pytest.raises(StorageError, match="could not create data/key") as caught:
        put_new(s3)
    assert not isinstance(caught.value, Conflict)
    assert s3.requests == ["PUT key"] * 3 + ["GET key"]


def test_a_write_that_is_not_allowed_is_an_error_and_not_repeated(s3: S3) -> None:
    s3.before = always(403)
    with pytest.raises(StorageError, match="refused the credentials") as caught:
        put_new(s3)
    assert not isinstance(caught.value, Conflict)
    assert s3.requests == ["PUT key"]


@pytest.mark.parametrize("honours", [True, False])
def test_the_probe_finds_whether_a_server_honours_the_condition(s3: S3, honours: bool) -> None:
    s3.honours_condition = honours
    assert s3.bucket().honours_condition("probe") is honours
    assert s3.objects == {}


def test_a_server_that_does_not_know_the_condition_does_not_honour_it(s3: S3) -> None:
    s3.before = always(501)
    assert s3.bucket().honours_condition("probe") is False


def test_a_probe_that_is_not_allowed_is_an_error(s3: S3) -> None:
    s3.before = always(403)
    with pytest.raises(StorageError):
        s3.bucket().honours_condition("probe")
