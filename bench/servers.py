# SPDX-License-Identifier: Apache-2.0
"""The servers under test: SeaweedFS, MinIO where its binary is there, and a stub of pages.

Buckets are filled once and kept below build/bench; filling goes on where it was broken off.
"""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import urllib3
from minio import Minio
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from sandbox.handle import wait_until

USUAL = 200_000
ACCESS = "benchbench"
SECRET = "benchbenchbench"  # noqa: S105 (of a server that lives as long as the benchmark)
SHAPES = {
    "flat": lambda i: f"input/frame-{i:07d}.jpg",
    "nested": lambda i: (
        f"input/{2000 + i // 20000}/{i // 500 % 40:02d}/camera-{i // 100 % 5}/frame-{i:07d}.jpg"
    ),
}
_OFF = ("webdav=false", "admin.ui=false", "s3.port.iceberg=0", "s3.port.lance=0", "s3.iam=false")


@contextmanager
def seaweedfs(directory: Path) -> Iterator[str]:
    """The URL of a SeaweedFS that keeps its data."""
    ports = dict(zip(("s3", "master", "filer", "volume", "admin"), _ports(5), strict=True))
    command = [str(Path(sys.executable).with_name("weed")), f"-config_dir={directory / 'config'}"]
    command += ["mini", f"-dir={directory / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    command += [f"-{each}" for each in (*_OFF, "master.telemetry=false")]
    command += [f"-{name}.port={port}" for name, port in ports.items()]
    keys = {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET}
    with _running(command, directory, ports["s3"], keys) as url:
        yield url


@contextmanager
def minio(binary: str, directory: Path) -> Iterator[str]:
    """The URL of a MinIO that keeps its data."""
    port, console = _ports(2)
    command = [binary, "server", "--address", f"127.0.0.1:{port}"]
    command += ["--console-address", f"127.0.0.1:{console}", str(directory / "data")]
    keys = {"MINIO_ROOT_USER": ACCESS, "MINIO_ROOT_PASSWORD": SECRET}
    with _running(command, directory, port, keys) as url:
        yield url


def made_up(shape: str, objects: int, query: Mapping[str, str]) -> bytes:
    """A page of a bucket that has this many objects, nested ones in folders of 20,000."""
    name = {"flat": "input/frame-{:08d}.jpg", "nested": "input/{:04d}/frame-{:08d}.jpg"}[shape]
    below, every = query["prefix"].split("/")[1], 20_000
    first, last = 0, objects
    if shape == "nested" and below:
        first, last = int(below) * every, min((int(below) + 1) * every, objects)
    elif shape == "nested" and query.get("delimiter"):
        last = -(-objects // every)
    start = int(query.get("continuation-token", first))
    stop = min(start + min(int(query["max-keys"]), 1000), last)
    truncated = "true" if stop < last else "false"
    more = f"<NextContinuationToken>{stop}</NextContinuationToken>" * (stop < last)
    if shape == "nested" and query.get("delimiter") and not below:
        folder = "<CommonPrefixes><Prefix>input/{:04d}/</Prefix></CommonPrefixes>"
        entries = "".join(map(folder.format, range(start, stop)))
    else:
        entry = f"<Contents><Key>{name}</Key><Size>{{}}</Size></Contents>"
        folders = ((i // every,) if shape == "nested" else () for i in range(start, stop))
        numbers = zip(folders, range(start, stop), strict=True)
        entries = "".join(entry.format(*folder, i, i % 977) for folder, i in numbers)
    head = f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{more}"
    return f"{head}{entries}</ListBucketResult>".encode()


@contextmanager
def pages(shape: str, objects: int) -> Iterator[str]:
    """The URL of a server whose bucket has this many objects, made up page by page."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(made_up(shape, objects, dict(parse_qsl(urlsplit(self.path).query))))

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._send(b"")

        def _send(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("ETag", '"0"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()


def fill(url: str, shape: str, count: int) -> str:
    """The bucket of this shape and size, filled as far as it is not yet."""
    client = Minio(
        urlsplit(url).netloc,
        ACCESS,
        SECRET,
        secure=False,
        region="us-east-1",
        http_client=urllib3.PoolManager(maxsize=32),
    )
    bucket = f"bench-{shape}" if count == USUAL else f"bench-{shape}-{count}"
    if not client.bucket_exists(bucket):
        client.make_bucket(bucket)
    name = SHAPES[shape]
    have = {found.object_name for found in client.list_objects(bucket, "input/", recursive=True)}
    missing = [key for key in map(name, range(count)) if key not in have]
    if missing:
        print(f"filling {bucket}: {len(missing)} objects", file=sys.stderr)

    def put(key: str) -> None:
        size = len(key) + sum(key.encode()) % 7
        client.put_object(bucket, key, io.BytesIO(b"x" * size), size)

    with ThreadPoolExecutor(16) as workers:
        for _ in workers.map(put, missing):
            continue
    return bucket


@contextmanager
def _running(
    command: list[str], directory: Path, port: int, environment: dict[str, str]
) -> Iterator[str]:
    for each in ("config", "data"):
        (directory / each).mkdir(parents=True, exist_ok=True)
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=log, stderr=subprocess.STDOUT
        )
    client = Minio(f"127.0.0.1:{port}", ACCESS, SECRET, secure=False, region="us-east-1")

    def up() -> bool | None:
        try:
            client.list_buckets()
        except (MinioException, HTTPError, OSError):
            return None
        return True

    try:
        wait_until(up, 60, (directory / "log").read_text)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _ports(count: int) -> list[int]:
    """Free ports below 20,000; weed takes for each also the one 10,000 above."""
    found: list[int] = []
    for port in range(14_000, 19_000):
        with socket.socket() as probe, socket.socket() as twin:
            here, there = ("127.0.0.1", port), ("127.0.0.1", port + 10_000)
            if probe.connect_ex(here) and twin.connect_ex(there):
                found.append(port)
        if len(found) == count:
            break
    return found
