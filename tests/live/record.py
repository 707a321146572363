# SPDX-License-Identifier: Apache-2.0
"""`make record`: what a cluster answers, in one file for a bug report, with no secret in it.

It only reads, and no logs of jobs, in which anything may stand. The file is a JSON list with an
entry for each request: method, path, request_headers, request_body, status, response_headers, body,
note, seconds, at, oscar_version, kubernetes_version. Words stand for what is secret: SERVICE_TOKEN
for service tokens, SECRET for passwords, keys, values of variables, and scripts.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .cluster import LiveCluster, Missing

SECRET, TOKEN = "SECRET", "SERVICE_TOKEN"
MOST_SERVICES = 20
MOST_CHARACTERS = 20_000
# Values below these keys of an answer are secret, whatever they are. Scripts and variables are
# the users' own text, in which anything may be.
_SECRET_KEYS = frozenset(
    {
        *("access_key", "secret_key", "password", "auth_password", "auth_user", "token"),
        *("refresh_token", "client_secret", "script", "variables", "secrets"),
    }
)
_TOKEN = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_CREDENTIALS = re.compile(r"(?i)\b(bearer|basic) [A-Za-z0-9+/=._~-]{8,}")
_LOGIN = re.compile(r"//[^/@\s\"]+:[^/@\s\"]+@")
# Shorter values are words that stand everywhere, such as "a" or "true".
_SHORTEST = 6


def main() -> int:
    parser = argparse.ArgumentParser(prog="make record", description=__doc__)
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    try:
        images = {"COORDINATOR_IMAGE": "-", "TARGET_IMAGE": "-"}
        cluster = LiveCluster.from_environment(images | dict(os.environ))
    except Missing as error:
        print(f"record: not set: {error}", file=sys.stderr)
        return 2
    entries = list(read_answers(cluster))
    text = replace_secrets(entries, [cluster.password, cluster.access_key, cluster.secret_key])
    arguments.file.parent.mkdir(parents=True, exist_ok=True)
    arguments.file.write_text(text, encoding="utf-8")
    print(
        f"record: {len(entries)} answers in {arguments.file}; read it before you publish it: names "
        "of services, buckets, nodes and users, addresses and errors are as the cluster says them"
    )
    return 0


def read_answers(cluster: LiveCluster) -> Iterator[dict[str, Any]]:
    """One entry for each request, secrets included."""
    info = ask(cluster, "/system/info", {})
    versions = read_first(info["body"], {})
    yield {**info, **name_versions(versions)}
    for path in ("/health", "/system/config", "/system/status", "/system/quotas/user"):
        yield ask(cluster, path, versions)
    listed = ask(cluster, "/system/services", versions)
    yield listed
    services = [str(each.get("name")) for each in read_first(listed["body"], [])]
    for name in services[:MOST_SERVICES]:
        path = quote(name, safe="")
        yield ask(cluster, f"/system/services/{path}", versions)
        yield ask(cluster, f"/system/logs/{path}", versions)
    for path in ("no-such-service", "Not%20a%20name"):
        yield ask(cluster, f"/system/services/{path}", versions)
        yield ask(cluster, f"/system/logs/{path}", versions)


def ask(cluster: LiveCluster, path: str, versions: dict[str, Any]) -> dict[str, Any]:
    """One request and its answer; a broken connection has status 0 and the error as its note."""
    begun, at = time.monotonic(), datetime.now(UTC)
    status, headers, body, note = 0, {}, "", ""
    try:
        answer = cluster.call("GET", path, timeout=300, allow_redirects=False)
        status, headers, body = answer.status_code, dict(answer.headers), answer.text
    except OSError as error:  # requests' errors are among them
        note = type(error).__name__
    return {
        "method": "GET",
        "path": path,
        "request_headers": {"Authorization": f"Basic {SECRET}"},
        "request_body": None,
        "status": status,
        "response_headers": headers,
        "body": body,
        "note": note,
        "seconds": round(time.monotonic() - begun, 3),
        "at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        **name_versions(versions),
    }


def name_versions(info: dict[str, Any]) -> dict[str, str]:
    """The versions, as every entry has them."""
    return {
        "oscar_version": str(info.get("version", "")),
        "kubernetes_version": str(info.get("kubernetes_version", "")),
    }


def replace_secrets(entries: list[dict[str, Any]], known: Iterable[str]) -> str:
    """The entries as JSON text, every secret value replaced wherever it stands."""
    bodies = [decode(entry["body"]) for entry in entries]
    hidden = {value for value in (*known, *find_secrets(bodies)) if is_distinct(value)}
    in_order = sorted(hidden, key=len, reverse=True)
    clean = [clean_entry(*pair, in_order) for pair in zip(entries, bodies, strict=True)]
    return json.dumps(clean, ensure_ascii=False, indent=1) + "\n"


def clean_entry(entry: dict[str, Any], documents: list[Any], hidden: list[str]) -> dict[str, Any]:
    """One entry without secrets; `documents` is its body where that is JSON."""
    body = "".join(write(hide_values(each)) for each in documents) or entry["body"]
    headers = entry["response_headers"].items()
    return {
        **entry,
        "response_headers": {name: hide_text(value, hidden) for name, value in headers},
        "body": shorten(hide_text(body, hidden)),
    }


def is_distinct(value: str) -> bool:
    """Whether a value is long enough to be replaced wherever it stands."""
    return len(value) >= _SHORTEST and value not in {"hidden", "default"}


def find_secrets(document: Any, *, below: bool = False) -> Iterator[str]:
    """All texts that stand below a key whose values are secret."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from find_secrets(value, below=below or key.lower() in _SECRET_KEYS)
    elif isinstance(document, list):
        for value in document:
            yield from find_secrets(value, below=below)
    elif below and isinstance(document, str):
        yield document


