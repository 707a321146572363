# SPDX-License-Identifier: Apache-2.0
"""Where credentials come from, each bound to the address it came with.

Sources, first match wins: the config; `OSCAR_BATCH_…` variables (a service's secrets and
variables arrive there); the files that OSCAR mounts into a job. If a config names an
address, it never gets a credential that belongs to another address. The reason: everybody who may
write to the trigger bucket can drop a config, but the credentials are those of the service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from ..model.access import ClusterAccess, OidcAccess, StorageAccess
from ..model.service import Folder
from .offers import (
    find_ca_problem,
    find_endpoint_problem,
    find_own_clusters,
    parse_folders,
    read_allowed_buckets,
    read_embedded_clusters,
    read_environment_cluster,
    read_environment_storage,
    read_function_config,
    read_mounted_storage,
)

_Access = TypeVar("_Access", StorageAccess, ClusterAccess)


@dataclass(frozen=True, slots=True)
class Platform:
    """What the environment offers: credentials with their addresses, and the service's folders."""

    storages: tuple[StorageAccess, ...] = ()
    clusters: tuple[ClusterAccess, ...] = ()
    own_inputs: tuple[Folder, ...] = ()
    own_outputs: tuple[Folder, ...] = ()
    allowed_buckets: tuple[str, ...] | None = None
    """Globs of the deployer; None outside of a service, where the credentials are the user's."""
    own_clusters: tuple[str, ...] = ()
    """Addresses of the cluster in which this service runs."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], root: Path = Path("/")) -> Platform:
        """The offers of an environment and of the files mounted below `root`."""
        function = read_function_config(root)
        return cls(
            storages=(*read_environment_storage(environ), *read_mounted_storage(function, root)),
            clusters=(*read_environment_cluster(environ), *read_embedded_clusters(function)),
            own_inputs=parse_folders(function.get("input")),
            own_outputs=parse_folders(function.get("output")),
            allowed_buckets=read_allowed_buckets(environ, root),
            own_clusters=find_own_clusters(environ, function),
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message, log or report may show."""
        offered = [storage.secret_key for storage in self.storages if storage.secret_key]
        return (*offered, *(secret for each in self.clusters for secret in each.secrets))

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
        access = replace(access, region=values["MinIO.region"] or access.region)
        return _set_tls(access, values, "MinIO", own=all(pair))

    def choose_cluster(self, values: Mapping[str, Any]) -> tuple[ClusterAccess | None, list[str]]:
        """The cluster access for a config's values, or the problems with it."""
        section = "oscar_cluster"
        own = ClusterAccess(
            url=values[f"{section}.url"],
            username=values[f"{section}.auth_basic.username"],
            password=values[f"{section}.auth_basic.password"],
            token=values[f"{section}.auth_token.token"],
        )
        oidc, missing = _read_oidc(values, f"{section}.auth_token")
        if missing:
            return None, missing
        own = replace(own, oidc=oidc)
        if own.password and not own.username:
            return None, [f"{section}.auth_basic.username: is missing beside the password"]
        # The first tool's template carries a username beside an empty password and token.
        complete = bool(own.password or own.token or own.oidc)
        access, problem = _choose(own if complete else None, own.url, self.clusters, section)
        if access is None:
            return None, [problem]
        access = replace(access, timeout_s=values[f"{section}.timeout_s"])
        safe, problems = _set_tls(access, values, section, own=complete)
        problems += self._find_foreign_cluster(values, access.url)
        if complete and safe and (wrong := find_endpoint_problem(safe, f"{section}.verify")):
            problems.append(f"{section}.auth_token.token_endpoint: {wrong}")
        return (None if problems else safe), problems

    def _find_foreign_cluster(self, values: Mapping[str, Any], url: str) -> list[str]:
        """The problem if the config names another cluster and needs the service's own MinIO keys.

        These keys are used for the buckets that the target names. The administrator of another
        cluster defines the target, and so could choose any bucket.
        """
        if self.allowed_buckets is None or values["MinIO.access_key"] or url in self.own_clusters:
            return []
        own = " or ".join(self.own_clusters)
        known = f"which is {own}" if own else "which OSCAR_BATCH_OSCAR_URL does not name"
        return [
            f"oscar_cluster.url: {url} is not the cluster of this service, {known}, so the "
            "service's own MinIO credentials are not used: give MinIO.url, access_key and "
            "secret_key too, or leave oscar_cluster.url out"
        ]


def _read_oidc(values: Mapping[str, Any], section: str) -> tuple[OidcAccess | None, list[str]]:
    """What the config says of OIDC, or the problems with it.

    The service's own refresh token goes to no endpoint of a config, so a part alone is refused.
    """
    names = ("token_endpoint", "client_id", "refresh_token")
    given = {name: values[f"{section}.{name}"] for name in names}
    missing = [name for name, value in given.items() if not value]
    if not missing:
        return OidcAccess(**given), []
    if len(missing) == len(names):
        return None, []
    return None, [
        f"{section}: token_endpoint, client_id and refresh_token belong together; "
        f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    ]


def _set_tls(
    access: _Access, values: Mapping[str, Any], section: str, *, own: bool
) -> tuple[_Access | None, list[str]]:
    """The access with what the config says of TLS, or the problems with it.

    Whoever drops a config may not weaken TLS for credentials that are the service's and not his.
    """
    verify, ca_file = values[f"{section}.verify"], values[f"{section}.ca_file"]
    weakens = {"verify": verify is False and access.verify, "ca_file": bool(ca_file)}
    keys = {"MinIO": "url, access_key and secret_key", "oscar_cluster": "url and credentials"}
    problems = [
        f"{section}.{name}: cannot be changed for the service's own credentials: give {section}."
        f"{keys[section]} too, or leave it out"
        for name, weaker in weakens.items()
        if weaker and not own
    ]
    access = replace(
        access,
        verify=access.verify if verify is None else verify,
        ca_file=ca_file or access.ca_file,
    )
    if not problems and access.ca_file and (wrong := find_ca_problem(access.ca_file)):
        problems.append(f"{section}.ca_file: {wrong}")
    return (None if problems else access), problems


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
