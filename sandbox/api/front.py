# SPDX-License-Identifier: Apache-2.0
"""What happens to a request before its route is chosen.

OSCAR's router redirects a path that ends with a slash, before the account is checked; oscar-python
requests `/system/config/` and relies on that.

The manager has nothing that lets pages of other origins call it (CORS). The Helm chart of OSCAR
puts that before the manager, in a filter of its HTTPRoute: the headers here, on every answer, and
204 to every OPTIONS (grycap/helm-charts, oscar/templates/oscar-httproute.yaml, the filter
`cors-allow-all` of type nginx).
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE, OPTIONS",
    "Access-Control-Max-Age": "600",
    "Vary": "Origin",
}


@web.middleware
async def answer_options(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.method == "OPTIONS":
        return web.Response(status=204)
    return await handler(request)


async def add_headers(_: web.Request, answer: web.StreamResponse) -> None:
    answer.headers.update(_HEADERS)


@web.middleware
async def redirect_trailing_slash(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.match_info.http_exception is None or not request.path.endswith("/"):
        return await handler(request)
    url = request.rel_url.with_path(request.path.rstrip("/") or "/", keep_query=True)
    found = await request.app.router.resolve(request.clone(rel_url=url))
    if found.http_exception is not None:
        return await handler(request)
    status = 301 if request.method == "GET" else 307
    return web.Response(status=status, headers={"Location": str(url)})
