# SPDX-License-Identifier: Apache-2.0
"""`make record`: a cluster's answers in the form of the recordings, and no secret among them."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.handle import CHECKOUT, Sandbox
from tests.functional.conftest import Deploy, Release
from tests.live.record import replace_secrets

pytestmark = pytest.mark.any_storage

KEYS = [
    "method", "path", "request_headers", "request_body", "status", "response_headers", "body",
    "note", "seconds", "at", "oscar_version", "kubernetes_version",
]  # fmt: skip
PLANTED = {
    "environment": {
        "variables": {"API_KEY": "planted-variable", "ODD": 'planted "quotes" ü'},
        "secrets": {"PASSWORD": "planted-secret"},
    },
    "clusters": {
        "mine": {
            "endpoint": "https://oscar",
            "auth_user": "planted-user",
            "auth_password": "planted-password",
            "ssl_verify": True,
        }
    },
    "storage_providers": {
        "s3": {"x": {"access_key": "planted-access", "secret_key": "planted-s3"}}
    },
}
Record = Callable[[Sandbox], list[dict[str, Any]]]


@pytest.fixture
def record(tmp_path: Path) -> Record:
    def run(box: Sandbox) -> list[dict[str, Any]]:
        environment = {
            **os.environ,
            "OSCAR_URL": box.url,
            "OSCAR_USERNAME": box.username,
            "OSCAR_PASSWORD": box.password,
            "MINIO_URL": box.s3_url,
            "MINIO_ACCESS_KEY": box.access_key,
            "MINIO_SECRET_KEY": box.secret_key,
        }
        path = tmp_path / "build" / "recording.json"
        command = [sys.executable, "-m", "tests.live.record", str(path)]
        subprocess.run(command, cwd=CHECKOUT, env=environment, check=True, timeout=60)
        return list(json.loads(path.read_text()))

    return run


@pytest.mark.parametrize("profile", ["v3.7", "v4.1"])
def test_no_secret_is_in_a_recording(
    release: Release, deploy_on: Deploy, name: str, record: Record, profile: str
) -> None:
    box = release(profile)
    script = "echo planted-secret; echo 'planted \"quotes\" ü'; echo planted-script"
    token = deploy_on(box, script, **PLANTED)["token"]
    box.invoke(name, "{}")
    box.wait_until_ended(name)

    entries = record(box)

    text = json.dumps(entries, ensure_ascii=False)
    secrets = [box.password, box.access_key, box.secret_key, token]
    for secret in secrets:
        assert secret not in text
        assert base64.b64encode(secret.encode()).decode() not in text
    assert "planted-script" not in next(
        entry["body"] for entry in entries if entry["path"] == f"/system/services/{name}"
    )
    for planted in ("variable", "secret", "user", "password", "access", "s3", "quotes"):
        assert f"planted-{planted}" not in text
        assert f'planted "{planted}' not in text
    assert "SERVICE_TOKEN" in text


def test_a_recording_has_the_form_of_those_of_a_real_cluster(
    chaotic: Sandbox, deploy_on: Deploy, name: str, record: Record
) -> None:
    deploy_on(chaotic, "true")
    entries = record(chaotic)
    assert all(list(entry) == KEYS for entry in entries)
    assert {entry["oscar_version"] for entry in entries} == {"4.1.2"}
    paths = [entry["path"] for entry in entries]
    for path in ("/system/info", "/system/status", f"/system/services/{name}", "/system/config"):
        assert path in paths
    (read,) = [entry for entry in entries if entry["path"] == f"/system/services/{name}"]
    definition = json.loads(read["body"])
    assert (definition["name"], definition["token"]) == (name, "SERVICE_TOKEN")
    assert read["status"] == 200
    assert read["response_headers"]["Content-Type"].startswith("application/json")


def make_entry(body: str) -> dict[str, Any]:
    return {"body": body, "response_headers": {}}


@pytest.mark.parametrize(
    "body",
    [
        '{"error": "x"}{"minio_provider": {"secret_key": "canary-1"}}',
        "cannot reach http://admin:canary-1@minio:9000/x",
        "Authorization: Bearer canary-1-canary-1",
        '{"a": [{"secrets": {"b": ["canary-1"]}}]}',
        '{"note": "canary-known and Y2FuYXJ5LWtub3du"}',
        "canary%2Fknown",
    ],
)
def test_a_secret_is_found_wherever_it_stands(body: str) -> None:
    clean = replace_secrets([make_entry(body)], ["canary-known", "canary/known"])
    assert "canary" not in clean
    assert "Y2FuYXJ5LWtub3du" not in clean
