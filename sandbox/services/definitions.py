# SPDX-License-Identifier: Apache-2.0
"""Turns the JSON of a service into the definition that OSCAR stores, returns and mounts.

Pure. Defaults and checks are those of OSCAR v4.1, without the keys that the release does not know.
As in Go's decoder, unknown keys are ignored and the case of keys does not matter.
"""

import copy
import re
from dataclasses import dataclass, field
from typing import Any

from ..cluster.profiles import FlatPath, Profile
from ..cluster.resources import Resources, parse_resources

Definition = dict[str, Any]

NAMESPACE = "oscar-svc"
LOG_LEVELS = ("NOTSET", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,37}[a-z0-9])?")

# In the order of OSCAR's struct, which is the order of its answers.
DEFAULTS: Definition = {
    "name": "",
    "cluster_id": "",
    "memory": "256Mi",
    "cpu": "0.2",
    "total_memory": "",
    "total_cpu": "",
    "ephemeral_storage_request": "",
    "enable_gpu": False,
    "enable_sgx": False,
    "image_prefetch": False,
    "synchronous": {"min_scale": 0, "max_scale": 0},
    "expose": {},
    "log_level": "INFO",
    "image": "",
    "alpine": False,
    "token": "",
    "file_stage_in": False,
    "input": [],
    "output": [],
    "script": "",
    "image_pull_secrets": [],
    "environment": {"variables": {}, "secrets": {}},
    "annotations": {},
    "vo": "",
    "labels": {},
    "storage_providers": {},
    "clusters": {},
    "owner": "",
    "namespace": NAMESPACE,
    "interlink_node_name": "",
    "visibility": "private",
    "allowed_users": [],
    "isolation_level": "",
    "bucket_list": [],
    "mount": {"storage_provider": "", "path": ""},
    "volume_status": {"enabled": False},
}
HIDDEN = {"access_key": "hidden", "secret_key": "hidden"}
_READ_ONLY = ("token", "namespace", "volume_status", "bucket_list")


class Rejected(Exception):
    """A request that OSCAR answers with this status and text."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Panic(Exception):
    """OSCAR panics in the middle of a request: 500 without a body, and nothing is rolled back."""


@dataclass(frozen=True, slots=True)
class Provider:
    """The cluster's default storage."""

    endpoint: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    def make_entry(self) -> dict[str, Any]:
        return {
            "endpoint": self.endpoint,
            "verify": False,
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "region": "us-east-1",
        }


def make_definition(raw: Any, token: str, provider: Provider, profile: Profile) -> Definition:
    """The definition as OSCAR stores it, or the 400 with which it refuses."""
    if not isinstance(raw, dict):
        raise Rejected(400, "The service specification is not valid: not a JSON object")
    lowered = {str(key).lower(): value for key, value in raw.items()}
    service = copy.deepcopy(DEFAULTS)
    for key in DEFAULTS.keys() - set(_READ_ONLY):
        if lowered.get(key) is not None:
            service[key] = _check_type(key, lowered[key])
    _check_ports(service["expose"], as_lists=profile.list_ports)
    service["token"] = token
    service["environment"] = _read_environment(service["environment"])
    if profile.newlines:
        service["script"] = service["script"].replace("\r\n", "\n")
    _require_fields(service)
    _fill_defaults(service, provider)
    if profile.flat_path is FlatPath.PREFIXED:
        for entry in (*service["input"], *service["output"]):
            if "/" not in entry["path"]:
                entry["path"] = f"{service['name']}/{entry['path']}"
    return _keep_known(service, profile.absent_keys)


def find_needs(service: Definition) -> Resources:
    """What a job of the service requests: OSCAR sets limits only, and requests are then equal."""
    try:
        return parse_resources(service["cpu"], service["memory"], int(bool(service["enable_gpu"])))
    except ValueError as error:
        raise Rejected(500, str(error)) from error


def make_answer(service: Definition) -> Definition:
    """What GET returns: storage keys and values of secrets are hidden, the token is not."""
    shown = copy.deepcopy(service)
    shown["storage_providers"]["minio"]["default"].update(**HIDDEN)
    shown["environment"]["secrets"] = dict.fromkeys(shown["environment"]["secrets"], "")
    return shown


