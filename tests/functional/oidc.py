# SPDX-License-Identifier: Apache-2.0
"""A user of an OpenID Connect provider, and a manager that accepts the provider's current tokens.

As OSCAR does, the manager asks the provider's userinfo endpoint who has a token. What it accepts it
passes on to the sandbox, which knows no OIDC.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from coordinator.model.access import ClusterAccess, OidcAccess
from sandbox.handle import CHECKOUT, Sandbox

CLIENT_ID = "oscar-batch"
_REDIRECT = "http://127.0.0.1:9/"


@dataclass(frozen=True, slots=True)
class Provider:
    """The provider of `oidc_provider.py`."""

    url: str

    @property
    def token_endpoint(self) -> str:
        return f"{self.url}/oauth2/token"

    def log_in(self, user: str = "alice") -> OidcAccess:
        """A new session of a user, by the authorization code flow."""
        asked = {"client_id": CLIENT_ID, "redirect_uri": _REDIRECT, "response_type": "code"}
        allowed = requests.post(
            f"{self.url}/oauth2/authorize",
            params={**asked, "scope": "openid profile"},
            data={"sub": user},
            allow_redirects=False,
            timeout=10,
        )
        (code,) = parse_qs(urlsplit(allowed.headers["Location"]).query)["code"]
        form = {"grant_type": "authorization_code", "code": code, "client_id": CLIENT_ID}
        answer = requests.post(
            self.token_endpoint, data={**form, "redirect_uri": _REDIRECT}, timeout=10
        )
        answer.raise_for_status()
        return OidcAccess(self.token_endpoint, CLIENT_ID, answer.json()["refresh_token"])

    def end_sessions(self, user: str = "alice") -> None:
        """Makes all tokens of a user void."""
        requests.post(f"{self.url}/users/{user}/revoke-tokens", timeout=10).raise_for_status()

    def knows(self, token: str) -> bool:
        headers = {"Authorization": f"Bearer {token}"}
        return requests.get(f"{self.url}/userinfo", headers=headers, timeout=10).ok


@contextmanager
def run_provider() -> Iterator[Provider]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.functional.oidc_provider"]
    process = subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip()
        assert port, "the provider did not come up"
        yield Provider(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


@dataclass
class Front:
    """The manager: what it got, and how often it accepts a token at most."""

    url: str = ""
    uses: Counter[str] = field(default_factory=Counter)
    """Of each access token, the requests that came with it."""
    refused: list[str] = field(default_factory=list)
    """The requests that were answered 401: `GET /path`."""
    most_uses: int = sys.maxsize

    def access(self, oidc: OidcAccess) -> ClusterAccess:
        return ClusterAccess(self.url, oidc=oidc, verify=False)


@contextmanager
def run_front(box: Sandbox, provider: Provider) -> Iterator[Front]:
    front = Front()

    class Handler(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            options: dict[str, Any] = {"data": body, "timeout": 30}
            sent = self.headers.get("Authorization", "")
            if self.path.startswith("/job/"):
                kept = ("Authorization", "X-Delegated-Job-ID")
                options["headers"] = {name: self.headers[name] for name in kept}
            elif not self._accepts(sent.removeprefix("Bearer ")):
                front.refused.append(f"{self.command} {self.path}")
                return self._answer(401, f"nobody has {sent[7:]}".encode())
            else:
                options["auth"] = box.auth
            answer = requests.request(self.command, box.url + self.path, **options)
            return self._answer(answer.status_code, answer.content)

        def _accepts(self, token: str) -> bool:
            front.uses[token] += 1
            return front.uses[token] <= front.most_uses and provider.knows(token)

        def _answer(self, code: int, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = _pass_on

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    front.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield front
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
