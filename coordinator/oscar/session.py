# SPDX-License-Identifier: Apache-2.0
"""`Session` sends requests through the package requests, over bounded connections.

requests alone follows redirects, takes proxies, CA bundles and credentials from the environment,
and waits for ever on a slow answer. Here it does none of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, MaxRetryError

from ..storage.connections import Connections


class Session:
    """Requests to one server. May be used from several threads."""

    def __init__(self, connections: Connections, *, connect_s: float) -> None:
        """Opens no connection; each may take so long to be made."""
        self._connections, self._connect_s = connections, connect_s

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None
    ) -> BaseHTTPResponse:
        """One request and its whole answer. Raises errors of urllib3."""
        with requests.Session() as session:
            session.trust_env = False
            for scheme in ("http://", "https://"):
                session.mount(scheme, _Adapter(self._connections))
            session.headers.clear()
            try:
                answer = session.request(
                    method,
                    url,
                    headers=dict(headers),
                    data=body,
                    allow_redirects=False,
                    stream=True,
                    timeout=(self._connect_s, None),  # the connections bound the answer
                )
            except requests.RequestException as error:
                raise _find_cause(error) from error
        found: BaseHTTPResponse = answer.raw
        return found

    def clear(self) -> None:
        """Closes the connections that are kept open."""
        self._connections.clear()


class _Adapter(HTTPAdapter):
    """Uses connections that outlive it."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        super().__init__()

    def init_poolmanager(self, *_arguments: Any, **_options: Any) -> None:
        self.poolmanager = self._connections

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, *_arguments: Any, **_options: Any
    ) -> Any:
        """Only the address: what TLS has to verify is known to the connections."""
        return super().build_connection_pool_key_attributes(request, True)[0], {}

    def cert_verify(self, *_arguments: Any, **_options: Any) -> None:
        """Leaves the CAs of the connections as they are."""

    def close(self) -> None:
        """Leaves the connections open."""


def _find_cause(error: requests.RequestException) -> HTTPError:
    """The error of urllib3 that requests has wrapped."""
    cause = error.args[0] if error.args else None
    if isinstance(cause, MaxRetryError) and isinstance(cause.reason, HTTPError):
        return cause.reason
    return cause if isinstance(cause, HTTPError) else HTTPError(str(error))
