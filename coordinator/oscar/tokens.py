# SPDX-License-Identifier: Apache-2.0
"""Access tokens for the API of OSCAR, from an OpenID Connect provider.

A token is fetched with the refresh token (RFC 6749, section 6) and replaced before it expires. If
the provider gives a new refresh token with it, the old one may be void, so the new one is kept, in
memory only. The provider is foreign: an answer has a total time and a size, and nothing of one that
may hold tokens is repeated in a message.
"""

from __future__ import annotations

import json
import logging
import math
from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Lock
from typing import Any
from urllib.parse import urlencode

from urllib3 import Timeout
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError
from urllib3.exceptions import TimeoutError as SocketTimeout

from ..config.addresses import PRINTABLE
from ..model.access import ClusterAccess, OidcAccess
from ..model.errors import NoToken, clean_foreign
from ..storage.connections import AnswerTimeout, AnswerTooLarge, Connections
from .session import Session

log = logging.getLogger(__name__)

MOST_BYTES = 256 * 1024
# A token that expires while a request is on its way is refused.
_MARGIN_S = 60.0
_LONGEST_S = 10.0 * 365 * 86_400
_ENDPOINT = "oscar_cluster.auth_token.token_endpoint"
_LOG_IN = "log in again and give a new oscar_cluster.auth_token.refresh_token"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token, and when it is to be replaced and when it is void."""

    text: str = field(repr=False)
    replace_at_s: float = math.inf
    """Infinite if nobody says how long the token lives: then it is replaced when it is refused."""
    void_at_s: float = math.inf


class AccessTokens:
    """The access token of the moment. Threads share one."""

    def __init__(
        self, access: OidcAccess, *, ca_file: str, timeout_s: float, now_s: Callable[[], float]
    ) -> None:
        """Opens no connection. `now_s` is the time of day, because a JWT says when it expires."""
        self._access, self._now_s = access, now_s
        self._refresh_token = access.refresh_token
        self._token: AccessToken | None = None
        # A refresh token that is good for one use must not be sent by two threads.
        self._lock = Lock()
        connections = Connections(
            verify=True,
            ca_file=ca_file,
            # OSCAR's CA may be private and the provider's public.
            public_too=True,
            allow=lambda body, headers: (timeout_s, MOST_BYTES),
            timeout=Timeout(timeout_s),
            most=1,
        )
        self._session = Session(connections, connect_s=timeout_s)

    @classmethod
    def for_cluster(cls, access: ClusterAccess, now_s: Callable[[], float]) -> AccessTokens | None:
        """None for an access that needs no access tokens: basic credentials come first."""
        if access.password or access.oidc is None:
            return None
        timeout_s = access.timeout_s
        return cls(access.oidc, ca_file=access.ca_file, timeout_s=timeout_s, now_s=now_s)

    def read(self) -> str:
        """A token that is valid for a while. Raises NoToken."""
        with self._lock:
            token, now_s = self._token, self._now_s()
            if token is None or now_s >= token.replace_at_s:
                try:
                    token = self._fetch_token(now_s)
                except NoToken as error:
                    if token is None or now_s >= token.void_at_s:
                        raise
                    log.warning("%s; the token in use is valid for a while", error)
            self._token = token
            return token.text

    def drop(self, text: str) -> None:
        """Forgets a token that OSCAR refused, if no other thread has done so already."""
        with self._lock:
            if self._token and self._token.text == text:
                self._token = None

    def _fetch_token(self, now_s: float) -> AccessToken:
        attempt = f"get an access token from {self._access.token_endpoint}"
        form = {
            "grant_type": "refresh_token",
            "refresh_token": self._refresh_token,
            "client_id": self._access.client_id,
        }
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        endpoint, body = self._access.token_endpoint, urlencode(form).encode()
        try:
            response = self._session.send("POST", endpoint, headers=headers, body=body)
        except HTTPError as error:
            raise NoToken(f"could not {attempt}: {_explain_unanswered(error)}") from error
        if response.status != HTTPStatus.OK:
            said = self._explain_refusal(response.status, response.data)
            raise NoToken(f"could not {attempt}: {said}")
        answer = decode_answer(response.data)
        text = answer.get("access_token")
        if not isinstance(text, str) or not text or not PRINTABLE.fullmatch(text):
            raise NoToken(f"could not {attempt}: the answer holds no token; check {_ENDPOINT}")
        if isinstance(renewed := answer.get("refresh_token"), str) and renewed:
            self._refresh_token = renewed
        return make_token(text, answer.get("expires_in"), now_s)

    def _explain_refusal(self, code: int, body: bytes) -> str:
        if 300 <= code < 400:
            return (
                f"it redirects to another address, which gets no refresh token; check {_ENDPOINT}"
            )
        answer = decode_answer(body)
        texts = [answer.get("error"), answer.get("error_description")]
        said = ": ".join(text for text in texts if isinstance(text, str))
        secrets = (self._refresh_token, self._access.refresh_token)
        detail = f"HTTP {code}" + (f" ({clean_foreign(said, secrets)})" if said else "")
        if code in {400, 401}:
            return f"the provider refused the refresh token with {detail}; {_LOG_IN}"
        return f"the provider answered {detail}; check {_ENDPOINT}"


def make_token(text: str, expires_in: object, now_s: float) -> AccessToken:
    """A token with the times that follow from `expires_in`, else from the `exp` of a JWT."""
    life_s = _parse_seconds(expires_in) or _parse_seconds(_read_expiry(text) - now_s)
    if life_s is None:
        return AccessToken(text)
    void_at_s = now_s + life_s
    return AccessToken(text, void_at_s - min(_MARGIN_S, life_s / 4), void_at_s)


def _parse_seconds(value: object) -> float | None:
    """Seconds ahead; None for anything else, such as 0, or a `exp` that our clock takes for past.

    Such a token is used until OSCAR refuses it. To replace it for every request would not help.
    """
    try:
        found = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return found if 0 < found < _LONGEST_S else None


def _read_expiry(token: str) -> float:
    """The `exp` of a JWT, in seconds since 1970; NaN if the token is none, or has none."""
    parts = token.split(".")
    try:
        claims = decode_answer(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return float(claims["exp"])
    except (LookupError, TypeError, ValueError, OverflowError):
        return math.nan


def decode_answer(body: bytes) -> dict[str, Any]:
    """The JSON object of an answer; empty if it is none."""
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return raw if isinstance(raw, dict) else {}


def _explain_unanswered(error: HTTPError) -> str:
    if isinstance(error, SSLError):
        return (
            f"TLS with it failed, or its certificate is not trusted; check {_ENDPOINT}, or give "
            "oscar_cluster.ca_file"
        )
    if isinstance(error, NewConnectionError):
        return f"nothing accepts connections there; check {_ENDPOINT}"
    if isinstance(error, AnswerTooLarge):
        return f"{error}; check {_ENDPOINT}"
    if isinstance(error, AnswerTimeout | SocketTimeout):
        return f"no answer in time; check {_ENDPOINT} or raise oscar_cluster.timeout_s"
    return f"the connection broke ({type(error).__name__})"