def make_function_config(service: Definition, endpoint: str) -> Definition:
    """What the job finds at /oscar/config/function_config.yaml."""
    shown = make_answer(service)
    shown["storage_providers"]["minio"]["default"]["endpoint"] = endpoint
    return {key: value for key, value in shown.items() if key not in ("script", "namespace")}


def _check_type(key: str, value: Any) -> Any:
    wanted = type(DEFAULTS[key])
    if not isinstance(value, wanted):
        kind = type(value).__name__
        raise Rejected(
            400,
            f"The service specification is not valid: json: cannot unmarshal {kind} into Go "
            f"struct field Service.{key} of type {wanted.__name__}",
        )
    if key == "mount":
        return {**DEFAULTS[key], **value}
    return value


def _check_ports(expose: dict[str, Any], *, as_lists: bool) -> None:
    """Two ports are lists since v4.1 and numbers before; each release refuses the other form."""
    for key in ("api_port", "nodePort"):
        if key in expose and isinstance(expose[key], list) != as_lists:
            wanted = "[]int32" if as_lists else "int32"
            raise Rejected(
                400,
                "The service specification is not valid: json: cannot unmarshal "
                f"{type(expose[key]).__name__} into Go struct field Service.expose.{key} of type "
                f"{wanted}",
            )


def _keep_known(service: Definition, absent: frozenset[str]) -> Definition:
    """Without the keys that the release does not know; `mount.options` is a key of `mount`."""
    known = {key: value for key, value in service.items() if key not in absent}
    for path in absent:
        outer, _, inner = path.partition(".")
        if inner:
            known[outer] = {key: value for key, value in known[outer].items() if key != inner}
    return known


def _read_environment(raw: dict[str, Any]) -> dict[str, dict[str, str]]:
    """``Variables`` (oscar-cli) and ``variables`` (REST) are the same key."""
    lowered = {key.lower(): value or {} for key, value in raw.items()}
    parts = {key: lowered.get(key, {}) for key in ("variables", "secrets")}
    for key, values in parts.items():
        if not isinstance(values, dict) or any(not isinstance(v, str) for v in values.values()):
            raise Rejected(
                400, f"The service specification is not valid: environment.{key} takes strings"
            )
    return parts


def _require_fields(service: Definition) -> None:
    for key in ("name", "image", "script"):
        if not service[key]:
            raise Rejected(
                400,
                f"The service specification is not valid: Key: 'Service.{key.title()}' Error:"
                f"Field validation for '{key.title()}' failed on the 'required' tag",
            )
    if not _NAME.fullmatch(service["name"]):
        raise Rejected(400, f"The service specification is not valid: name {service['name']!r}")
    for entry in (*service["input"], *service["output"]):
        if not isinstance(entry, dict) or not str(entry.get("path") or "").strip(" /"):
            raise Rejected(400, "The service specification is not valid: empty path")
    for entry in service["input"]:
        if str(entry.get("storage_provider", "")).split(".")[0] not in ("minio", ""):
            raise Rejected(400, "The input StorageProvider is not supported by the sandbox")


def _fill_defaults(service: Definition, provider: Provider) -> None:
    name = service["name"]
    for entry in (*service["input"], *service["output"]):
        entry["path"] = str(entry["path"]).strip(" /")
        entry["storage_provider"] = entry.get("storage_provider") or "minio.default"
    service["owner"] = service["owner"] or "cluster_admin"
    if service["log_level"] not in LOG_LEVELS:
        service["log_level"] = "INFO"
    service["labels"] = {
        **service["labels"],
        "oscar_service": name,
        "applicationId": name,
        "queue": f"root.oscar-queue.{name}",
        "oscar.grycap/user-service": "true",
        "owner_name": "oscar",
    }
    providers = service["storage_providers"]
    providers["minio"] = {
        **(providers.get("minio") or {}),
        "default": provider.make_entry(),
    }
