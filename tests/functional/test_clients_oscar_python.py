# SPDX-License-Identifier: Apache-2.0
"""oscar-python, the field's own client, unmodified: every call of it that batch work needs."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from oscar_python.client import Client

from sandbox.handle import CHECKOUT, Sandbox
from tests.functional.conftest import Deploy
from tests.functional.coordination import RECORDER, config_for, content, fill, keys_of, recorded

PROVIDER = "minio.default"
CLUSTER = "oscar-cluster"


@pytest.fixture
def client(sandbox: Sandbox) -> Any:
    return Client(
        {
            "cluster_id": CLUSTER,
            "endpoint": sandbox.url,
            "user": sandbox.username,
            "password": sandbox.password,
            "ssl": False,
        }
    )


@pytest.fixture
def fdl(sandbox: Sandbox, name: str, tmp_path: Path) -> Iterator[Path]:
    """An FDL file with its script beside it; what it created is removed."""
    (tmp_path / "script.sh").write_text('cp "$INPUT_FILE_PATH" "$TMP_OUTPUT_DIR/seen"; echo done\n')
    definition = {
        "name": name,
        "image": "sandbox",
        "cpu": 0.5,
        "memory": "256Mi",
        "script": "script.sh",
        "log_level": "DEBUG",
        "input": [{"storage_provider": PROVIDER, "path": f"{name}/in"}],
        "output": [{"storage_provider": PROVIDER, "path": f"{name}/out"}],
    }
    path = tmp_path / "fdl.yaml"
    path.write_text(yaml.safe_dump({"functions": {"oscar": [{CLUSTER: definition}]}}))
    yield path
    sandbox.remove(name)


def test_a_service_is_created_read_updated_and_removed(client: Any, fdl: Path, name: str) -> None:
    assert client.create_service(str(fdl)).status_code == 201
    created = client.get_service(name).json()
    assert (created["cpu"], created["memory"], len(created["token"])) == ("0.5", "256Mi", 64)
    assert name in [service["name"] for service in client.list_services().json()]
    with pytest.raises(ValueError, match="already present"):
        client.create_service(str(fdl))

    assert client.update_service(name, {**created, "memory": "1Gi"}).status_code == 204
    updated = client.get_service(name).json()
    assert (updated["memory"], updated["owner"]) == ("1Gi", created["owner"])

    assert client.remove_service(name).status_code == 204
    with pytest.raises(requests.HTTPError, match="404"):
        client.get_service(name)


def test_jobs_are_invoked_listed_read_and_removed(
    sandbox: Sandbox, client: Any, deploy: Deploy, name: str
) -> None:
    deploy('cat "$INPUT_FILE_PATH"')
    answer = client.run_service(name, input='{"start": 1, "end": 7}', async_call=True)
    assert (answer.status_code, answer.text) == (201, "")
    (job,) = sandbox.wait_until_ended(name)
    assert client.list_jobs(name).json()["jobs"][job]["status"] == "Succeeded"
    assert '{"start": 1, "end": 7}' in client.get_job_logs(name, job).text
    assert client.remove_job(name, job).status_code == 204
    assert client.list_jobs(name).json()["jobs"] == {}
    client.run_service(name, input="{}", async_call=True)
    sandbox.wait_until_ended(name)
    assert client.remove_all_jobs(name).status_code == 204
    assert client.list_jobs(name).json()["jobs"] == {}


def test_pages_of_jobs_follow_each_other(
    sandbox: Sandbox, client: Any, deploy: Deploy, name: str
) -> None:
    deploy("true", cpu="100")
    for _ in range(71):
        assert sandbox.invoke(name, "{}").status_code == 201
    first = client.list_jobs(name).json()
    second = client.list_jobs(name, page=first["next_page"]).json()
    assert (len(first["jobs"]), len(second["jobs"])) == (70, 1)


def test_a_job_can_be_named_by_header(
    sandbox: Sandbox, client: Any, deploy: Deploy, name: str
) -> None:
    deploy("true")
    headers = f"X-Delegated-Job-ID: {name}-mine"
    client.run_service(name, input="{}", async_call=True, headers=headers)
    assert list(sandbox.wait_until_ended(name)) == [f"{name}-mine"]
    with pytest.raises(requests.HTTPError, match="500"):
        client.run_service(name, input="{}", async_call=True, headers=headers)


def test_an_upload_starts_a_job_and_its_output_is_listed_and_downloaded(
    sandbox: Sandbox, client: Any, fdl: Path, name: str, tmp_path: Path
) -> None:
    client.create_service(str(fdl))
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8 not really")
    (tmp_path / "back").mkdir()
    storage = client.create_storage_client(name)
    storage.upload_file(PROVIDER, str(tmp_path / "photo.jpg"), f"{name}/in")
    ((_, job),) = sandbox.wait_until_ended(name).items()
    assert job["status"] == "Succeeded"
    listed = storage.list_files_from_path(PROVIDER, f"{name}/out/")
    assert "out/seen" in [entry["Key"] for entry in listed["Contents"]]
    storage.download_file(PROVIDER, str(tmp_path / "back"), f"{name}/out/seen")
    assert (tmp_path / "back/seen").read_bytes() == b"\xff\xd8 not really"


def test_a_whole_run_needs_no_other_client(
    sandbox: Sandbox, client: Any, deploy: Deploy, name: str, tmp_path: Path
) -> None:
    """The coordinator's FDL as it is, but for the names, which other tests use as well."""
    output = {"storage_provider": PROVIDER, "path": f"{name}-out/seen"}
    deploy(RECORDER, cpu="2", output=[output])
    fill(sandbox, f"{name}-data", [f"input/{i:02}.jpg" for i in range(9)])
    coordinator = f"c-{uuid.uuid4().hex[:8]}"
    text = (CHECKOUT / "fdl/coordinator.yaml").read_text()
    text = text.replace("path: oscar-batch/", f"path: {coordinator}/")
    text = text.replace("name: oscar-batch", f"name: {coordinator}")
    text = text.replace("../script.sh", str(CHECKOUT / "script.sh"))
    (tmp_path / "coordinator.yaml").write_text(text)
    (tmp_path / "config.json").write_text(
        json.dumps(config_for(sandbox, name, f"{name}-data", output={"file": ""}))
    )
    try:
        assert client.create_service(str(tmp_path / "coordinator.yaml")).status_code == 201
        storage = client.create_storage_client(coordinator)
        storage.upload_file(PROVIDER, str(tmp_path / "config.json"), f"{coordinator}/in")
        (job,) = sandbox.wait_until_ended(coordinator)
        log = client.get_job_logs(coordinator, job).text
        (key,) = [k for k in keys_of(sandbox, coordinator, "out/") if k.endswith("report.json")]
        report = json.loads(content(sandbox, coordinator, key))
        assert report["ending"] == "submitted", log
        bodies = recorded(sandbox, name, len(report["chunks"]))
    finally:
        sandbox.remove(coordinator)
    covered = [line for body in bodies for line in range(body["start"], body["end"] + 1)]
    assert covered == list(range(1, 10))


