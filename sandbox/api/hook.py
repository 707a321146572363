# SPDX-License-Identifier: Apache-2.0
"""Receives what the filer of SeaweedFS reports, on a port beside the manager's.

The reports are no part of OSCAR: they arrive also while the manager is down, and what it then does
not receive is lost, as MinIO's events are.
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
