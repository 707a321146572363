# SPDX-License-Identifier: Apache-2.0
"""What the environment offers: `OSCAR_BATCH_…` variables, and the files that OSCAR mounts.

Every credential is read together with the address that it is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..model.access import ClusterAccess, OidcAccess, StorageAccess
from ..model.errors import ConfigError
from ..model.service import Folder
from .addresses import PRINTABLE, normalize_address, normalize_endpoint
from .document import MAX_BYTES, decode_document

FUNCTION_CONFIG = "oscar/config/function_config.yaml"
PROVIDER_SECRETS = "var/run/secrets/providers/minio.default"


def parse_folders(raw: object) -> tuple[Folder, ...]:
    """The folders of a service's `input` or `output` list (of its FDL or JSON form)."""
    entries = [entry for entry in raw if isinstance(entry, dict)] if isinstance(raw, list) else []
    return tuple(Folder.parse(str(entry["path"])) for entry in entries if entry.get("path"))


def read_allowed_buckets(environ: Mapping[str, str], root: Path) -> tuple[str, ...] | None:
    """The buckets that a dropped config may use with the service's credentials, as globs.

    None outside of a service: there nobody else drops configs.
    """
    if not (root / FUNCTION_CONFIG).exists():
        return None
    globs = environ.get("OSCAR_BATCH_BUCKETS", "").split(",")
    return tuple(glob.strip() for glob in globs if glob.strip())


def read_environment_storage(environ: Mapping[str, str]) -> tuple[StorageAccess, ...]:
    given = _read_variables(environ, "MINIO", ("URL", "ACCESS_KEY", "SECRET_KEY", "REGION"))
    if not (given["URL"] and given["ACCESS_KEY"] and given["SECRET_KEY"]):
        return ()
    return (
        StorageAccess(
            _check_offered_address("OSCAR_BATCH_MINIO_URL", given["URL"]),
            given["ACCESS_KEY"],
            given["SECRET_KEY"],
            region=given["REGION"],
            verify=_read_verify(environ, "MINIO"),
            ca_file=_read_ca_file(environ, "MINIO"),
        ),
    )


def read_environment_cluster(environ: Mapping[str, str]) -> tuple[ClusterAccess, ...]:
    given = _read_variables(environ, "OSCAR", ("URL", "USERNAME", "PASSWORD", "TOKEN"))
    oidc, has_pair = _read_oidc(environ), bool(given["USERNAME"] and given["PASSWORD"])
    if not given["URL"] or not (given["TOKEN"] or has_pair or oidc):
        return ()
    access = ClusterAccess(
        _check_offered_address("OSCAR_BATCH_OSCAR_URL", given["URL"]),
        username=given["USERNAME"],
        password=given["PASSWORD"],
        token=given["TOKEN"],
        oidc=oidc,
        verify=_read_verify(environ, "OSCAR"),
        ca_file=_read_ca_file(environ, "OSCAR"),
    )
    if problem := find_endpoint_problem(access, "OSCAR_BATCH_OSCAR_VERIFY"):
        raise ConfigError([f"OSCAR_BATCH_OSCAR_TOKEN_ENDPOINT: {problem}"])
    return (access,)


def _read_oidc(environ: Mapping[str, str]) -> OidcAccess | None:
    given = _read_variables(environ, "OSCAR", ("TOKEN_ENDPOINT", "CLIENT_ID", "REFRESH_TOKEN"))
    variables = {f"OSCAR_BATCH_OSCAR_{name}": value for name, value in given.items()}
    missing = [name for name, value in variables.items() if not value]
    if len(missing) == len(variables):
        return None
    if missing:
        given_ones = " and ".join(name for name in variables if name not in missing)
        raise ConfigError([f"{name}: is missing beside {given_ones}" for name in missing])
    endpoint = "OSCAR_BATCH_OSCAR_TOKEN_ENDPOINT"
    return OidcAccess(
        _check_offered_address(endpoint, variables[endpoint], normalize_endpoint),
        given["CLIENT_ID"],
        given["REFRESH_TOKEN"],
    )


def find_endpoint_problem(access: ClusterAccess, setting: str) -> str:
    """Why a refresh token is not sent to its endpoint; empty if it may be.

    `setting` is the name under which `verify` is known there.
    """
    if access.oidc is None or access.oidc.token_endpoint.startswith("https://"):
        return ""
    if not access.verify:
        return ""
    return f"must be https, because the refresh token is sent there (unless {setting} is false)"


