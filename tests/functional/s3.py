"""A real MinIO for tests: the binary of $MINIO_BINARY or of the PATH, on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minio import Minio
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from sandbox.handle import until

KEYS = ("MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD")


def minio_binary() -> str | None:
    return os.environ.get("MINIO_BINARY") or shutil.which("minio")


@contextmanager
def minio_server(binary: str, directory: Path) -> Iterator[str]:
    """The URL of a MinIO whose keys are both `minioadmin`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [binary, "server", "--address", address, "--console-address", "127.0.0.1:0"]
    with (directory / "minio.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, str(directory / "data")],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "MINIO_ROOT_USER": "minioadmin",
                "MINIO_ROOT_PASSWORD": "minioadmin",
            },
        )
    client = Minio(address, "minioadmin", "minioadmin", secure=False, region="us-east-1")

    def up() -> bool | None:
        try:
            client.list_buckets()
        except (MinioException, HTTPError, OSError):
            return None
        return True

    try:
        until(up, 30, (directory / "minio.log").read_text)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(20)
