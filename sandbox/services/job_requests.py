# SPDX-License-Identifier: Apache-2.0
"""Turns a permitted POST /job into a job, or raises the refusal that OSCAR would give.

It contacts nothing. A job without a name gets a random one. The event decides, as in OSCAR, whose
storage secret the job mounts.
"""

import json
import uuid
from dataclasses import dataclass, field

from ..cluster.job_record import Job, Start
from ..cluster.profiles import Profile
from .definitions import Panic, Rejected
from .kubernetes_names import describe_invalid, find_label_problem, find_name_problem
from .registry import Service

# etcd refuses a larger object, and the event is part of the Job. The manager then sends the Job
# again, and Kubernetes finds another mistake in it.
JOB_LIMIT = 1536 * 1024
# Kubernetes reads no larger request.
REQUEST_LIMIT = 3 * 1024 * 1024
# The storage secret of MinIO's root user. Without OIDC no other user has one.
ROOT = "minio"


@dataclass(frozen=True, slots=True)
class Request:
    """The body of a POST /job, and the job name that its header asks for."""

    body: bytes = field(repr=False)
    wanted_name: str = ""


def make_job(service: Service, request: Request, profile: Profile) -> Job:
    wanted = request.wanted_name if profile.delegated_name else ""
    name = wanted or _make_up_name(service.name)
    problems = [
        find_name_problem("metadata.name", name),
        find_label_problem("spec.template.labels", name),
    ]
    if any(problems):
        found = [problem for problem in problems if problem]
        raise Rejected(500, describe_invalid("Job.batch", name, found))
    provider = str(service.definition["mount"].get("storage_provider") or "")
    if service.mount_path and "." not in provider and not profile.bare_mount_provider:
        raise Panic
    if len(request.body) > REQUEST_LIMIT:
        raise Rejected(500, f"Request entity too large: limit is {REQUEST_LIMIT}")
    if len(request.body) > JOB_LIMIT:
        problem = "spec.selector: Invalid value: `selector` not auto-generated"
        raise Rejected(500, describe_invalid("Job.batch", name, [problem]))
    lag_s = profile.mount_lag_s if service.mount_path else 0.0
    start = _judge_start(service, request.body, profile)
    return Job(name, service.name, service.needs, start=start, lag_s=lag_s)


def _judge_start(service: Service, body: bytes, profile: Profile) -> Start:
    """Whether the container can start: not without its secret, nor with some bodies."""
    if name_secret(service, find_principal(body), profile) != ROOT:
        return Start.NEVER
    if b"\0" in body:
        return Start.FAILS
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return Start.NEVER
    return Start.STARTS


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


def _make_up_name(service: str) -> str:
    return f"{service if len(service) < 25 else service[:16]}-{uuid.uuid4()}"
