# SPDX-License-Identifier: Apache-2.0
"""HTTP requests to servers that are not trusted: each answer is bounded in time and in size.

The time counts from the request to the last byte, so a server that sends one byte now and then
cannot hold a run. No redirect is followed, and the environment (proxies, CA bundles, netrc) changes
nothing: where credentials go is for the config alone.
"""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, SSLError
from urllib3.util.ssl_ import create_urllib3_context

_PIECE_BYTES = 64 * 1024
_HTTP_INSTEAD = "WRONG_VERSION_NUMBER"
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"

Allow = Callable[[Any, Any], tuple[float, int]]
"""Seconds and bytes for the answer to a request of this body and these headers."""


class AnswerTimeout(HTTPError):
    """An answer that was not whole in the time that its request allows."""


class AnswerTooLarge(HTTPError):
    """An answer that has more bytes than its request allows."""


class Connections(urllib3.PoolManager):
    """Connections that are kept open between requests; may be used from several threads."""

    def __init__(
        self,
        *,
        verify: bool,
        ca_file: str,
        allow: Allow,
        timeout: urllib3.Timeout,
        most: int,
        public_too: bool = False,
    ) -> None:
        """Opens no connection; keeps at most so many of them to a server.

        `public_too`: the public CAs are trusted beside the `ca_file`.
        """
        if not verify:  # asked for in the config; the report says so
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        context = create_urllib3_context() if public_too else None
        if context:  # to which `ca_certs` are added
            context.load_verify_locations(certifi.where())
        super().__init__(
            maxsize=most,
            ssl_context=context,
            timeout=timeout,
            retries=False,
            cert_reqs="CERT_REQUIRED" if verify else "CERT_NONE",
            ca_certs=ca_file or certifi.where(),
        )
        self.pool_classes_by_scheme = {
            "http": partial(_Pool, allow=allow),  # type: ignore[dict-item]  # it is only called
            "https": partial(_SecurePool, allow=allow),  # type: ignore[dict-item]  # it is only called
        }

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, redirect: bool = False, **options: Any
    ) -> urllib3.BaseHTTPResponse:
        """One request and its whole answer. Raises errors of urllib3."""
        return super().urlopen(method, url, redirect=False, **options)


def explain_tls(error: SSLError, section: str) -> str:
    """What to do about an error of TLS with a server of a section of the config."""
    if _HTTP_INSTEAD in str(error):
        return f"it answers plain HTTP and not HTTPS; check {section}.url: http:// if it is meant"
    if _UNTRUSTED in str(error):
        return f"its TLS certificate is not trusted; give {section}.ca_file, or verify false"
    return f"TLS with it failed; check {section}.url"


def is_lasting(error: BaseException) -> bool:
    """Whether the same request would fail again: the server is another one than it should be."""
    if isinstance(error, AnswerTooLarge):
        return True
    return isinstance(error, SSLError) and (_HTTP_INSTEAD in str(error) or _UNTRUSTED in str(error))


def _read_content(response: urllib3.BaseHTTPResponse, most: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    # No more than one byte too many: a read waits until it has as many as it asks for.
    while piece := response.read(min(_PIECE_BYTES, most + 1 - size)):
        size += len(piece)
        if size > most:
            raise AnswerTooLarge(f"its answer has more than {most} bytes")
        pieces.append(piece)
    return b"".join(pieces)


class _Watch:
    """Ends an exchange that takes too long: shuts the socket down, on which its thread waits."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._ended = False
        self._socket: socket.socket | None = None

    def __enter__(self) -> _Watch:
        _present.watch = self
        self._timer.start()
        return self

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        self._timer.cancel()
        _present.watch = None
        if isinstance(error, HTTPError | OSError | ValueError):
            self.check(error)

    def attach(self, connection: HTTPConnection) -> None:
        """Watches a connection, which is open."""
        # Kept here, because a connection gives it away to an answer without a length.
        self._socket = connection.sock
        self.check()

    def check(self, error: BaseException | None = None) -> None:
        """Raises AnswerTimeout if the time is over: what was read may be cut short."""
        if self._ended:
            raise AnswerTimeout(f"its answer took longer than {self._seconds:.0f} s") from error

    def _end(self) -> None:
        self._ended = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


class _Present(threading.local):
    """The exchange of this thread."""

    watch: _Watch | None = None


_present = _Present()


class _Connection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _attach(self)

    def request(self, *arguments: Any, **options: Any) -> None:
        if self.sock is not None:  # one that was kept open
            _attach(self)
        super().request(*arguments, **options)


class _SecureConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _attach(self)

    def request(self, *arguments: Any, **options: Any) -> None:
        if self.sock is not None:
            _attach(self)
        super().request(*arguments, **options)


def _attach(connection: HTTPConnection) -> None:
    if _present.watch:
        _present.watch.attach(connection)


class _Bounded(HTTPConnectionPool):
    """The connections to one server, whose answers are read whole, within what is allowed."""

    def __init__(self, host: str, port: int | None = None, *, allow: Allow, **options: Any) -> None:
        super().__init__(host, port, **options)
        self._allow = allow

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, **options: Any
    ) -> urllib3.HTTPResponse:
        seconds, most = self._allow(options.get("body"), options.get("headers") or {})
        options |= {"preload_content": False, "decode_content": False, "redirect": False}
        with _Watch(seconds) as watch:
            response = super().urlopen(method, url, **options)
            try:
                content = _read_content(response, most)
            except BaseException:
                response.close()
                raise
            watch.check()
            response.release_conn()
        return urllib3.HTTPResponse(
            io.BytesIO(content),
            headers=response.headers,
            status=response.status,
            reason=response.reason,
            decode_content=False,
            request_method=method,
        )


class _Pool(_Bounded):
    ConnectionCls = _Connection


class _SecurePool(_Bounded, HTTPSConnectionPool):
    ConnectionCls = _SecureConnection