def _read_variables(environ: Mapping[str, str], kind: str, names: Sequence[str]) -> dict[str, str]:
    """Variables of a kind, without the line break that values from files often end with."""
    found = {name: environ.get(f"OSCAR_BATCH_{kind}_{name}", "").strip() for name in names}
    for name, value in found.items():
        variable = f"OSCAR_BATCH_{kind}_{name}"
        if name in {"ACCESS_KEY", "TOKEN", "REFRESH_TOKEN"} and not PRINTABLE.fullmatch(value):
            raise ConfigError([f"{variable}: must be of ASCII characters, without blanks"])
        # Python decodes invalid UTF-8 as lone surrogates, which cannot be encoded for a request.
        if not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
            raise ConfigError([f"{variable}: is not UTF-8 text"])
    return found


def _read_verify(environ: Mapping[str, str], kind: str) -> bool:
    text = environ.get(f"OSCAR_BATCH_{kind}_VERIFY", "").strip() or "true"
    if text not in {"true", "false"}:
        raise ConfigError([f"OSCAR_BATCH_{kind}_VERIFY: must be true or false"])
    return text == "true"


def _read_ca_file(environ: Mapping[str, str], kind: str) -> str:
    path = environ.get(f"OSCAR_BATCH_{kind}_CA_FILE", "")
    if path and (problem := find_ca_problem(path)):
        raise ConfigError([f"OSCAR_BATCH_{kind}_CA_FILE: {problem}"])
    return path


def read_mounted_storage(function: Mapping[str, Any], root: Path) -> tuple[StorageAccess, ...]:
    """The default storage: OSCAR writes its address to a config file, its keys to secret files."""
    provider = _find_mapping(function, "storage_providers", "minio", "default")
    try:
        access_key = (root / PROVIDER_SECRETS / "accessKey").read_text().strip()
        secret_key = (root / PROVIDER_SECRETS / "secretKey").read_text().strip()
    except (OSError, UnicodeDecodeError):  # not mounted: before OSCAR 3.5, or not a job at all
        access_key, secret_key = (
            str(provider.get(key) or "") for key in ("access_key", "secret_key")
        )
    if not provider.get("endpoint") or not {access_key, secret_key}.isdisjoint({"", "hidden"}):
        return ()
    return (
        StorageAccess(
            _check_offered_address("the mounted storage provider", str(provider["endpoint"])),
            access_key,
            secret_key,
            region=str(provider.get("region") or ""),
            verify=bool(provider.get("verify", True)),
        ),
    )


def read_embedded_clusters(function: Mapping[str, Any]) -> tuple[ClusterAccess, ...]:
    """The entries that oscar-cli puts into a definition; the one it deployed to comes first."""
    clusters = _find_mapping(function, "clusters")
    entries = {str(name): _find_mapping(clusters, name) for name in clusters}
    own = function.get("cluster_id")
    return tuple(
        ClusterAccess(
            _check_offered_address(f"the mounted cluster {name}", str(entry["endpoint"])),
            username=str(entry["auth_user"]),
            password=str(entry["auth_password"]),
            verify=bool(entry.get("ssl_verify", True)),
        )
        for name, entry in sorted(entries.items(), key=lambda item: item[0] != own)
        if entry.get("endpoint") and entry.get("auth_user") and entry.get("auth_password")
    )


def find_own_clusters(environ: Mapping[str, str], function: Mapping[str, Any]) -> tuple[str, ...]:
    """The addresses of the cluster in which this service runs; the mounted MinIO belongs to it."""
    given = _read_variables(environ, "OSCAR", ("URL",))["URL"]
    clusters = _find_mapping(function, "clusters")
    name = str(function.get("cluster_id") or (next(iter(clusters)) if len(clusters) == 1 else ""))
    endpoint = _find_mapping(clusters, name).get("endpoint")
    pairs = (("OSCAR_BATCH_OSCAR_URL", given), (f"the mounted cluster {name}", endpoint))
    return tuple(_check_offered_address(source, str(url)) for source, url in pairs if url)


def find_ca_problem(path: str) -> str:
    """Why a file cannot be used as CA certificates; empty if it can. Libraries fail late on it."""
    file = Path(path)
    try:
        # Of a device or a pipe, reading would not end.
        content = file.read_bytes() if file.is_file() else b""
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if b"-----BEGIN CERTIFICATE-----" not in content:
        return "is no file of CA certificates in PEM form, where this runs"
    return ""


def _check_offered_address(
    source: str, url: str, normalize: Callable[[str], str] = normalize_address
) -> str:
    try:
        return normalize(url)
    except ValueError as error:
        raise ConfigError([f"{source}: {error}"]) from error


def read_function_config(root: Path) -> Mapping[str, Any]:
    try:
        # It holds the service's whole script.
        function = decode_document((root / FUNCTION_CONFIG).read_bytes(), most_yaml=MAX_BYTES)
    except (OSError, ConfigError):
        return {}
    return function if isinstance(function, dict) else {}


def _find_mapping(raw: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """A nested mapping; empty where it is absent, null or of another type."""
    for key in path:
        inner = raw.get(key)
        raw = inner if isinstance(inner, dict) else {}
    return raw
