# SPDX-License-Identifier: Apache-2.0
"""How long tokens live, and what is made of the answers of a provider that misbehaves."""

from __future__ import annotations

import json
import math
import shutil
import socket
import ssl
import subprocess
import threading
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from coordinator.model.access import ClusterAccess, OidcAccess
from coordinator.model.errors import ClusterError, NoToken
from coordinator.oscar.tokens import MOST_BYTES, AccessTokens, make_token

NOW_S = 1_000_000.0


def jwt(**claims: object) -> str:
    payload = urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2ln"


@pytest.mark.parametrize(
    ("text", "expires_in", "life_s"),
    [
        ("opaque", 3600, 3600),
        ("opaque", "300", 300),
        ("opaque", 8.5, 8.5),
        (jwt(exp=NOW_S + 900), 3600, 3600),
        (jwt(exp=NOW_S + 900), None, 900),
        (jwt(exp=NOW_S + 900, padding="x"), 0, 900),
        (jwt(exp=NOW_S - 5), None, None),
        (jwt(exp="soon"), None, None),
        (jwt(exp=10**400), None, None),
        (jwt(sub="me"), None, None),
        ("a.%%%.c", None, None),
        ("a.b.c.d", None, None),
        ("opaque", None, None),
        ("opaque", -1, None),
        ("opaque", "never", None),
        ("opaque", math.inf, None),
        ("opaque", math.nan, None),
        ("opaque", 10**400, None),
        ("opaque", [3600], None),
    ],
)
def test_how_long_a_token_lives(text: str, expires_in: object, life_s: float | None) -> None:
    token = make_token(text, expires_in, NOW_S)
    assert token.void_at_s == (NOW_S + life_s if life_s else math.inf)


@pytest.mark.parametrize(("life_s", "ahead_s"), [(3600, 60), (240, 60), (60, 15), (4, 1)])
def test_a_token_is_replaced_a_while_before_it_expires(life_s: float, ahead_s: float) -> None:
    assert make_token("opaque", life_s, NOW_S).replace_at_s == NOW_S + life_s - ahead_s


@contextmanager
def provider(
    head: bytes, piece: bytes = b"", pause_s: float = 0.0, certificate: str = ""
) -> Iterator[str]:
    """A token endpoint that answers with these bytes, and then with the piece, without an end."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        with suppress(OSError):
            client, _ = listener.accept()
            if certificate:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(certificate)
                client = context.wrap_socket(client, server_side=True)
            with client, suppress(OSError):
                # What is left unread when a socket closes breaks the connection.
                received = b""
                while b"client_id=" not in received and (more := client.recv(65_536)):
                    received += more
                client.sendall(head)
                while piece and not done.wait(pause_s):
                    client.sendall(piece)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        scheme = "https" if certificate else "http"
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/token"
    finally:
        done.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


def fetch(endpoint: str, timeout_s: float = 30.0, ca_file: str = "") -> str:
    access = OidcAccess(endpoint, "client", "canary-refresh")
    tokens = AccessTokens(access, ca_file=ca_file, timeout_s=timeout_s, now_s=lambda: NOW_S)
    try:
        return tokens.read()
    finally:
        tokens._session.clear()


def answer(status: str, body: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Connection: close", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", body]).encode()


def test_no_proxy_of_the_environment_sees_the_refresh_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with provider(answer("200 OK", '{"access_token": "abc"}')) as endpoint:
        assert fetch(endpoint) == "abc"


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (answer("200 OK", "<html>"), "the answer holds no token"),
        (answer("200 OK", '{"access_token": "canary\\r\\nX: y"}'), "the answer holds no token"),
        (answer("200 OK", '{"access_token": ["canary"]}'), "the answer holds no token"),
        (answer("200 OK", "[" * 100_000), "the answer holds no token"),
        (
            answer("400 Bad Request", '{"error": "invalid_grant", "error_description": "gone"}'),
            r"refused the refresh token with HTTP 400 \(invalid_grant: gone\); log in again",
        ),
        (
            answer("401 Unauthorized", '{"error": "canary-refresh"}'),
            r"refused the refresh token with HTTP 401 \(…\); log in again",
        ),
        (answer("503 Unavailable", "canary-refresh"), "the provider answered HTTP 503; check"),
        (
            answer("302 Found", "", "Location: http://127.0.0.1:9/canary"),
            "redirects to another address, which gets no refresh token",
        ),
        (b"", "the connection broke"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncan", "the connection broke"),
    ],
)
def test_what_is_no_token(sent: bytes, said: str) -> None:
    with provider(sent) as endpoint, pytest.raises(NoToken, match=said) as caught:
        fetch(endpoint)
    assert str(caught.value).startswith(f"could not get an access token from {endpoint}: ")
    assert "canary" not in str(caught.value)


def test_an_answer_without_an_end_is_too_large() -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    with (
        provider(head, b" " * (MOST_BYTES // 8)) as endpoint,
        pytest.raises(NoToken, match=f"answer has more than {MOST_BYTES} bytes"),
    ):
        fetch(endpoint)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "])
def test_an_answer_that_comes_byte_by_byte_has_no_more_time_than_another(head: bytes) -> None:
    with (
        provider(head, b"x", 0.02) as endpoint,
        pytest.raises(NoToken, match="no answer in time"),
    ):
        fetch(endpoint, timeout_s=0.3)


def certify(folder: Path, name: str) -> str:
    """A new certificate for loopback with its key, in one file."""
    path = folder / name
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-days", "2", "-keyout", str(path), "-out", str(folder / "part")]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + (folder / "part").read_text())
    return str(path)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
def test_the_ca_file_of_a_private_oscar_is_trusted_beside_the_public_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public, private = certify(tmp_path, "public"), certify(tmp_path, "private")
    monkeypatch.setattr("certifi.where", lambda: public)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", private)
    sent = answer("200 OK", '{"access_token": "abc"}')
    for certificate in (public, private):
        with provider(sent, certificate=certificate) as endpoint:
            assert fetch(endpoint, ca_file=private) == "abc"
    with (
        provider(sent, certificate=private) as endpoint,
        pytest.raises(NoToken, match=r"not trusted; .* or give oscar_cluster\.ca_file"),
    ):
        fetch(endpoint)


def test_a_provider_that_is_away_is_an_error_once_the_token_expires() -> None:
    now_s = NOW_S
    with provider(answer("200 OK", '{"access_token": "abc", "expires_in": 400}')) as endpoint:
        access = OidcAccess(endpoint, "client", "canary-refresh")
        tokens = AccessTokens(access, ca_file="", timeout_s=30.0, now_s=lambda: now_s)
        assert tokens.read() == "abc"
    now_s += 399
    assert tokens.read() == "abc"
    now_s += 1
    with pytest.raises(NoToken, match="nothing accepts connections there"):
        tokens.read()


def test_where_nothing_listens() -> None:
    with pytest.raises(ClusterError, match="nothing accepts connections there"):
        fetch("http://127.0.0.1:9/token")


def test_basic_credentials_come_before_tokens() -> None:
    oidc = OidcAccess("https://idp/token", "client", "canary-refresh")
    both = ClusterAccess("https://oscar", "user", "password", token="token", oidc=oidc)
    assert AccessTokens.for_cluster(both, lambda: NOW_S) is None
    assert AccessTokens.for_cluster(replace(both, password=""), lambda: NOW_S) is not None
