# SPDX-License-Identifier: Apache-2.0
"""Where credentials come from, each bound to the address it came with.

Sources, first match wins: the config; `OSCAR_BATCH_…` variables (a service's secrets and
variables arrive there); the files that OSCAR mounts into a job. If a config names an
address, it never gets a credential that belongs to another address. The reason: everybody who may
write to the trigger bucket can drop a config, but the credentials are those of the service.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import yaml

from ..model.access import ClusterAccess, StorageAccess
from ..model.errors import ConfigError
from ..model.service import Folder

FUNCTION_CONFIG = "oscar/config/function_config.yaml"
PROVIDER_SECRETS = "var/run/secrets/providers/minio.default"


# A name (international ones too) or an IPv6 address.
_HOST = re.compile(r"[\w.:-]+")

_Access = TypeVar("_Access", StorageAccess, ClusterAccess)


@dataclass(frozen=True, slots=True)
class Platform:
    """What the environment offers: credentials with their addresses, and the service's folders."""

    storages: tuple[StorageAccess, ...] = ()
    clusters: tuple[ClusterAccess, ...] = ()
    own_inputs: tuple[Folder, ...] = ()
    own_outputs: tuple[Folder, ...] = ()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], root: Path = Path("/")) -> Platform:
        """Reads what the environment and the files mounted below `root` offer."""
        function = _read_function_config(root)
        return cls(
            storages=(*_read_environment_storage(environ), *_read_mounted_storage(function, root)),
            clusters=(*_read_environment_cluster(environ), *_read_embedded_clusters(function)),
            own_inputs=parse_folders(function.get("input")),
            own_outputs=parse_folders(function.get("output")),
        )

    def choose_storage(self, values: Mapping[str, Any]) -> tuple[StorageAccess | None, list[str]]:
        """The storage access for a config's values, or the problems with it."""
        own = StorageAccess(
            url=values["MinIO.url"],
            access_key=values["MinIO.access_key"],
            secret_key=values["MinIO.secret_key"],
        )
        pair = [bool(own.access_key), bool(own.secret_key)]
        if any(pair) and not all(pair):
            return None, ["MinIO: access_key and secret_key belong together, one is missing"]
        access, problem = _choose(own if all(pair) else None, own.url, self.storages, "MinIO")
        if access is None:
            return None, [problem]
        return replace(
            access,
            region=values["MinIO.region"] or access.region,
            verify=_prefer_given(values["MinIO.verify"], access.verify),
            ca_file=values["MinIO.ca_file"] or access.ca_file,
        ), []

    def choose_cluster(self, values: Mapping[str, Any]) -> tuple[ClusterAccess | None, list[str]]:
        """The cluster access for a config's values, or the problems with it."""
        section = "oscar_cluster"
        own = ClusterAccess(
            url=values[f"{section}.url"],
            username=values[f"{section}.auth_basic.username"],
            password=values[f"{section}.auth_basic.password"],
            token=values[f"{section}.auth_token.token"],
        )
        if own.password and not own.username:
            return None, [f"{section}.auth_basic.username: is missing beside the password"]
        # The first tool's template carries a username beside an empty password and token.
        complete = bool(own.password or own.token)
        access, problem = _choose(own if complete else None, own.url, self.clusters, section)
        if access is None:
            return None, [problem]
        return replace(
            access,
            timeout_s=values[f"{section}.timeout_s"],
            verify=_prefer_given(values[f"{section}.verify"], access.verify),
            ca_file=values[f"{section}.ca_file"] or access.ca_file,
        ), []


def _prefer_given(given: bool | None, otherwise: bool) -> bool:
    return otherwise if given is None else given


def _choose(
    own: _Access | None, url: str, offers: Sequence[_Access], section: str
) -> tuple[_Access | None, str]:
    """The config's own credential, else the first offer for the config's address."""
    if own is not None:
        missing = f"{section}.url: is missing (the address that the credentials are for)"
        return (own, "") if url else (None, missing)
    for offer in offers:
        if url in {"", offer.url}:
            return offer, ""
    if not url:
        return None, f"{section}.url: is missing (and this environment offers no {section} access)"
    others = ", ".join(sorted({offer.url for offer in offers}))
    bound = f"; the environment's are for {others} only" if others else ""
    keys = {"MinIO": "access_key and secret_key", "oscar_cluster": "auth_basic or auth_token"}
    return None, f"{section}: no credentials for {url}: give {keys[section]}{bound}"


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
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(name):
        raise ValueError("must be a host or an http(s) address, such as minio.example.org")
    if parts.query or parts.fragment:
        raise ValueError("must be an address without ? and #")
    host = f"[{name}]" if ":" in name else name
    where = host if port in {None, {"http": 80, "https": 443}[parts.scheme]} else f"{host}:{port}"
    return f"{parts.scheme}://{where}{parts.path.rstrip('/')}"


