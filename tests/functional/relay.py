# SPDX-License-Identifier: Apache-2.0
"""A relay in front of a server that notes every HTTP request on its way, and can lose answers."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_REQUEST = re.compile(rb"(?:^|\r\n|\n)(GET|HEAD|PUT|POST|DELETE|PATCH) (\S+) HTTP/1\.1\r\n")


@dataclass
class Relay:
    """Where it listens, and what has passed: `GET /path`, in order."""

    url: str = ""
    requests: list[str] = field(default_factory=list)
    lose: Callable[[str], bool] = lambda request: False
    """Whether the connection ends where the answer to this request begins."""
    lost: list[str] = field(default_factory=list)

    @property
    def methods(self) -> set[str]:
        return {request.partition(" ")[0] for request in self.requests}


@contextmanager
def relay(target: str) -> Iterator[Relay]:
    """Passes bytes on as they are; a signature of the host name stays that of the relay."""
    parts = urlsplit(target)
    noted = Relay()
    listener = socket.create_server(("127.0.0.1", 0))
    noted.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    open_sockets: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(*arguments: object, run: object) -> None:
        thread = threading.Thread(target=run, args=arguments)  # type: ignore[arg-type]
        threads.append(thread)
        thread.start()

    def note(request: str, doomed: threading.Event) -> None:
        noted.requests.append(request)
        if noted.lose(request):
            noted.lost.append(request)
            doomed.set()

    def pump(
        source: socket.socket, sink: socket.socket, notes: bool, doomed: threading.Event
    ) -> None:
        with suppress(OSError):
            while content := source.recv(65_536):
                if notes:
                    for method, path in _REQUEST.findall(content):
                        note(f"{method.decode()} {path.decode()}", doomed)
                elif doomed.is_set():
                    break
                sink.sendall(content)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection((parts.hostname or "", parts.port or 80))
                open_sockets.extend((client, server))
                doomed = threading.Event()
                start(client, server, True, doomed, run=pump)
                start(server, client, False, doomed, run=pump)

    start(run=accept)
    try:
        yield noted
    finally:
        # Closing alone does not wake a thread that waits on a socket.
        for each in (listener, *open_sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        for each in (listener, *open_sockets):
            each.close()
