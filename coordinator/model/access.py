# SPDX-License-Identifier: Apache-2.0
"""How to reach the storage and the cluster. Secrets are left out of every `repr`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StorageAccess:
    """How to reach MinIO; `url` has a scheme and no path."""

    url: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = ""
    verify: bool = True
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class OidcAccess:
    """How to get access tokens from an OpenID Connect provider."""

    token_endpoint: str
    client_id: str
    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """How to reach the OSCAR manager: basic credentials, else tokens of OIDC, else one token."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    oidc: OidcAccess | None = None
    verify: bool = True
    ca_file: str = ""
    timeout_s: float = 30.0

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message, log or report may show."""
        refresh_token = self.oidc.refresh_token if self.oidc else ""
        # The header holds user name and password as one encoded string.
        pair = f"{self.username}:{self.password}" if self.password else ""
        return tuple(filter(None, (pair, self.password, self.token, refresh_token)))
