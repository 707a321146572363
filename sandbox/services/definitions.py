# SPDX-License-Identifier: Apache-2.0
"""Turns the JSON of a service into the definition that OSCAR stores, returns and mounts.

Pure. Defaults and checks are those of OSCAR v4.1, without the keys that the release does not know.
As in Go's decoder, unknown keys are ignored and the case of keys does not matter.
"""

import copy
from dataclasses import dataclass, field
from typing import Any

from ..cluster.profiles import FlatPath, Profile
from ..cluster.resources import Resources, parse_resources
from .kubernetes_names import describe_invalid, find_label_problem, find_name_problem

Definition = dict[str, Any]

NAMESPACE = "oscar-svc"
LOG_LEVELS = ("NOTSET", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
MOST_NAME = 39
REFUSED = "The service specification is not valid: "
FAILED = "Error creating the service: "
QUANTITY = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
# The names of JSON types in Go's decoder.
GO_NAMES = {int: "number", float: "number", str: "string", list: "array", dict: "object"}

# In the order of OSCAR's struct, which is the order of its answers.
EXPOSE: Definition = {
    "min_scale": 0,
    "max_scale": 0,
    "api_port": None,
    "cpu_threshold": 0,
    "rewrite_target": False,
    "nodePort": None,
    "default_command": False,
    "set_auth": False,
    "health_path": "",
}
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
    "delegation": "",
    "rescheduler_threshold": 0,
    "log_level": "INFO",
    "image": "",
    "alpine": False,
    "token": "",
    "file_stage_in": False,
    "input": [],
    "output": [],
    "script": "",
    "expose": {},
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
# Left out of answers when they are empty (omitempty in Go).
OPTIONAL = ("image_pull_secrets", "clusters")
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
        raise Rejected(400, f"{REFUSED}{_describe_mismatch(raw, 'types.Service', '')}")
    lowered = {str(key).lower(): value for key, value in raw.items()}
    service = copy.deepcopy(DEFAULTS)
    for key in DEFAULTS.keys() - set(_READ_ONLY):
        if lowered.get(key) is not None:
            service[key] = _check_type(key, lowered[key])
    service["expose"] = _fill_expose(service["expose"], as_lists=profile.list_ports)
    service["token"] = token
    service["environment"] = _read_environment(service["environment"])
    if profile.newlines:
        service["script"] = service["script"].replace("\r\n", "\n")
    _require_fields(service)
    _fill_defaults(service, provider)
    service["labels"] = _add_labels(service, known_user=profile.user_labels)
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
        raise Rejected(500, FAILED + QUANTITY) from error


def check_objects(service: Definition) -> None:
    """Refuse what Kubernetes refuses: names and labels of the objects of a service."""
    name = service["name"]
    if problem := find_name_problem("metadata.name", name):
        raise Rejected(500, FAILED + describe_invalid("ConfigMap", name, [problem]))
    problems = [find_label_problem("metadata.labels", str(v)) for v in service["labels"].values()]
    if any(problems):
        found = [problem for problem in problems if problem]
        raise Rejected(500, FAILED + describe_invalid("PodTemplate", name, found))


def check_outputs(service: Definition) -> None:
    """Refuse outputs to a storage that the definition does not name."""
    for entry in service["output"]:
        kind, _, name = str(entry["storage_provider"]).partition(".")
        known = service["storage_providers"].get(kind) or {}
        if (name or "default") not in known:
            provider = entry["storage_provider"]
            raise Rejected(500, f'the StorageProvider "{provider}" is not defined')


def make_answer(service: Definition) -> Definition:
    """What GET returns: storage keys and values of secrets are hidden, the token is not."""
    shown = copy.deepcopy(service)
    shown["storage_providers"]["minio"]["default"].update(**HIDDEN)
    shown["environment"]["secrets"] = dict.fromkeys(shown["environment"]["secrets"], "")
    return {key: value for key, value in shown.items() if value or key not in OPTIONAL}


def make_function_config(service: Definition, endpoint: str) -> Definition:
    """What the job finds at /oscar/config/function_config.yaml."""
    shown = make_answer(service)
    shown["storage_providers"]["minio"]["default"]["endpoint"] = endpoint
    return {key: value for key, value in shown.items() if key not in ("script", "namespace")}


def _check_type(key: str, value: Any) -> Any:
    wanted = type(DEFAULTS[key])
    if not isinstance(value, wanted):
        found = _describe_mismatch(value, GO_NAMES.get(wanted, wanted.__name__), f"Service.{key}")
        raise Rejected(400, REFUSED + found)
    if key == "mount":
        return {**DEFAULTS[key], **value}
    return value


def _describe_mismatch(value: Any, wanted: str, field: str) -> str:
    """The text of Go's decoder for a value of another type than the field has."""
    found = "bool" if isinstance(value, bool) else GO_NAMES.get(type(value), "null")
    where = f"Go struct field {field} of type" if field else "Go value of type"
    return f"json: cannot unmarshal {found} into {where} {wanted}"


def _fill_expose(raw: dict[str, Any], *, as_lists: bool) -> dict[str, Any]:
    """With defaults. Two ports are lists since v4.1, each release refuses the other form."""
    filled = EXPOSE | {key: value for key, value in raw.items() if key in EXPOSE}
    for key in ("api_port", "nodePort"):
        if filled[key] is not None and isinstance(filled[key], list) != as_lists:
            wanted = "[]int" if as_lists else "int"
            found = _describe_mismatch(filled[key], wanted, f"Expose.expose.{key}")
            raise Rejected(400, REFUSED + found)
    if not as_lists:
        filled["nodePort"] = filled["nodePort"] or 0
    shown = ("nodePort",) if not as_lists else ()
    ports = ("api_port", "nodePort")
    return {key: v for key, v in filled.items() if v or key in shown or key not in ports}


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
            raise Rejected(400, REFUSED + _describe_validation(key, "required"))
    if len(service["name"]) > MOST_NAME:
        raise Rejected(400, REFUSED + _describe_validation("name", "max"))
    for entry in (*service["input"], *service["output"]):
        if not isinstance(entry, dict) or not str(entry.get("path") or "").strip(" /"):
            raise Rejected(400, f"{REFUSED}empty path")
    for entry in service["input"]:
        if str(entry.get("storage_provider", "")).split(".")[0] not in ("minio", ""):
            raise Rejected(400, "The input StorageProvider is not supported by the sandbox")


def _describe_validation(key: str, tag: str) -> str:
    """The text of the validator of OSCAR's web framework."""
    field = key.title()
    return f"Key: 'Service.{field}' Error:Field validation for '{field}' failed on the '{tag}' tag"


def _fill_defaults(service: Definition, provider: Provider) -> None:
    for entry in (*service["input"], *service["output"]):
        entry["path"] = str(entry["path"]).strip(" /")
        entry["storage_provider"] = entry.get("storage_provider") or "minio.default"
    service["owner"] = service["owner"] or "cluster_admin"
    if service["log_level"] not in LOG_LEVELS:
        service["log_level"] = "INFO"
    providers = service["storage_providers"]
    providers["minio"] = {
        **(providers.get("minio") or {}),
        "default": provider.make_entry(),
    }


def _add_labels(service: Definition, *, known_user: bool) -> dict[str, str]:
    """The labels of a service, sorted as Go sorts the keys of a map."""
    name = service["name"]
    labels = {
        **service["labels"],
        "oscar_service": name,
        "applicationId": name,
        "queue": f"root.oscar-queue.{name}",
    }
    if known_user:
        labels |= {"oscar.grycap/user-service": "true", "owner_name": "oscar"}
    return dict(sorted(labels.items()))
