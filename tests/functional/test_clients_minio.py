# SPDX-License-Identifier: Apache-2.0
"""A real MinIO under the sandbox: its own webhooks and events, its restarts; and foreign S3."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from minio import Minio
from minio.commonconfig import CopySource, Tags
from minio.credentials.providers import StaticProvider
from minio.error import MinioException
from minio.minioadmin import MinioAdmin
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from sandbox.handle import Sandbox, run_sandbox
from tests.functional.conftest import require_minio
from tests.functional.coordination import content, keys_of
from tests.functional.test_sandbox_lifecycle import command

pytestmark = pytest.mark.any_storage

PROVIDER = "minio.default"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    require_minio()
    with run_sandbox(tmp_path_factory.mktemp("real"), ["--storage", "minio"]) as found:
        yield found


@pytest.fixture
def service(real: Sandbox, name: str) -> Iterator[str]:
    """A service that is triggered by <name>/in/ and shows the event it got."""
    real.deploy(definition(name))
    yield name
    real.remove(name)


def definition(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "image": "sandbox",
        "script": 'printf "<%s>" "$EVENT"',
        "input": [{"storage_provider": PROVIDER, "path": f"{name}/in"}],
    }


def put(sandbox: Sandbox, bucket: str, key: str, data: bytes = b"x") -> None:
    sandbox.minio.put_object(bucket, key, io.BytesIO(data), len(data))


def admin(sandbox: Sandbox) -> MinioAdmin:
    keys = StaticProvider(sandbox.access_key, sandbox.secret_key)
    return MinioAdmin(
        endpoint=sandbox.s3_url.removeprefix("http://"),
        credentials=keys,
        region="us-east-1",
        secure=False,
    )


def targets(sandbox: Sandbox) -> list[str]:
    return list(json.loads(admin(sandbox).info()).get("sqsARN") or [])


def event(sandbox: Sandbox, service: str) -> dict[str, Any]:
    ((job, state),) = sandbox.wait_until_ended(service).items()
    log = sandbox.read_log(service, job)
    assert state["status"] == "Succeeded", log
    return dict(json.loads(log.partition("<")[2].rpartition(">")[0]))


def test_a_service_is_a_webhook_and_a_notification_of_minios_own(
    real: Sandbox, service: str
) -> None:
    arn = f"arn:minio:sqs:us-east-1:{service}:webhook"
    assert arn in targets(real)
    configured = admin(real).config_get(f"notify_webhook:{service}")
    assert f"endpoint={real.url}/job/{service} " in configured
    (queue,) = real.minio.get_bucket_notification(service).queue_config_list
    assert queue.queue == arn
    assert queue.events == ["s3:ObjectCreated:*"]
    assert queue.prefix_filter_rule is not None
    assert queue.prefix_filter_rule.value == "in/"
    assert queue.suffix_filter_rule is None
    assert real.list_jobs(service) == {}, "its own folder marker triggered it"

    real.remove(service)
    assert arn not in targets(real)
    assert not real.minio.bucket_exists(service)


def test_an_event_comes_from_minio_itself(real: Sandbox, service: str) -> None:
    put(real, service, "in/my config+1.json", b"{}")
    put(real, service, "in2/other.json")
    found = event(real, service)
    assert found["Key"] == f"{service}/in/my config+1.json"
    (record,) = found["Records"]
    assert record["s3"]["object"]["key"] == "in%2Fmy+config%2B1.json"
    assert record["eventSource"] == "minio:s3"
    assert record["requestParameters"]["principalId"] == "minio"
    assert "minio-py" in record["source"]["userAgent"], "nothing of the sandbox could know"
    assert record["responseElements"]["x-minio-deployment-id"]


def test_copies_and_tags_trigger_too(real: Sandbox, service: str) -> None:
    put(real, service, "elsewhere")
    real.minio.copy_object(service, "in/copy", CopySource(service, "elsewhere"))
    tags = Tags.new_object_tags()
    tags["seen"] = "yes"
    real.minio.set_object_tags(service, "in/copy", tags)
    jobs = real.wait_until_ended(service, 2)
    names = [
        real.read_log(service, job).partition('"EventName": "')[2].split('"')[0] for job in jobs
    ]
    assert sorted(names) == ["s3:ObjectCreated:Copy", "s3:ObjectCreated:PutTagging"]


def test_another_service_interrupts_minio_and_triggers_survive_it(
    real: Sandbox, service: str
) -> None:
    put(real, service, "kept")
    other = f"{service}-2"
    assert failures_during(real, lambda: real.deploy(definition(other))) > 0
    assert failures_during(real, lambda: real.remove(other)) > 0
    put(real, service, "in/after")
    assert event(real, service)["Key"] == f"{service}/in/after"
    assert set(keys_of(real, service)) == {"in/after", "kept"}


def failures_during(sandbox: Sandbox, change: Callable[[], object]) -> int:
    """How many S3 calls fail while a change is made."""
    client = Minio(
        sandbox.s3_url.removeprefix("http://"),
        access_key=sandbox.access_key,
        secret_key=sandbox.secret_key,
        secure=False,
        region="us-east-1",
        http_client=PoolManager(retries=False, timeout=5),
    )
    done, failed = Event(), []

    def ask() -> None:
        while not done.wait(0.005):
            try:
                client.list_buckets()
            except (MinioException, HTTPError) as error:
                failed.append(error)

    asking = Thread(target=ask)
    asking.start()
    try:
        change()
    finally:
        done.set()
        asking.join()
    return len(failed)


def test_without_the_binary_up_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIO_BINARY", str(tmp_path / "no-such"))
    answer = command("up", "--state", str(tmp_path / "state"), "--storage", "minio")
    assert answer.returncode == 1
    assert "MINIO_BINARY" in answer.stderr
    assert "make minio" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_any_running_s3_endpoint_serves_but_triggers_nothing(
    sandbox: Sandbox, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", sandbox.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", sandbox.secret_key)
    with run_sandbox(tmp_path, ["--storage", f"s3={sandbox.s3_url}"]) as guest:
        assert guest.s3_url == sandbox.s3_url
        output = {"storage_provider": PROVIDER, "path": f"{name}/out"}
        guest.deploy(
            {**definition(name), "script": 'env > "$TMP_OUTPUT_DIR/e"', "output": [output]}
        )
        put(guest, name, "in/unseen")
        guest.invoke(name, "{}")
        guest.wait_until_ended(name)
        assert len(guest.list_jobs(name)) == 1
        assert b"TMP_OUTPUT_DIR" in content(sandbox, name, "out/e")
        guest.remove(name)
        assert not sandbox.minio.bucket_exists(name)
    assert sandbox.minio.list_buckets() is not None, "the guest's end is not its host's"
    assert "objects there trigger no service" in (tmp_path / "sandbox.log").read_text()


@pytest.mark.parametrize(
    ("storage", "secret", "said"),
    [
        ("s3=http://127.0.0.1:9", "x", "127.0.0.1"),
        ("s3=http://127.0.0.1:9", "", "AWS_SECRET_ACCESS_KEY"),
    ],
    ids=["nobody there", "no keys"],
)
def test_foreign_storage_that_cannot_be_used_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: str, secret: str, said: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    answer = command("up", "--state", str(tmp_path / "state"), "--storage", storage)
    assert answer.returncode == 1
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("word", ["floppy", "s3", "s3=", "s3=ftp://x", "minio=x"])
def test_an_unknown_storage_is_refused(tmp_path: Path, word: str) -> None:
    answer = command("up", "--state", str(tmp_path / "state"), "--storage", word)
    assert (answer.returncode, "--storage" in answer.stderr) == (2, True)
