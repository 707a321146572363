# SPDX-License-Identifier: Apache-2.0
"""Turns the value of `--storage` into a storage and its notifier.

`seaweedfs`, `minio`, or `s3=URL` with credentials from the environment.
"""

import os
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .events import FilerNotifier, Notifier
from .minio_server import MinioNotifier, MinioServer
from .seaweedfs import SeaweedFS
from .servers import Keys, Manager, Storage, StorageError

BUILT = Path(__file__).resolve().parents[2] / "build/bin/minio"
VARIABLE = "OSCAR_SANDBOX_STORAGE"
KEY_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
NO_MINIO = (
    "there is no MinIO here: name its binary in MINIO_BINARY or put it on PATH; with Go installed, "
    "`make minio` builds it"
)


@dataclass(frozen=True, slots=True)
class Backend:
    """The kind of storage; ``url`` only if it runs already."""

    kind: str
    url: str = ""


def parse_backend(text: str) -> Backend:
    kind, _, url = text.partition("=")
    if text in ("seaweedfs", "minio"):
        return Backend(text)
    if kind == "s3" and urlsplit(url).scheme in ("http", "https") and urlsplit(url).netloc:
        return Backend("s3", url)
    raise ValueError(f"storage is seaweedfs, minio or s3=http://HOST:PORT, got {text!r}")


def build_storage(
    backend: Backend,
    directory: Path,
    manager: Manager,
    post: Callable[[str, str, str], Awaitable[int]],
) -> tuple[Storage, Notifier]:
    if backend.kind == "s3":
        return Storage(backend.url, _read_keys(os.environ)), Notifier()
    if backend.kind == "minio":
        server = MinioServer(directory, find_minio_binary())
        return server, MinioNotifier(server, manager)
    return SeaweedFS(directory, manager), FilerNotifier(post)


def find_minio_binary() -> Path:
    """From MINIO_BINARY, from PATH, or from `make minio`. Raises StorageError if there is none."""
    named = os.environ.get("MINIO_BINARY")
    candidates = [named] if named else ["minio", str(BUILT)]
    for candidate in candidates:
        if found := shutil.which(candidate):
            return Path(found).resolve()
    raise StorageError(NO_MINIO)


def _read_keys(environment: Mapping[str, str]) -> Keys:
    missing = [name for name in KEY_VARIABLES if not environment.get(name)]
    if missing:
        raise StorageError(f"set {' and '.join(missing)} for the storage that runs already")
    return Keys(*(environment[name] for name in KEY_VARIABLES))
