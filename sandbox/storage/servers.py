# SPDX-License-Identifier: Apache-2.0
"""The S3 servers: `Storage` is one that somebody else runs, `Server` one that the sandbox runs.

`--storage s3=URL` uses `Storage` as it is: nothing is started or stopped, and the sandbox is not
notified of writes.
"""

import asyncio
import io
import logging
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from ..process import containers, reaper

log = logging.getLogger(__name__)
T = TypeVar("T")

REGION = "us-east-1"
HOOK_PATH = "/filer"
START_TIMEOUT_S = 20.0
ANSWER_TIMEOUT_S = 10.0
# Linux takes the ports of connections from here on (net.ipv4.ip_local_port_range).
_LOWEST_PORT, _LOWEST_EPHEMERAL = 10_000, 32_768


class StorageError(Exception):
    """The S3 server did not come up, or refused something."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of the storage."""

    access: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Manager:
    """Where the storage sends events and reports."""

    url: str
    hook_url: str
    """The address for reports of the filer."""
    webhook_token: str = field(repr=False)

    def make_job_url(self, service: str) -> str:
        return f"{self.url}/job/{service}"

    @property
    def webhook(self) -> str:
        return f"{self.hook_url}{HOOK_PATH}"


class Storage:
    """A running S3 endpoint."""

    def __init__(self, url: str, keys: Keys) -> None:
        self.url = url.rstrip("/")
        self.keys = keys
        parts = urlsplit(self.url)
        # While MinIO restarts, it answers 503 with Retry-After: 60, but it is back in one second.
        retries = urllib3.Retry(
            total=5, backoff_factor=0.1, status_forcelist=[503], respect_retry_after_header=False
        )
        self.client = Minio(
            parts.netloc,
            access_key=keys.access,
            secret_key=keys.secret,
            secure=parts.scheme == "https",
            region=REGION,
            http_client=urllib3.PoolManager(timeout=ANSWER_TIMEOUT_S, retries=retries),
        )

    async def start(self) -> None:
        await self.do(self.client.list_buckets)
        log.warning(
            "the sandbox is not notified of writes to %s: objects there trigger no service; "
            "only POST /job starts jobs",
            self.url,
        )

    async def restart(self, gap_s: float = 0.0) -> None:
        """Stop the server and start it again after the gap. One of somebody else is left alone."""

    def stop(self) -> None:
        """Do nothing: the sandbox has started nothing."""

    async def make_bucket(self, bucket: str) -> bool:
        """Make the bucket; False if it exists already."""

        def make() -> bool:
            if self.client.bucket_exists(bucket):
                return False
            self.client.make_bucket(bucket)
            return True

        return await self.do(make)

    async def remove_bucket(self, bucket: str) -> None:
        """Remove the bucket with all its objects."""

        def remove() -> None:
            found = self.client.list_objects(bucket, recursive=True)
            deletions = (DeleteObject(str(item.object_name)) for item in found)
            for failure in self.client.remove_objects(bucket, deletions):
                raise StorageError(f"cannot delete {bucket}/{failure.name}: {failure.message}")
            self.client.remove_bucket(bucket)

        await self.do(lambda: ignore_missing(remove))

    async def put_marker(self, bucket: str, key: str) -> None:
        await self.do(lambda: self.client.put_object(bucket, key, io.BytesIO(), 0))

    async def count(self) -> dict[str, int]:
        """Objects with content per bucket, at most the first page of each, as OSCAR counts."""

        def one(bucket: str) -> int:
            page = self.client.list_objects(bucket, recursive=True)
            return sum(1 for _, item in zip(range(1000), page, strict=False) if item.size)

        def count() -> dict[str, int]:
            return {bucket.name: one(bucket.name) for bucket in self.client.list_buckets()}

        return await self.do(count)

    async def do(self, call: Callable[[], T]) -> T:
        """Call a client library in a thread, and translate its errors."""
        try:
            return await asyncio.to_thread(call)
        except (MinioException, HTTPError, ValueError) as error:
            raise StorageError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Program:
    """A server's command line, environment and directory."""

    argv: Sequence[str]
    environment: dict[str, str] = field(repr=False)
    directory: Path
    port: int


class Server(Storage):
    """An S3 server that the sandbox runs, on loopback.

    It has a namespace of its own: it ends with the sandbox, even if that is killed, and its sockets
    in /tmp cannot clash with others.
    """

    _process: subprocess.Popen[bytes] | None = None
    _program: Program | None = None

    async def restart(self, gap_s: float = 0.0) -> None:
        self.stop()
        await asyncio.sleep(gap_s)
        if self._program is not None:
            await self.run(self._program)

    async def run(self, program: Program) -> None:
        """Start the program and wait until S3 answers."""
        self._program = program
        visible = (program.directory, Path(program.argv[0]))
        log_path = program.directory / "server.log"
        with log_path.open("ab") as output:
            self._process = subprocess.Popen(
                containers.make_tmp_command(program.argv, visible=visible),
                env={"PATH": os.environ.get("PATH", os.defpath), **program.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if _is_listening(program.port) and await self._does_answer():
                return
            await asyncio.sleep(0.02)
        ended = self._process.poll()
        what = f"did not answer in {START_TIMEOUT_S:.0f} s" if ended is None else "ended at once"
        # A server in Go lists its goroutines after the error.
        text = log_path.read_text("utf-8", "replace").partition("\ngoroutine ")[0]
        raise StorageError(f"the S3 server {what}: {text[-500:]}")

    def stop(self) -> None:
        if self._process is not None:
            reaper.end_job(self._process)

    async def _does_answer(self) -> bool:
        try:
            await self.do(self.client.list_buckets)
        except StorageError:
            return False
        return True


def find_free_ports(count: int, twin: int = 0) -> list[int]:
    """Find free ports; with ``twin``, the ports that far above them are free too.

    All are kept open until the last is found, so that none is found twice. None is one that Linux
    gives to a connection: that could take it before the server does, or while it restarts.
    """
    held: list[socket.socket] = []
    ports: list[int] = []
    try:
        while len(ports) < count:
            port = _LOWEST_PORT + secrets.randbelow(_LOWEST_EPHEMERAL - twin - _LOWEST_PORT)
            pair = [_try_bind(each) for each in {port, port + twin}]
            held += [sock for sock in pair if sock]
            if all(pair):
                ports.append(port)
    finally:
        for sock in held:
            sock.close()
    return ports


def ignore_missing(change: Callable[[], None]) -> None:
    """Do the change, unless the bucket is gone."""
    try:
        change()
    except S3Error as error:
        if error.code != "NoSuchBucket":
            raise


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _try_bind(port: int) -> socket.socket | None:
    sock = socket.socket()
    try:
        sock.bind(("127.0.0.1", port))
    except OSError:
        sock.close()
        return None
    return sock
