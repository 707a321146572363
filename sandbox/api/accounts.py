# SPDX-License-Identifier: Apache-2.0
"""Checks an Authorization header and returns the refusal that OSCAR would give, if any.

OSCAR without OIDC: basic auth opens every route below /system and never /job; a service's token
opens the /job route of that service and nothing else.
"""

import base64
import binascii
import hmac
import json
from dataclasses import dataclass

from aiohttp import web

TOKEN_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a caller without permission; ``challenge`` adds the header of basic auth."""

    status: int
    text: str = ""
    challenge: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """The cluster's one basic-auth account."""

    username: str
    password: str

    def make_header(self) -> str:
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()


def check_system_access(header: str | None, account: Account) -> Refusal | None:
    """The refusal for a caller of /system, or None. A bearer token would need OIDC."""
    if header is not None and _compare_secrets(header, account.make_header()):
        return None
    return Refusal(401, challenge=True)


def check_job_access(header: str | None, service_token: str | None) -> Refusal | None:
    """The refusal for a caller of /job, or None; an unknown service has no ``service_token``.

    OSCAR decides by the length alone whether a bearer token is a service token or a JWT.
    """
    parts = (header or "").split("Bearer ")
    if len(parts) != 2:
        return Refusal(401)
    token = parts[1].strip()
    if len(token) == TOKEN_LENGTH:
        known = service_token is not None and _compare_secrets(token, service_token)
        return None if known else Refusal(401)
    if _is_jwt(token):
        return Refusal(400, "oidc is not enabled")
    return Refusal(
        502,
        "token is malformed: token contains an invalid number of segments"
        "Error getting oidc manager for issuer ''",
    )


def make_refusal(refusal: Refusal) -> web.Response:
    headers = {"WWW-Authenticate": 'Basic realm="Authorization Required"'}
    return web.Response(
        status=refusal.status,
        text=refusal.text or None,
        headers=headers if refusal.challenge else None,
    )


def _compare_secrets(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode("utf-8", "replace"), right.encode("utf-8", "replace"))


def _is_jwt(token: str) -> bool:
    parts = token.split(".")
    if len(parts) != 3:
        return False
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return False
    return isinstance(claims, dict)
