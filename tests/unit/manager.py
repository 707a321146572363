# SPDX-License-Identifier: Apache-2.0
"""A scripted OSCAR manager on a socket, for the real client."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from coordinator.model.access import ClusterAccess
from coordinator.oscar.client import OscarClient


@dataclass
class Manager:
    """What each `METHOD /path` answers (404 else; None breaks the connection), and what it got."""

    answers: dict[str, tuple[int, str] | None] = field(default_factory=dict)
    requests: list[tuple[str, Any]] = field(default_factory=list)
    on_request: Callable[[], None] = lambda: None
    """Called for every request, before it is answered."""
    slept: list[float] = field(default_factory=list)
    """How long the client waited between requests."""
    oscar: OscarClient = field(init=False)


@contextmanager
def manager(answers: dict[str, tuple[int, str] | None]) -> Iterator[Manager]:
    """A running manager and a client of it."""
    running = Manager(answers)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            body = json.loads(self.rfile.read(length)) if length else None
            line = f"{self.command} {self.path}"
            running.requests.append((line, body))
            running.on_request()
            answer = running.answers.get(line, (404, ""))
            if answer is None:
                self.close_connection = True
                return
            code, text = answer
            self.send_response(code)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_PUT = _answer

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    running.oscar = OscarClient(
        ClusterAccess(url, "oscar", "canary-oscar", timeout_s=10), sleep=running.slept.append
    )
    try:
        yield running
    finally:
        running.oscar._session.clear()
        server.shutdown()
        thread.join()
        server.server_close()
