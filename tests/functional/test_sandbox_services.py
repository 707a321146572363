# SPDX-License-Identifier: Apache-2.0
"""Services by real clients: create, read, update, delete, and what happens to buckets."""

from typing import Any

import pytest

from sandbox.handle import Sandbox
from tests.functional.conftest import Deploy


def body(name: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "image": "sandbox", "script": "true", **keys}


def test_a_service_is_created_with_buckets_folders_and_defaults(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    service = deploy(
        "true\r\ntrue\n",
        input=[{"storage_provider": "minio.default", "path": f"{name}/in"}],
        output=[{"storage_provider": "minio.default", "path": "out"}],
        environment={"Variables": {"A": "1"}, "secrets": {"PW": "canary"}},
        clusters={"mine": {"endpoint": "http://x", "auth_user": "u", "auth_password": "p"}},
        unknown_key=1,
    )
    assert len(service["token"]) == 64
    assert (service["cpu"], service["memory"]) == ("0.2", "256Mi")
    assert service["script"] == "true\ntrue\n"
    assert service["output"][0]["path"] == f"{name}/out"
    assert service["environment"] == {"variables": {"A": "1"}, "secrets": {"PW": ""}}
    assert service["clusters"]["mine"]["auth_password"] == "p"
    assert service["owner"] == "cluster_admin"
    assert service["namespace"] == "oscar-svc"
    assert service["mount"] == {"storage_provider": "", "path": ""}
    assert service["storage_providers"]["minio"]["default"] == {
        "endpoint": sandbox.s3_url,
        "verify": False,
        "access_key": "hidden",
        "secret_key": "hidden",
        "region": "us-east-1",
    }
    assert "unknown_key" not in service
    found = {item.object_name for item in sandbox.minio.list_objects(name, recursive=True)}
    assert found == {"in/", "out/"}
    assert sandbox.list_jobs(name) == {}, "its own folder markers triggered it"
    assert service in sandbox.call("GET", "/system/services").json()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"image": ""}, 400),
        ({"script": ""}, 400),
        ({"cpu": 1}, 400),
        ({"cpu": "lots"}, 500),
        ({"memory": "3 Gi"}, 500),
        ({"name": "Upper"}, 500),
        ({"labels": {"team": "not valid!"}}, 500),
        ({"name": "n" * 40}, 400),
        ({"input": [{"storage_provider": "minio.default", "path": "/"}]}, 400),
        ({"expose": {"nodePort": 0}}, 400),
        ({"mount": {"storage_provider": "minio.default", "path": "B"}}, 500),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_definitions_are_refused_with_the_reason(
    sandbox: Sandbox, name: str, change: dict[str, Any], status: int
) -> None:
    answer = sandbox.call("POST", "/system/services", json=body(name) | change)
    assert answer.status_code == status
    assert answer.text
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert sandbox.call("GET", f"/system/services/{name}").status_code == 404


def test_a_name_is_taken_once(sandbox: Sandbox, deploy: Deploy, name: str) -> None:
    deploy("true")
    answer = sandbox.call("POST", "/system/services", json=body(name))
    assert (answer.status_code, "already exists" in answer.text) == (400, True)


def test_a_foreign_bucket_makes_creation_fail_and_stays(sandbox: Sandbox, name: str) -> None:
    sandbox.minio.make_bucket(name)
    answer = sandbox.call(
        "POST",
        "/system/services",
        json=body(name, input=[{"storage_provider": "minio.default", "path": f"{name}/in"}]),
    )
    assert (answer.status_code, answer.text) == (500, f'the bucket "{name}" already exists\n')
    assert sandbox.call("GET", f"/system/services/{name}").status_code == 404
    assert sandbox.minio.bucket_exists(name)


def test_update_replaces_all_but_the_token(sandbox: Sandbox, deploy: Deploy, name: str) -> None:
    token = deploy("true", memory="1Gi", owner="somebody")["token"]
    answer = sandbox.call("PUT", "/system/services", json=body(name, cpu="2"))
    assert (answer.status_code, answer.content) == (204, b"")
    after = sandbox.read_service(name)
    assert (after["token"], after["cpu"], after["memory"]) == (token, "2", "256Mi")
    assert after["owner"] == "", "the admin's PUT takes the owner from the body"


def test_update_and_delete_of_an_unknown_service_are_404(sandbox: Sandbox, name: str) -> None:
    for answer in (
        sandbox.call("PUT", "/system/services", json=body(name)),
        sandbox.call("DELETE", f"/system/services/{name}"),
        sandbox.call("GET", f"/system/services/{name}"),
        sandbox.call("GET", f"/system/logs/{name}"),
    ):
        assert (answer.status_code, answer.content) == (404, b"")


def test_delete_takes_jobs_and_own_buckets_and_leaves_the_mounted(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    data = f"{name}-data"
    deploy(
        "sleep 60",
        output=[{"storage_provider": "minio.default", "path": f"{name}/out"}],
        mount={"storage_provider": "minio.default", "path": f"/{data}"},
    )
    assert sandbox.invoke(name, '{"start":1}').status_code == 201
    assert sandbox.call("DELETE", f"/system/services/{name}").status_code == 204
    assert not sandbox.minio.bucket_exists(name)
    assert sandbox.minio.bucket_exists(data)
    deploy("true")
    assert sandbox.list_jobs(name) == {}
