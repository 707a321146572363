# SPDX-License-Identifier: Apache-2.0
"""Redirects a path that ends with a slash, as OSCAR's router does, before it checks the account.

oscar-python requests `/system/config/` and relies on the redirect.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web


@web.middleware
async def redirect_trailing_slash(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    if request.match_info.http_exception is None or not request.path.endswith("/"):
        return await handler(request)
    url = request.rel_url.with_path(request.path.rstrip("/") or "/", keep_query=True)
    found = await request.app.router.resolve(request.clone(rel_url=url))
    if found.http_exception is not None:
        return await handler(request)
    status = 301 if request.method == "GET" else 307
    return web.Response(status=status, headers={"Location": str(url)})
