# SPDX-License-Identifier: Apache-2.0
"""A real OpenID Connect provider, on loopback, whose refresh tokens are good for one use.

Run as a program it prints its port. Clients are public, as command lines are: they have no secret.
For those a provider should let a refresh token be used once (RFC 9700, section 4.14.2): with a new
access token comes a new refresh token, and the old one is void.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import oidc_provider_mock._app as provider
from authlib.oauth2.rfc6749 import AuthorizationCodeGrant, RefreshTokenGrant
from werkzeug.serving import make_server


def use_once(grant: Any, used: Any) -> None:
    provider.storage.remove_refresh_token(used.token)


def serve() -> None:
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    for grant in (AuthorizationCodeGrant, RefreshTokenGrant):
        grant.TOKEN_ENDPOINT_AUTH_METHODS = ["none"]
    RefreshTokenGrant.INCLUDE_NEW_REFRESH_TOKEN = True
    provider.RefreshTokenGrant.revoke_old_credential = use_once
    server = make_server("127.0.0.1", 0, provider.app(), threaded=True)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    serve()
