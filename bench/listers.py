# SPDX-License-Identifier: Apache-2.0
"""Ours and its peers, each as a command that prints how many objects it found.

    python -m bench.listers ours|nowhere URL BUCKET

`ours` is the whole work of a run's index: listing, selection, upload, reading it back. `nowhere`
is the same with an upload that goes nowhere, for servers that only make up pages.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from coordinator.index.builder import IndexBuilder
from coordinator.index.selection import ItemFilter
from coordinator.model.access import StorageAccess
from coordinator.model.selection import Rules
from coordinator.storage.bucket import Bucket
from coordinator.storage.pages import ListQuery
from coordinator.storage.upload import upload

PREFIX = "input/"


def commands(url: str, bucket: str) -> dict[str, list[str]]:
    """The command of each lister that is installed; each prints one line an object, or a number."""
    found = {"ours": [sys.executable, "-m", "bench.listers", "ours", url, bucket]}
    for name in ("minio-py", "boto3"):
        found[name] = [sys.executable, "-m", "bench.peers", name, url, bucket]
    if path := _find_program("s5cmd"):
        found["s5cmd"] = [path, "--endpoint-url", url, "ls", f"s3://{bucket}/{PREFIX}*"]
    if path := _find_program("rclone"):
        options = f":s3,provider=Other,endpoint='{url}',env_auth=true:{bucket}/{PREFIX}"
        found["rclone"] = [path, "--config", os.devnull, "lsf", "-R", "--fast-list"]
        found["rclone"] += ["--files-only", options]
    if path := _find_program("aws"):
        found["aws cli"] = [path, "--endpoint-url", url, "s3", "ls", "--recursive"]
        found["aws cli"] += [f"s3://{bucket}/{PREFIX}"]
    if path := _find_program("mc"):
        found["mc"] = [path, "ls", "--recursive", f"bench/{bucket}/{PREFIX}"]
    return found


def main(lister: str, url: str, bucket: str) -> int:
    """Builds the index of the bucket; how many items it has."""
    access, secret = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    data = Bucket(StorageAccess(url, access, secret, "us-east-1"), bucket)
    builder, selection = IndexBuilder(), ItemFilter(Rules(PREFIX))
    lines = builder.build_lines(selection.select(data.list_objects(ListQuery(PREFIX))))
    if lister == "ours":
        data.write_lines(".oscar-batch/bench/index.txt", lines, "text/plain")
    else:
        upload(_swallow, lines, "text/plain", stored=tuple, sleep=time.sleep)
    return builder.index().items


def _swallow(
    method: str,
    *,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | memoryview | None = None,
) -> tuple[Mapping[str, str], bytes]:
    started = b"<InitiateMultipartUploadResult><UploadId>u</UploadId>"
    started += b"</InitiateMultipartUploadResult>"
    return {"ETag": "e"}, started if "uploads" in (query or {}) else _COMPLETED


_COMPLETED = b"<CompleteMultipartUploadResult/>"


def _find_program(name: str) -> str | None:
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


if __name__ == "__main__":
    print(main(*sys.argv[1:4]))
