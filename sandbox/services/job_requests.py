# SPDX-License-Identifier: Apache-2.0
"""Turns a permitted POST /job into a job, or raises the refusal that OSCAR would give.

It contacts nothing. A job without a name gets a random one. The event decides, as in OSCAR, whose
storage secret the job mounts.
"""

import json
import re
import uuid
from dataclasses import dataclass, field

from ..cluster.job_record import Job
from ..cluster.profiles import Profile
from .definitions import Panic, Rejected
from .registry import Service

# etcd refuses larger objects, and the event is part of the Job.
JOB_LIMIT = 1536 * 1024
# The storage secret of MinIO's root user. Without OIDC no other user has one.
ROOT = "minio"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Request:
    """The body of a POST /job, and the job name that its header asks for."""

    body: bytes = field(repr=False)
    wanted_name: str = ""


def make_job(service: Service, request: Request, profile: Profile) -> Job:
    wanted = request.wanted_name if profile.delegated_name else ""
    name = wanted or _make_up_name(service.name)
    if not _NAME.fullmatch(name):
        raise Rejected(500, f'Job.batch "{name}" is invalid: metadata.name: Invalid value')
    for value in service.definition["labels"].values():
        if not is_label(str(value)):
            raise Rejected(500, f'Job.batch "{name}" is invalid: metadata.labels: Invalid value')
    provider = str(service.definition["mount"].get("storage_provider") or "")
    if service.mount_path and "." not in provider and not profile.bare_mount_provider:
        raise Panic
    if len(request.body) > JOB_LIMIT:
        raise Rejected(500, "etcdserver: request is too large")
    startable = name_secret(service, find_principal(request.body), profile) == ROOT
    if not startable and profile.owner_is_root:
        raise Rejected(500, "error copying the storage secret of the user: not found")
    lag_s = profile.mount_lag_s if service.mount_path else 0.0
    return Job(name, service.name, service.needs, startable=startable, lag_s=lag_s)


def find_principal(body: bytes) -> str:
    """The user that a storage event names; empty unless the event also has an IP address."""
    try:
        parameters = json.loads(body)["Records"][0]["requestParameters"]
        user, address = parameters["principalId"], parameters["sourceIPAddress"]
    except (ValueError, LookupError, TypeError):
        return ""
    return user if isinstance(user, str) and isinstance(address, str) else ""


def name_secret(service: Service, user: str, profile: Profile) -> str:
    """The name of the storage secret that the job mounts."""
    owner = str(service.definition["owner"])
    if profile.owner_is_root and user in ("", owner):
        return ROOT
    return user or owner


def is_label(text: str) -> bool:
    return _LABEL.fullmatch(text) is not None


def _make_up_name(service: str) -> str:
    return f"{service if len(service) < 25 else service[:16]}-{uuid.uuid4()}"