def test_the_cluster_reports_its_state(sandbox: Sandbox, client: Any) -> None:
    assert client.health_check().text == "Ok"
    assert client.get_cluster_info().json()["version"]
    assert client.get_cluster_status().json()["cluster"]["nodes_count"] == 2
    assert client.get_cluster_config().json()["minio_provider"]["endpoint"] == sandbox.s3_url


def test_refusals_reach_the_caller(
    sandbox: Sandbox, client: Any, deploy: Deploy, name: str
) -> None:
    deploy("true")
    with pytest.raises(requests.HTTPError, match="401"):
        client.run_service(name, input="{}", async_call=True, token="0" * 64)
    with pytest.raises(requests.HTTPError, match="404"):
        client.run_service(name, input="{}", async_call=False)  # without Knative
    client.password = "wrong"
    with pytest.raises(requests.HTTPError, match="401"):
        client.list_services()


def test_a_slash_too_many_is_redirected_before_credentials_are_checked(
    sandbox: Sandbox,
) -> None:
    for method, status in (("GET", 301), ("POST", 307)):
        answer = requests.request(
            method, f"{sandbox.url}/system/services/?a=1", allow_redirects=False, timeout=30
        )
        assert (answer.status_code, answer.headers["Location"]) == (status, "/system/services?a=1")
    assert requests.get(f"{sandbox.url}/nothing/", timeout=30).status_code == 404
