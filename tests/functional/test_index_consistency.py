# SPDX-License-Identifier: Apache-2.0
"""Real servers that change, restart or lose an answer while an index is made of their objects."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from coordinator.model.errors import StorageError
from coordinator.storage.bucket import Bucket
from coordinator.storage.page import parse_page
from coordinator.storage.pages import ListQuery, Tuning
from coordinator.storage.upload import PART_BYTES
from tests.functional.relay import relay
from tests.functional.servers import Server

FLAT = [f"in/{i:05d}" for i in range(3_000)]
NESTED = [f"in/{i // 300:02d}/{i // 10 % 30:02d}/{i % 10}" for i in range(3_000)]


SMALL = Tuning(least_keys=130, most_keys=130)


@pytest.fixture
def bucket(server: Server, name: str) -> Bucket:
    """A new bucket that is listed in small pages."""
    server.client.make_bucket(name)
    return Bucket(server.access, name, tuning=SMALL)


@contextmanager
def between_pages(bucket: Bucket, happens: Callable[[str], None]) -> Iterator[None]:
    """Calls `happens` with the last key of every page before the next one is asked for."""
    request, last = bucket._client.request, ""

    def asked(method: str, key: str | None = None, **options: Any) -> Any:
        nonlocal last
        listing = "list-type" in (options.get("query") or {})
        if listing and last:
            happens(last)
        headers, body = request(method, key, **options)
        if listing and (keys := parse_page(body).objects().keys):
            last = keys[-1].decode()
        return headers, body

    bucket._client.request = asked  # type: ignore[method-assign]
    yield
    bucket._client.request = request  # type: ignore[method-assign]


def listing(bucket: Bucket) -> list[str]:
    return [
        key.decode() for objects in bucket.list_objects(ListQuery("in/")) for key in objects.keys
    ]


@pytest.mark.parametrize("keys", [FLAT, NESTED], ids=["flat", "nested"])
def test_what_comes_and_goes_neither_hides_nor_doubles_what_stays(
    server: Server, bucket: Bucket, keys: list[str]
) -> None:
    """Around the place of the listing: also the object, and the folder, where a page ended."""
    server.fill(bucket.name, keys)
    gone: set[str] = set()
    came: set[str] = set()
    pages = 0

    def change(last: str) -> None:
        nonlocal pages
        pages += 1
        folder, _, _ = last.rpartition("/")
        at = keys.index(last) if last in keys else 0
        leave = {last, *keys[at - 2 : at + 3], *keys[at - 100 : at + 400 : 50], keys[pages]}
        if keys is NESTED:
            leave |= {key for key in keys if key.startswith(folder + "/")}
        server.delete(bucket.name, leave - gone)
        gone.update(leave)
        come = {f"{last}-new", f"{last}-new/below", f"{folder}/!", f"{folder}-new/x", f"{keys[0]}!"}
        come |= {f"in/zz-{pages}", f"in/!{pages}"}
        server.fill(bucket.name, come - came)
        came.update(come)

    with between_pages(bucket, change):
        found = listing(bucket)
    assert pages > 3
    assert len(found) == len(set(found))
    assert set(keys) - gone <= set(found) <= {*keys, *came}
    assert gone - set(found), "something went before it was listed"
    assert came & set(found), "something that came was listed"


def test_a_server_that_restarts_while_it_lists_leaves_nothing_out(
    server: Server, bucket: Bucket, name: str
) -> None:
    """It goes for real: a new service makes MinIO restart, and the sandbox restart SeaweedFS."""
    server.fill(bucket.name, FLAT)
    address = urlsplit(server.access.url)
    definition = {"name": f"{name}-s", "image": "sandbox", "script": "true"}
    definition |= {"cpu": "0.1", "memory": "64Mi"}
    restart = threading.Thread(target=server.sandbox.deploy, args=[definition])
    away: list[bool] = []

    def gone() -> bool:
        with socket.socket() as probe:
            return bool(probe.connect_ex((address.hostname or "", address.port or 0)))

    def happens(last: str) -> None:
        if last >= FLAT[1_500] and not away:
            restart.start()
            while not (seen := gone()) and restart.is_alive():
                time.sleep(0.001)
            away.append(seen)

    with between_pages(bucket, happens):
        found = listing(bucket)
    restart.join()
    server.sandbox.remove(f"{name}-s")
    assert away == [True]
    assert found == FLAT


def test_an_upload_is_done_although_its_last_answer_is_lost(server: Server, bucket: Bucket) -> None:
    """Sent again, the end of an upload is refused: there is no such upload any more."""
    line = b"k" * 99 + b"\n"
    with relay(server.access.url) as s3:
        s3.lose = lambda request: (
            not s3.lost and request.startswith("POST") and "uploadId" in request
        )
        through = Bucket(replace(server.access, url=s3.url), bucket.name)
        written = through.write_lines(
            "state/index", (line * 1_000 for _ in range(PART_BYTES // 50_000)), "text/plain"
        )
        ends = [each for each in s3.requests if each.startswith("POST") and "uploadId" in each]
    assert (len(s3.lost), len(ends)) == (1, 2)
    found = server.client.stat_object(bucket.name, "state/index")
    assert found.metadata is not None
    assert (found.size, found.metadata["x-amz-meta-sha256"]) == (written.size_bytes, written.sha256)


def test_an_upload_whose_end_never_arrives_fails_and_keeps_what_was_there(
    server: Server, bucket: Bucket
) -> None:
    bucket.write("state/index", b"of another run\n", "text/plain")
    request = bucket._client.request

    def asked(method: str, key: str | None = None, **options: Any) -> Any:
        query = options.get("query") or {}
        if method == "POST" and "uploadId" in query:
            with suppress(Exception):
                request("DELETE", key, query=query)
        return request(method, key, **options)

    bucket._client.request = asked  # type: ignore[method-assign]
    with pytest.raises(StorageError, match=r"could not write .*state/index"):
        bucket.write_lines("state/index", [b"k\n" * PART_BYTES], "text/plain")
    assert bucket.read_small("state/index", 100) == b"of another run\n"