def parse_folders(raw: object) -> tuple[Folder, ...]:
    """The folders of a service's `input` or `output` list (of its FDL or JSON form)."""
    entries = [entry for entry in raw if isinstance(entry, dict)] if isinstance(raw, list) else []
    return tuple(Folder.parse(str(entry["path"])) for entry in entries if entry.get("path"))


def _read_environment_storage(environ: Mapping[str, str]) -> tuple[StorageAccess, ...]:
    url, access_key, secret_key = (
        environ.get(f"OSCAR_BATCH_MINIO_{name}", "") for name in ("URL", "ACCESS_KEY", "SECRET_KEY")
    )
    if not (url and access_key and secret_key):
        return ()
    region = environ.get("OSCAR_BATCH_MINIO_REGION", "")
    url = _check_offered_address("OSCAR_BATCH_MINIO_URL", url)
    return (StorageAccess(url, access_key, secret_key, region=region),)


def _read_environment_cluster(environ: Mapping[str, str]) -> tuple[ClusterAccess, ...]:
    url, username, password, token = (
        environ.get(f"OSCAR_BATCH_OSCAR_{name}", "")
        for name in ("URL", "USERNAME", "PASSWORD", "TOKEN")
    )
    if not url or not (token or (username and password)):
        return ()
    url = _check_offered_address("OSCAR_BATCH_OSCAR_URL", url)
    return (ClusterAccess(url, username=username, password=password, token=token),)


def _read_mounted_storage(function: Mapping[str, Any], root: Path) -> tuple[StorageAccess, ...]:
    """The default storage: OSCAR writes its address to a config file, its keys to secret files."""
    provider = _find_mapping(function, "storage_providers", "minio", "default")
    try:
        access_key = (root / PROVIDER_SECRETS / "accessKey").read_text().strip()
        secret_key = (root / PROVIDER_SECRETS / "secretKey").read_text().strip()
    except OSError:  # not mounted: before OSCAR 3.5, or not a job at all
        access_key, secret_key = (
            str(provider.get(key) or "") for key in ("access_key", "secret_key")
        )
    if not provider.get("endpoint") or not {access_key, secret_key}.isdisjoint({"", "hidden"}):
        return ()
    return (
        StorageAccess(
            _check_offered_address("the mounted storage provider", provider["endpoint"]),
            access_key,
            secret_key,
            region=provider.get("region") or "",
            verify=bool(provider.get("verify", True)),
        ),
    )


def _read_embedded_clusters(function: Mapping[str, Any]) -> tuple[ClusterAccess, ...]:
    """The entries that oscar-cli puts into a definition; the one it deployed to comes first."""
    clusters = _find_mapping(function, "clusters")
    entries = {str(name): _find_mapping(clusters, name) for name in clusters}
    own = function.get("cluster_id")
    return tuple(
        ClusterAccess(
            _check_offered_address(f"the mounted cluster {name}", entry["endpoint"]),
            username=entry["auth_user"],
            password=entry["auth_password"],
            verify=bool(entry.get("ssl_verify", True)),
        )
        for name, entry in sorted(entries.items(), key=lambda item: item[0] != own)
        if entry.get("endpoint") and entry.get("auth_user") and entry.get("auth_password")
    )


def _check_offered_address(source: str, url: str) -> str:
    try:
        return normalize_address(url)
    except ValueError as error:
        raise ConfigError([f"{source}: {error}"]) from error


def _read_function_config(root: Path) -> Mapping[str, Any]:
    try:
        function = yaml.safe_load((root / FUNCTION_CONFIG).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError):
        return {}
    return function if isinstance(function, dict) else {}


def _find_mapping(raw: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """A nested mapping; empty where it is absent, null or of another type."""
    for key in path:
        inner = raw.get(key)
        raw = inner if isinstance(inner, dict) else {}
    return raw
