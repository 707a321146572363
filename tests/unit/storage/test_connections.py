# SPDX-License-Identifier: Apache-2.0
"""Answers of servers that are not trusted: bounded in time and size, and nothing is followed."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
import urllib3

from coordinator.model.access import ClusterAccess, StorageAccess
from coordinator.model.errors import ClusterError, StorageError
from coordinator.oscar.client import OscarClient
from coordinator.storage.bucket import Bucket
from coordinator.storage.connections import AnswerTimeout, AnswerTooLarge, Connections
from tests.unit.sockets import answering

OK = b"HTTP/1.1 200 OK\r\n"


def connections(seconds: float = 30, most: int = 1000) -> Connections:
    return Connections(
        verify=True,
        ca_file="",
        allow=lambda body, headers: (seconds, most),
        timeout=urllib3.Timeout(connect=20, read=20),
        most=1,
    )


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP", id="in the first line"),
        pytest.param(OK + b"X-Slow: ", id="in the headers"),
        pytest.param(OK + b"Content-Length: 9\r\n\r\nx", id="in the body"),
        pytest.param(OK + b"\r\nx", id="in a body that ends with the connection"),
        pytest.param(OK + b"Transfer-Encoding: chunked\r\n\r\n1", id="in the size of a chunk"),
    ],
)
def test_a_server_that_stops_in_its_answer_holds_nobody_longer_than_allowed(answer: bytes) -> None:
    with answering(answer) as (address, seen), pytest.raises(AnswerTimeout, match="took longer"):
        connections(seconds=0.2).urlopen("GET", f"http://{address}/")
    assert len(seen) == 1


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 5000\r\n\r\n" + b"x" * 5000,
        OK + b"Content-Length: 99999999999\r\n\r\n" + b"x" * 5000,
        OK + b"\r\n" + b"x" * 5000,
        OK + b"Transfer-Encoding: chunked\r\n\r\n1388\r\n" + b"x" * 5000 + b"\r\n0\r\n\r\n",
    ],
)
def test_an_answer_that_is_too_large_is_not_kept(answer: bytes) -> None:
    with answering(answer) as (address, _), pytest.raises(AnswerTooLarge, match="1000 bytes"):
        connections().urlopen("GET", f"http://{address}/")


def test_what_is_packed_is_not_unpacked() -> None:
    packed = gzip.compress(bytes(10**6))
    head = f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    with answering(OK + head + packed) as (address, _):
        assert connections(most=2000).urlopen("GET", f"http://{address}/").data == packed


def test_an_empty_answer_has_an_empty_body() -> None:
    with answering(OK + b"Content-Length: 0\r\n\r\n") as (address, _):
        assert connections().urlopen("GET", f"http://{address}/").data == b""
    with answering(OK + b"Content-Length: 7\r\n\r\n") as (address, _):
        assert connections().urlopen("HEAD", f"http://{address}/").data == b""


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(code: int) -> None:
    with answering(OK + b"Content-Length: 0\r\n\r\n") as (other, seen):
        head = f"HTTP/1.1 {code} Moved\r\nLocation: http://{other}/\r\nContent-Length: 0\r\n\r\n"
        with answering(head.encode()) as (address, _):
            found = connections().urlopen("PUT", f"http://{address}/", body=b"x", redirect=True)
            assert found.status == code
            oscar = OscarClient(ClusterAccess(f"http://{address}", "u", "canary"))
            with pytest.raises(ClusterError, match="redirects to"):
                oscar.read_service("target")
        assert seen == []


def use_everything(address: str) -> None:
    """Both clients once; neither finds what it expects."""
    oscar = OscarClient(ClusterAccess(f"http://{address}", "u", "canary"), sleep=lambda _: None)
    with pytest.raises(ClusterError):
        oscar.read_service("target")
    access = StorageAccess(f"http://{address}", "key", "canary", region="us-east-1")
    with pytest.raises(StorageError):
        Bucket(access, "data", delays_s=()).write("a", b"x", "text/plain")


def test_the_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login thief password canary-netrc\n")
    (tmp_path / ".netrc").chmod(0o600)
    refusal = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    with answering(refusal) as (proxy, proxied), answering(refusal) as (address, seen):
        environment: dict[str, Any] = {"HOME": tmp_path, "NETRC": tmp_path / ".netrc"}
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            environment |= {name: f"http://{proxy}", name.upper(): f"http://{proxy}"}
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            environment[name] = tmp_path / "missing"
        for name, value in environment.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        use_everything(address)
    assert (len(proxied), len(seen)) == (0, 2)
    assert not any(b"thief" in head for head in seen)
