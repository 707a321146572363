# SPDX-License-Identifier: Apache-2.0
"""Who may do what: the table of OSCAR without OIDC, endpoint by endpoint."""

import base64
import json

import pytest
import requests

from sandbox.handle import Sandbox
from tests.functional.conftest import Deploy

pytestmark = pytest.mark.any_storage

SYSTEM = [
    "/system/services",
    "/system/status",
    "/system/config",
    "/system/info",
    "/system/logs",
    "/system/logs/nobody",
    "/system/quotas/user",
]


def jwt() -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"iss": "https://x"}).encode()).decode()
    return f"e30.{claims.rstrip('=')}.sig"


def test_health_needs_no_authorization(sandbox: Sandbox) -> None:
    answer = requests.get(f"{sandbox.url}/health", timeout=5)
    assert (answer.status_code, answer.text) == (200, "Ok")


@pytest.mark.parametrize("path", SYSTEM)
@pytest.mark.parametrize(
    "header", [None, "Basic b3NjYXI6d3Jvbmc=", f"Bearer {'a' * 64}", "nonsense"]
)
def test_system_refuses_all_but_the_right_password(
    sandbox: Sandbox, path: str, header: str | None
) -> None:
    headers = {"Authorization": header} if header else {}
    answer = requests.get(sandbox.url + path, headers=headers, timeout=5)
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="Authorization Required"'


def test_the_own_quota_needs_a_user(sandbox: Sandbox) -> None:
    answer = sandbox.call("GET", "/system/quotas/user")
    assert (answer.status_code, answer.text) == (401, "missing user identificator")


def test_a_job_takes_the_token_of_its_service_and_nothing_else(
    sandbox: Sandbox, deploy: Deploy, name: str
) -> None:
    token = deploy("true")["token"]
    other = deploy("true", name=f"{name}-b")["token"]

    def status(header: str | None, service: str = name) -> int:
        headers = {"Authorization": header} if header else {}
        url = f"{sandbox.url}/job/{service}"
        return requests.post(url, data=b"{}", headers=headers, timeout=5).status_code

    assert status(None) == 401
    assert (
        requests.post(f"{sandbox.url}/job/{name}", auth=sandbox.auth, timeout=5).status_code == 401
    )
    assert status(f"Bearer {other}") == 401
    assert status(f"Bearer Bearer {token}") == 401
    assert status(token) == 401
    assert status(f"Bearer {token}", service="nobody") == 401
    assert status(f"Bearer {token[:-1]}") == 502
    assert status(f"Bearer {jwt()}") == 400
    assert sandbox.list_jobs(name) == {}
    assert status(f"Bearer  {token} ") == 201


def test_the_sync_endpoint_does_not_exist(sandbox: Sandbox, deploy: Deploy, name: str) -> None:
    deploy("true")
    answer = sandbox.call("POST", f"/run/{name}")
    assert (answer.status_code, answer.text) == (404, "404 page not found")


def test_config_gives_the_storage_keys(sandbox: Sandbox) -> None:
    provider = sandbox.call("GET", "/system/config").json()["minio_provider"]
    assert (provider["endpoint"], provider["access_key"], provider["secret_key"]) == (
        sandbox.s3_url,
        sandbox.access_key,
        sandbox.secret_key,
    )
