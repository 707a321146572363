# SPDX-License-Identifier: Apache-2.0
"""A real S3 server of one kind, and what tests do to it besides what the coordinator does."""

from __future__ import annotations

import io
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from minio import Minio

from coordinator.model.access import StorageAccess
from sandbox.handle import Sandbox


@dataclass(frozen=True, slots=True)
class Server:
    kind: str
    sandbox: Sandbox

    @property
    def access(self) -> StorageAccess:
        found = self.sandbox
        return StorageAccess(found.s3_url, found.access_key, found.secret_key, "us-east-1")

    @property
    def client(self) -> Minio:
        return Minio(
            urlsplit(self.access.url).netloc,
            self.access.access_key,
            self.access.secret_key,
            secure=False,
            region="us-east-1",
        )

    def fill(self, bucket: str, keys: Iterable[str]) -> None:
        """Objects of two bytes under these keys."""
        client = self.client
        with ThreadPoolExecutor(8) as workers:
            for _ in workers.map(lambda key: client.put_object(bucket, key, _two(), 2), keys):
                continue

    def delete(self, bucket: str, keys: Iterable[str]) -> None:
        client = self.client
        with ThreadPoolExecutor(8) as workers:
            for _ in workers.map(lambda key: client.remove_object(bucket, key), keys):
                continue


def _two() -> io.BytesIO:
    return io.BytesIO(b"12")
