# SPDX-License-Identifier: Apache-2.0
"""Relays S3 requests and drops `If-None-Match`: a storage that ignores conditional writes.

Some S3 servers answer 200 to a conditional write and overwrite the object. The relay plays such a
server in front of the real one. A client signs the header too, so the relay signs the request again
without it. All other requests pass as they are.
"""

import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Mapping

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, web
from yarl import URL

from .servers import Keys

CONDITION = "If-None-Match"
BLOCK = 1 << 16
SESSION = web.AppKey("session", ClientSession)
# Headers of one connection, which a relay must not pass on.
HOP = frozenset(("connection", "keep-alive", "transfer-encoding", "upgrade", "expect", "te"))
_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/]+/(?P<scope>[^,]+), *SignedHeaders=(?P<names>[^,]+), *"
)


def make_relay(target: str, keys: Keys) -> web.Application:
    """An application that relays everything to the S3 server at ``target``."""

    async def pass_on(request: web.Request) -> web.StreamResponse:
        headers = {
            name: value for name, value in request.headers.items() if name.lower() not in HOP
        }
        if headers.pop(CONDITION, None) is not None:
            headers["Authorization"] = sign_again(request.method, request.raw_path, headers, keys)
        async with request.app[SESSION].request(
            request.method,
            URL(target + request.raw_path, encoded=True),
            headers=headers,
            data=request.content if request.body_exists else None,
            allow_redirects=False,
        ) as answer:
            kept = {
                name: value for name, value in answer.headers.items() if name.lower() not in HOP
            }
            relayed = web.StreamResponse(status=answer.status, headers=kept)
            await relayed.prepare(request)
            async for block in answer.content.iter_chunked(BLOCK):
                await relayed.write(block)
            await relayed.write_eof()
            return relayed

    async def keep_session(app: web.Application) -> AsyncIterator[None]:
        async with ClientSession(
            auto_decompress=False, cookie_jar=DummyCookieJar(), timeout=ClientTimeout(total=None)
        ) as session:
            app[SESSION] = session
            yield

    app = web.Application()
    app.cleanup_ctx.append(keep_session)
    app.router.add_route("*", "/{path:.*}", pass_on)
    return app


def sign_again(method: str, path: str, headers: Mapping[str, str], keys: Keys) -> str:
    """The Authorization header (AWS signature version 4) for the headers that are left."""
    lowered = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    signed = _SIGNED.match(lowered.get("authorization", ""))
    if signed is None:
        return lowered.get("authorization", "")
    names = [name for name in signed["names"].split(";") if name != CONDITION.lower()]
    place, _, query = path.partition("?")
    pairs = sorted(each if "=" in each else f"{each}=" for each in query.split("&") if each)
    lines = [method, place, "&".join(pairs)]
    lines += [f"{name}:{lowered.get(name, '')}" for name in names]
    lines += ["", ";".join(names), lowered.get("x-amz-content-sha256", "")]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    scope = signed["scope"]
    text = "\n".join(("AWS4-HMAC-SHA256", lowered.get("x-amz-date", ""), scope, digest))
    key = f"AWS4{keys.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return (
        f"AWS4-HMAC-SHA256 Credential={keys.access}/{scope}, SignedHeaders={';'.join(names)}, "
        f"Signature={hmac.digest(key, text.encode(), 'sha256').hex()}"
    )
