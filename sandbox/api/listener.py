# SPDX-License-Identifier: Apache-2.0
"""Serves an application on a port; it can be killed and started again.

When Kubernetes kills the manager's pod, the requests under way stop and get no answer. Connections
are refused until the next pod answers. Jobs run on.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

HOST = "127.0.0.1"


class Listener:
    """A server on one port of loopback."""

    def __init__(self, port: int = 0) -> None:
        """Bind the port (0: a free one), so that `url` is known. Raises OSError if it is in use."""
        self._socket = _bind(port)
        self._port: int = self._socket.getsockname()[1]
        self.url = f"http://{HOST}:{self._port}"
        self._runner: web.AppRunner | None = None
        self._site: web.SockSite | None = None
        self._requests: set[asyncio.Task[object]] = set()
        self._return: asyncio.Task[None] | None = None

    async def start(self, app: web.Application) -> None:
        """Accept connections; the application's first middleware must be `track`."""
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await self._accept()

    @web.middleware
    async def track(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Record the requests under way, for `kill`."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for mypy; a handler always runs in a task
        self._requests.add(task)
        try:
            return await handler(request)
        finally:
            self._requests.discard(task)

    async def kill(self, seconds: float) -> None:
        """End all other requests and connections, and accept new ones after ``seconds``."""
        assert self._runner is not None and self._site is not None  # noqa: S101, PT018
        await self._site.stop()
        self._socket.close()
        self._socket = _bind(self._port)  # bound but not listening: nobody else takes it
        for task in self._requests - {asyncio.current_task()}:
            task.cancel()
        server = self._runner.server
        for connection in server.connections if server else ():
            if connection.transport is not None:
                connection.transport.abort()
        if self._return is not None:
            self._return.cancel()
        self._return = asyncio.create_task(self._come_back(seconds))

    async def close(self) -> None:
        if self._return is not None:
            self._return.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
        self._socket.close()

    async def _come_back(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._accept()

    async def _accept(self) -> None:
        assert self._runner is not None  # noqa: S101
        self._site = web.SockSite(self._runner, self._socket)
        await self._site.start()


def _bind(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((HOST, port))
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen on {HOST}:{port}: {error.strerror}") from error
    return sock
