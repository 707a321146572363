# SPDX-License-Identifier: Apache-2.0
"""Addresses of servers as people write them → one spelling, or what is wrong with them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

# A name (international ones too) or an IPv6 address.
_HOST = re.compile(r"[\w.:-]+")
PRINTABLE = re.compile(r"[\x21-\x7e]*")
"""What a header or the path of an address may hold."""


def normalize_address(text: str) -> str:
    """An address with its scheme and no trailing slash; no scheme means https.

    Raises ValueError for anything that is not an http(s) address, or that carries credentials.
    """
    try:
        parts = urlsplit(text.strip() if "://" in text else f"https://{text.strip()}")
        port = parts.port
    except ValueError as error:
        raise ValueError("is not a usable address") from error
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not contain credentials: give them in their own keys")
    name = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not _is_host(name):
        raise ValueError("must be a host or an http(s) address, such as minio.example.org")
    if not PRINTABLE.fullmatch(parts.path):
        raise ValueError("must have a path of ASCII characters, without blanks")
    if parts.query or parts.fragment:
        raise ValueError("must be an address without ? and #")
    host = f"[{name}]" if ":" in name else name
    where = host if port in {None, {"http": 80, "https": 443}[parts.scheme]} else f"{host}:{port}"
    return f"{parts.scheme}://{where}{parts.path.rstrip('/')}"


def normalize_endpoint(text: str) -> str:
    """An address of one resource: a slash at its end is a part of it."""
    return normalize_address(text) + ("/" if text.rstrip().endswith("/") else "")


def _is_host(name: str) -> bool:
    """Whether a name can be looked up: the network libraries fail on others in many ways."""
    try:
        return len(name) <= 253 and bool(_HOST.fullmatch(name) and name.encode("idna"))
    except UnicodeError:
        return False
