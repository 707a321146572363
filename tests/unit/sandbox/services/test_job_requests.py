# SPDX-License-Identifier: Apache-2.0
"""A POST /job becomes a job: its name, and whose storage secret it mounts."""

import json
from typing import Any

import pytest

from sandbox.cluster.job_record import Start
from sandbox.cluster.profiles import V35, V37, V41, Profile
from sandbox.services.definitions import Panic, Provider, Rejected, find_needs, make_definition
from sandbox.services.job_requests import Request, find_principal, make_job, name_secret
from sandbox.services.registry import Service

PROVIDER = Provider("http://127.0.0.1:1", "key", "secret")


def service(profile: Profile = V41, **keys: Any) -> Service:
    raw = {"name": "target", "image": "i", "script": "true", **keys}
    stored = make_definition(raw, "t" * 64, PROVIDER, profile)
    return Service("target", "t" * 64, find_needs(stored), stored)


def record(**parameters: Any) -> bytes:
    return json.dumps({"Records": [{"requestParameters": parameters}]}).encode()


@pytest.mark.parametrize(
    ("body", "user"),
    [
        (record(principalId="u", sourceIPAddress="1"), "u"),
        (record(principalId="u"), ""),
        (record(principalId=1, sourceIPAddress="1"), ""),
        (b'{"Records":[]}', ""),
        (b'{"Records":1}', ""),
        (b"[]", ""),
        (b"no json", ""),
        (b"\xff", ""),
    ],
)
def test_the_user_of_an_event(body: bytes, user: str) -> None:
    assert find_principal(body) == user


@pytest.mark.parametrize(
    ("profile", "user", "secret"),
    [
        (V35, "", "cluster_admin"),
        (V35, "minio", "minio"),
        (V35, "u", "u"),
        (V37, "", "minio"),
        (V41, "", "minio"),
        (V41, "cluster_admin", "minio"),
        (V41, "minio", "minio"),
        (V41, "u", "u"),
    ],
)
def test_a_job_mounts_the_secret_of_its_user(profile: Profile, user: str, secret: str) -> None:
    assert name_secret(service(profile), user, profile) == secret


@pytest.mark.parametrize(("profile", "kept"), [(V35, False), (V37, False), (V41, True)])
def test_only_release_4_1_takes_the_callers_job_name(profile: Profile, kept: bool) -> None:
    body = record(principalId="minio", sourceIPAddress="1")
    job = make_job(service(profile), Request(body, "mine"), profile)
    assert (job.name == "mine") is kept
    assert kept or job.name.startswith("target-")


@pytest.mark.parametrize(
    ("keys", "name"),
    [({}, "Upper"), ({}, "x" * 64), ({}, "a_b"), ({}, "a..b"), ({}, "x-")],
)
def test_what_kubernetes_refuses(keys: dict[str, Any], name: str) -> None:
    with pytest.raises(Rejected, match="invalid"):
        make_job(service(**keys), Request(b"{}", name), V41)


def test_a_job_name_may_have_dots() -> None:
    assert make_job(service(), Request(b"{}", "a.b-c.1"), V41).name == "a.b-c.1"


@pytest.mark.parametrize(
    ("body", "start"),
    [
        (b"{}", Start.STARTS),
        (b"\xff\xfe{}", Start.NEVER),
        (b'{"a":"x\0y"}', Start.FAILS),
        (record(principalId="someone", sourceIPAddress="0.0.0.0"), Start.NEVER),
    ],
)
def test_what_the_kubelet_cannot_start(body: bytes, start: Start) -> None:
    assert make_job(service(), Request(body), V41).start is start


@pytest.mark.parametrize(
    ("size", "text"),
    [(1_600_000, "`selector` not auto-generated"), (4_000_000, "limit is 3145728")],
)
def test_a_body_that_is_too_large(size: int, text: str) -> None:
    with pytest.raises(Rejected, match=text):
        make_job(service(), Request(b"x" * size), V41)


def test_a_mount_without_an_id_panics_before_3_6_5() -> None:
    mounted = service(V35, mount={"storage_provider": "minio", "path": "b"})
    with pytest.raises(Panic):
        make_job(mounted, Request(b"{}"), V35)
