# SPDX-License-Identifier: Apache-2.0
"""Servers on loopback that send bytes as a test says, and then no more until it ends."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

TLS = Path(__file__).parents[1] / "data" / "tls"


@contextmanager
def answering(answer: bytes, *, tls: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """Its `host:port`, and the first bytes of every connection.

    It never closes a connection before the test has ended. Its certificate is trusted nowhere.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "untrusted.pem", TLS / "untrusted.key")
    seen: list[bytes] = []
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        with ExitStack() as stack, suppress(OSError):
            stack.enter_context(connection)
            seen.append(b"")
            if tls:
                secure = context.wrap_socket(connection, server_side=True)
                connection = stack.enter_context(secure)
            seen[-1] = connection.recv(65536)
            connection.sendall(answer)
            if not answer.startswith(b"HTTP"):
                return
            ended.wait(30)

    def accept() -> None:
        with suppress(OSError):
            while not ended.is_set():
                threads.append(threading.Thread(target=serve, args=(listener.accept()[0],)))
                threads[-1].start()

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        ended.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in threads:
            thread.join()
