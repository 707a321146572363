# SPDX-License-Identifier: Apache-2.0
"""A storage that ignores `If-None-Match`, as jobs and other clients see it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

import pytest

from coordinator.model.access import StorageAccess
from coordinator.model.errors import Conflict
from coordinator.storage.bucket import Bucket
from sandbox.handle import Sandbox
from tests.functional.conftest import Deploy


@pytest.fixture
def box(chaotic: Sandbox) -> Iterator[Sandbox]:
    yield chaotic
    chaotic.ignore_conditions(ignored=False)


@pytest.fixture
def made(box: Sandbox, name: str) -> Iterator[str]:
    """A bucket that the true storage has."""
    box.minio.make_bucket(name)
    yield name
    for item in box.minio.list_objects(name, recursive=True):
        box.minio.remove_object(name, str(item.object_name))
    box.minio.remove_bucket(name)


def open_bucket(box: Sandbox, url: str, name: str) -> Bucket:
    return Bucket(StorageAccess(url, box.access_key, box.secret_key, "us-east-1"), name)


def test_a_conditional_write_overwrites_where_conditions_are_ignored(
    box: Sandbox, made: str
) -> None:
    true, careless = (open_bucket(box, url, made) for url in (box.s3_url, box.ignore_conditions()))
    careless.put_new("some/key with é+", b"first", "text/plain")
    with pytest.raises(Conflict):
        true.put_new("some/key with é+", b"second", "text/plain")
    assert (true.honours_condition("probe"), careless.honours_condition("probe")) == (True, False)


def test_all_else_passes_the_relay_unchanged(box: Sandbox, made: str) -> None:
    content = os.urandom(12 << 20)
    careless = open_bucket(box, box.ignore_conditions(), made)
    careless.write("large", content, "application/octet-stream")
    assert box.minio.get_object(made, "large").read() == content
    assert careless.read_small("large", len(content)) == content
    assert careless.read_small("missing", 10) is None
    wrong = StorageAccess(box.ignore_conditions(), box.access_key, "wrong", "us-east-1")
    with pytest.raises(Exception, match=r"[Ss]ignature|denied|refused"):
        Bucket(wrong, made).read_small("large", 10)


def test_jobs_see_the_storage_that_ignores_conditions(
    box: Sandbox, deploy_on: Deploy, name: str, made: str
) -> None:
    """From their next start, until conditions are honoured again."""
    deploy_on(box, "grep endpoint: /oscar/config/function_config.yaml")
    urls = [box.ignore_conditions(), box.ignore_conditions(ignored=False)]
    assert urls[1] == box.s3_url
    for url in urls:
        box.ignore_conditions(ignored=url != box.s3_url)
        box.invoke(name, "{}")
        jobs = box.wait_until_ended(name)
        assert url in "".join(box.read_log(name, job) for job in jobs)
        box.vanish(name)


def test_an_upload_of_a_job_passes_the_relay(
    box: Sandbox, deploy_on: Deploy, name: str, made: str
) -> None:
    box.minio.put_object(made, "in", io.BytesIO(b"photo"), 5)
    box.ignore_conditions()
    mount = {"storage_provider": "minio.default", "path": f"/{made}"}
    deploy_on(
        box,
        f'cat /mnt/{made}/in > "$TMP_OUTPUT_DIR/out"',
        mount=mount,
        output=[{"storage_provider": "minio.default", "path": f"{name}-out/done"}],
    )
    box.invoke(name, "{}")
    box.wait_until_ended(name)
    assert box.minio.get_object(f"{name}-out", "done/out").read() == b"photo"