def hide_values(document: Any, *, below: bool = False) -> Any:
    """The document with a word in place of each value below a secret key."""
    if isinstance(document, dict):
        return {
            key: hide_values(value, below=below or key.lower() in _SECRET_KEYS)
            for key, value in document.items()
        }
    if isinstance(document, list):
        return [hide_values(value, below=below) for value in document]
    if not below or document in ("", "hidden", None):
        return document
    return TOKEN if _TOKEN.fullmatch(str(document)) else SECRET


def hide_text(text: str, hidden: Iterable[str]) -> str:
    """The text without these values, in clear or as JSON, a URL or base64 writes them."""
    text = _LOGIN.sub(f"//{SECRET}@", _CREDENTIALS.sub(rf"\1 {SECRET}", _TOKEN.sub(TOKEN, text)))
    for value in hidden:
        forms = (
            value,
            json.dumps(value)[1:-1],
            json.dumps(value, ensure_ascii=False)[1:-1],
            quote(value, safe=""),
            base64.b64encode(value.encode()).decode(),
        )
        for form in forms:
            text = text.replace(form, SECRET)
    return text


def shorten(text: str) -> str:
    """A text that is not too long; the middle of a long one is left out."""
    if len(text) <= MOST_CHARACTERS:
        return text
    half = MOST_CHARACTERS // 2
    return f"{text[:half]}…[{len(text)} characters in all]…{text[-half:]}"


def write(document: Any) -> str:
    """JSON as OSCAR writes it."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def decode(text: str) -> list[Any]:
    """The documents in a body, of which OSCAR sometimes sends two; none if it is no JSON."""
    found: list[Any] = []
    rest = text.strip()
    while rest:
        try:
            document, end = json.JSONDecoder().raw_decode(rest)
        except ValueError:
            return []
        found.append(document)
        rest = rest[end:].lstrip()
    return found


def read_first(body: str, otherwise: Any) -> Any:
    """The first document of a body, if it is of the same type as the other value."""
    document = next(iter(decode(body)), None)
    return document if isinstance(document, type(otherwise)) else otherwise


if __name__ == "__main__":
    sys.exit(main())
