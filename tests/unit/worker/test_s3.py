# SPDX-License-Identifier: Apache-2.0
"""The worker's calls to S3: what is repeated, how long, and what an answer proves."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import formatdate

import pytest

from tests.unit.sockets import answering
from worker.oscar_batch_worker import (
    S3,
    Access,
    Answer,
    Judge,
    Request,
    RunFolder,
    StorageError,
    Timing,
    sign,
)

ACCESS = Access("http://s3:9000", "us-east-1", "key", "secret")
Step = Answer | Exception | Callable[[], Answer]


class Scripted(S3):
    """A server that answers what a test says; time passes in `sleep` only."""

    def __init__(self, *steps: Step, patience_s: float = 600.0, used: bool = False) -> None:
        self.now, self.steps, self.sent, self.slept = 0.0, list(steps), [], []  # type: ignore[var-annotated]
        self._used = used
        super().__init__(ACCESS, patience_s, clock=lambda: self.now, sleep=self._pass)

    def _pass(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def _drop_connection(self) -> bool:
        return self._used

    def _send(self, request: Request) -> Answer:
        self.sent.append(f"{request.method} {request.path[1:]}")
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return step() if callable(step) else step


def answer(status: int, body: object = b"") -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, {}, content, False)


def test_a_call_is_repeated_with_backoff_until_it_succeeds() -> None:
    s3 = Scripted(ConnectionRefusedError(), answer(503), answer(429), answer(200))
    assert s3.call("GET", "bucket/key").repeated
    assert len(s3.slept) == 3
    assert s3.failed_at is not None


def test_backoff_has_a_limit_and_patience_ends() -> None:
    s3 = Scripted(answer(503, b"<Code>SlowDown</Code><Message>later</Message>"))
    with pytest.raises(
        StorageError, match="GET bucket/key: 503 SlowDown later; the storage was away"
    ):
        s3.call("GET", "bucket/key")
    assert 500 < s3.now <= 605  # the last wait may be a fifth longer
    # Beats are at most 15 s apart while the storage is away; jitter is a fifth.
    assert max(s3.slept) <= 18


def test_a_refusal_is_not_repeated() -> None:
    s3 = Scripted(answer(403, b"<Code>AccessDenied</Code>"))
    with pytest.raises(StorageError, match="403 AccessDenied") as caught:
        s3.call("PUT", "bucket/key")
    assert (caught.value.status, len(s3.sent), s3.failed_at) == (403, 1, None)
    assert s3.call("PUT", "bucket/key", accept=(403,)).status == 403


@pytest.mark.parametrize("status", [400, 403, 404, 409, 411, 416, 501])
def test_an_answer_that_will_not_change_is_not_awaited(status: int) -> None:
    s3 = Scripted(answer(status))
    with pytest.raises(StorageError) as caught:
        s3.call("PUT", "bucket/key")
    assert (caught.value.status, s3.slept) == (status, [])


def test_a_connection_that_the_server_closed_while_idle_is_no_failed_call() -> None:
    s3 = Scripted(http.client.RemoteDisconnected(""), answer(200), used=True)
    assert s3.call("GET", "bucket/key").repeated
    assert (s3.slept, s3.failed_at) == ([], None)


def test_clocks_that_differ_are_repeated() -> None:
    s3 = Scripted(answer(403, b"<Code>RequestTimeTooSkewed</Code>"), answer(200))
    assert s3.call("GET", "bucket/key").status == 200


MINE = {"process": "mine", "attempt": 1}


@pytest.mark.parametrize(
    ("steps", "won"),
    [
        ([answer(200)], True),
        ([answer(412)], False),
        ([ConnectionResetError(), answer(412), answer(200, MINE)], True),
        ([ConnectionResetError(), answer(412), answer(200, {**MINE, "process": "other"})], False),
        ([answer(409), answer(200)], True),
        ([answer(409), answer(412), answer(200, {**MINE, "process": "other"})], False),
    ],
)
def test_who_has_written_a_new_object(steps: list[Step], won: bool) -> None:
    assert RunFolder(Scripted(*steps), "bucket/run/").write_new("claims/x", MINE) is won


def test_a_process_is_gone_when_the_same_old_beat_was_seen_twice() -> None:
    def beat(modified: int, date: int) -> Answer:
        headers = {"last-modified": formatdate(modified), "date": formatdate(date)}
        return Answer(200, headers, b'{"state": "working"}', False)

    s3 = Scripted(beat(10, 200), beat(60, 250), beat(60, 300), beat(60, 300))
    judge = Judge(RunFolder(s3, "bucket/run/"), Timing(), lambda: s3.now)
    gone = []
    for now in (0.0, 50.0, 94.0, 95.0):
        s3.now = now
        gone.append(judge.is_gone("process", "claim"))
    assert gone == [False, False, False, True]


def test_a_listing_goes_through_all_pages() -> None:
    def page(key: str, more: str) -> Answer:
        text = (
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Contents><Key>run/{key}</Key>"
            "<LastModified>2026-11-24T10:00:00.123Z</LastModified></Contents>"
            f"{more}</ListBucketResult>"
        )
        return answer(200, text.encode())

    token = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
    s3 = Scripted(page("a", token), page("b", "<IsTruncated>false</IsTruncated>"))
    at = datetime(2026, 11, 24, 10, tzinfo=UTC).timestamp()
    assert RunFolder(s3, "bucket/run/").list("") == {"a": at, "b": at}


def test_the_signature_is_that_of_the_published_example() -> None:
    """The GET of an object with a range in Amazon's documentation of signature V4."""
    access = Access(
        "https://examplebucket.s3.amazonaws.com",
        "us-east-1",
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    )
    headers = {
        "host": "examplebucket.s3.amazonaws.com",
        "range": "bytes=0-9",
        "x-amz-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "x-amz-date": "20130524T000000Z",
    }
    signed = sign(access, "GET", "/test.txt", "", headers, datetime(2013, 5, 24, tzinfo=UTC))
    expected = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    assert signed.endswith(f"Signature={expected}")


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_certificate_is_verified_unless_the_provider_says_otherwise() -> None:
    with answering(ANSWER, tls=True) as (address, seen):
        access = Access(f"https://{address}", "us-east-1", "key", "s3cret", verify=False)
        assert S3(access, 5).call("GET", "bucket/key").body == b"hi"
        assert seen[-1].startswith(b"GET /bucket/key HTTP/1.1\r\n")
        with pytest.raises(StorageError, match="verify: false"):
            S3(access._replace(verify=True), 600).call("GET", "bucket/key")
        assert not any(b"s3cret" in each for each in seen)
