# SPDX-License-Identifier: Apache-2.0
"""One sandbox per test session (per worker with -n), and services that go when their test does.

OSCAR_SANDBOX_STORAGE=minio aims the tests at a real MinIO; without its binary they are skipped, in
CI they fail. Tests that it would only repeat are left out then: those that use both kinds of server
in any case, and those that are marked `any_storage`.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from coordinator.storage.bucket import Bucket
from sandbox.handle import Sandbox, run_sandbox
from sandbox.storage.backends import VARIABLE, find_minio_binary
from sandbox.storage.servers import StorageError
from tests.functional.servers import Server

Deploy = Callable[..., dict[str, Any]]
Release = Callable[[str], Sandbox]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out on MinIO what a run on the default storage has shown already."""
    if os.environ.get(VARIABLE) != "minio":
        return
    repeated = [
        item
        for item in items
        if "server" in getattr(item, "fixturenames", ()) or item.get_closest_marker("any_storage")
    ]
    config.hook.pytest_deselected(items=repeated)
    items[:] = [item for item in items if item not in repeated]


def require_minio() -> None:
    """Where there is no MinIO the test is skipped; in CI that is an error."""
    try:
        find_minio_binary()
    except StorageError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session", autouse=True)
def _storage() -> None:
    if os.environ.get(VARIABLE) == "minio":
        require_minio()


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox of two nodes of 4 CPU and 8 GiB, shared by all tests of the worker."""
    with run_sandbox(tmp_path_factory.mktemp("sandbox")) as found:
        yield found


@pytest.fixture
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    """A name for a service or a bucket that no other test uses; its buckets go with the test.

    SeaweedFS gives volumes to every bucket and has no more of them for some hundred.
    """
    box = request.getfixturevalue("sandbox") if "sandbox" in request.fixturenames else None
    found = f"t-{uuid.uuid4().hex[:12]}"
    yield found
    if box is not None:
        remove_buckets(Server("", box), found)


def remove_buckets(server: Server, prefix: str) -> None:
    """Removes the buckets whose names start so; what cannot be removed stays."""
    with suppress(MinioException, HTTPError):
        for bucket in [each.name for each in server.client.list_buckets()]:
            if bucket.startswith(prefix):
                for each in server.client.list_objects(bucket, recursive=True):
                    server.client.remove_object(bucket, str(each.object_name))
                server.client.remove_bucket(bucket)


@pytest.fixture
def deploy(sandbox: Sandbox, name: str) -> Iterator[Deploy]:
    """Create a service from its script and other keys; it is removed after the test."""
    made: list[str] = []

    def create(script: str, **keys: Any) -> dict[str, Any]:
        definition = {"name": name, "image": "sandbox", "script": script, **keys}
        made.append(str(definition["name"]))
        return sandbox.deploy(definition)

    yield create
    for each in made:
        sandbox.remove(each)


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """A sandbox of two nodes that is a given release and listens to chaos, one for all tests."""
    with ExitStack() as stack:
        up: dict[str, Sandbox] = {}

        def of(profile: str) -> Sandbox:
            if profile not in up:
                directory = tmp_path_factory.mktemp(profile)
                arguments = ["--profile", profile, "--chaos"]
                up[profile] = stack.enter_context(run_sandbox(directory, arguments))
            return up[profile]

        yield of


@pytest.fixture
def chaotic(release: Release) -> Sandbox:
    """The newest release, listening to chaos."""
    return release("v4.1")


@pytest.fixture
def deploy_on(name: str) -> Iterator[Deploy]:
    """As ``deploy``, on a sandbox that is given first."""
    made: list[tuple[Sandbox, str]] = []

    def create(box: Sandbox, script: str, **keys: Any) -> dict[str, Any]:
        definition = {"name": name, "image": "sandbox", "script": script, **keys}
        made.append((box, str(definition["name"])))
        return box.deploy(definition)

    yield create
    for box, each in made:
        box.remove(each)


@pytest.fixture(scope="module", params=["seaweedfs", "minio"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A real S3 server of each kind, for the tests of one module."""
    kind = str(request.param)
    if kind == "minio":
        require_minio()
    with run_sandbox(
        tmp_path_factory.mktemp(kind), ["--storage", kind, "--storage-restarts"]
    ) as found:
        yield Server(kind, found)


@pytest.fixture
def bucket(server: Server, name: str) -> Bucket:
    """A new bucket on that server, as the coordinator has it."""
    server.client.make_bucket(name)
    return Bucket(server.access, name)
