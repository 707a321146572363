# SPDX-License-Identifier: Apache-2.0
"""A relay that delays every answer, as a server in another data centre does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


@contextmanager
def delay_answers(url: str, delay_s: float) -> Iterator[str]:
    """The URL of a relay to this server; the first byte of every answer comes so much later.

    Bytes pass unchanged, so the host name that a client signed reaches the server.
    """
    parts = urlsplit(url)
    loop = asyncio.new_event_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(parts.hostname, parts.port)
        asked = asyncio.Event()

        async def forward() -> None:
            while content := await reader.read(1 << 20):
                asked.set()
                back.write(content)
                await back.drain()
            back.close()

        async def answer() -> None:
            while content := await there.read(1 << 20):
                if asked.is_set():
                    asked.clear()
                    await asyncio.sleep(delay_s)
                writer.write(content)
                await writer.drain()
            writer.close()

        with suppress(OSError):
            await asyncio.gather(forward(), answer())

    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20))
    port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(_end_all(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
