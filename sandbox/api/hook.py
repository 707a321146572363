# SPDX-License-Identifier: Apache-2.0
"""Receives the reports of SeaweedFS's filer about writes, on a port of its own.

OSCAR has no such reports, so they arrive also while the manager is down. The event that is made of
a report is then lost, as an event of MinIO is.
"""

import hmac

from aiohttp import web

from ..storage.events import Notifier
from ..storage.servers import HOOK_PATH, Manager


def make_hook(notifier: Notifier, manager: Manager) -> web.Application:
    async def receive(request: web.Request) -> web.Response:
        expected = f"Bearer {manager.webhook_token}"
        if not hmac.compare_digest(request.headers.get("Authorization", ""), expected):
            return web.Response(status=401)
        notifier.receive(await request.json())
        return web.Response()

    app = web.Application(client_max_size=64 * 1024**2)
    app.add_routes([web.post(HOOK_PATH, receive)])
    return app
