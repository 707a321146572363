"""The index of a real bucket: with what is skipped, it is the bucket, in its order."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from minio import Minio
from minio.error import S3Error

from coordinator.credentials import StorageAccess
from coordinator.index import IndexBuilder
from coordinator.model import Index
from coordinator.selection import MARKERS, Rules, Selection
from coordinator.storage import Bucket
from coordinator.upload import PART_BYTES
from coordinator.walk import Folder
from sandbox.backend import minio_binary
from sandbox.handle import running
from sandbox.storage import StorageError


@dataclass(frozen=True, slots=True)
class Server:
    kind: str
    access: StorageAccess

    @property
    def client(self) -> Minio:
        return Minio(
            urlsplit(self.access.url).netloc,
            self.access.access_key,
            self.access.secret_key,
            secure=False,
            region="us-east-1",
        )


@pytest.fixture(scope="module", params=["seaweedfs", "minio"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    kind = str(request.param)
    if kind == "minio":
        try:
            minio_binary()
        except StorageError as error:
            pytest.skip(str(error))
    with running(tmp_path_factory.mktemp(kind), ["--storage", kind]) as found:
        access = StorageAccess(found.s3_url, found.access_key, found.secret_key, "us-east-1")
        yield Server(kind, access)


def build(bucket: Bucket, rules: Rules, key: str) -> tuple[list[bytes], Index]:
    """The lines of the index object that was written, and what is known of it."""
    builder, selection = IndexBuilder(), Selection(rules, ("state/",))
    pages = bucket.objects(Folder(rules.prefix, times=rules.times))
    written = bucket.put_lines(key, builder.lines(selection.items(pages)), "text/plain")
    index = builder.index(selection.left_out)
    content = b"".join(bucket.read(key))
    assert (written.lines, written.size_bytes) == (index.items, len(content))
    assert written.sha256 == hashlib.sha256(content).hexdigest()
    return content.split(b"\n")[:-1], index


PARTS = st.one_of(
    st.sampled_from(
        ["a", "A", "a-", "a.", "%41", "+", " ", "'\"<&>", "b\nc", "\r", "é", "e\u0301"]
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0\\"), min_size=1),
    st.sampled_from(["k" * 200, "日" * 60]),
)
KEYS = st.lists(PARTS, min_size=1, max_size=5).map("/".join)
# 1,024 bytes is what S3 allows; a name between two slashes is a file's name, 255 bytes, here.
FIT = KEYS.filter(
    lambda key: (
        len(key.encode()) <= 1000
        and all(part not in {".", ".."} and len(part.encode()) <= 240 for part in key.split("/"))
    )
)


@settings(
    max_examples=int(os.environ.get("OSCAR_BATCH_EXAMPLES", "25")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(keys=st.lists(FIT, unique=True, max_size=12), markers=st.booleans())
def test_index_and_skipped_are_the_bucket_in_its_order(
    server: Server, keys: list[str], markers: bool
) -> None:
    client, name = server.client, f"h-{uuid4().hex[:12]}"
    client.make_bucket(name)
    for key in [*keys, *(["a/", "marker/"] if markers else [])]:
        size = 0 if key.endswith("/") else len(key)
        try:
            client.put_object(name, key, io.BytesIO(b"x" * size), size)
        except (S3Error, ValueError):  # names that this server refuses are not in the bucket
            continue
    bucket = [found.object_name or "" for found in client.list_objects(name, recursive=True)]
    lines, index = build(Bucket(server.access, name), Rules(), "state/index.txt")
    skipped = {each.key for each in index.skipped}
    assert [line.decode() for line in lines] == [
        key for key in bucket if key not in skipped and not key.endswith("/")
    ]
    assert skipped == {key for key in bucket if {"\n", "\r"} & set(key)}
    assert index.left_out.get(MARKERS, 0) == sum(key.endswith("/") for key in bucket)
    assert index.items + index.skipped_count + index.left_out.get(MARKERS, 0) == len(bucket)


@pytest.fixture
def bucket(server: Server, name: str) -> Bucket:
    server.client.make_bucket(name)
    return Bucket(server.access, name)


def test_many_pages_come_whole_and_in_order(server: Server, bucket: Bucket) -> None:
    names = [f"in/{i % 7}/file-{i:05d}" for i in range(2_345)]
    for each in names:
        server.client.put_object(bucket.name, each, io.BytesIO(b"12"), 2)
    lines, index = build(bucket, Rules("in/"), "state/index.txt")
    assert [line.decode() for line in lines] == sorted(names)
    assert (index.size_bytes, len(index.largest)) == (2 * len(names), 1000)


def test_the_index_object_tells_its_lines_and_digest(server: Server, bucket: Bucket) -> None:
    """Also where it is a multipart upload, whose metadata comes by a copy onto itself."""
    line = b"k" * 99 + b"\n"
    for key, count in (("state/small", 3), ("state/large", PART_BYTES // 50)):
        written = bucket.put_lines(key, (line * 100 for _ in range(count)), "text/plain")
        found = server.client.stat_object(bucket.name, key)
        assert found.size == written.size_bytes == 10_000 * count
        assert found.metadata is not None
        assert found.metadata["x-amz-meta-lines"] == str(100 * count)
        assert found.metadata["x-amz-meta-sha256"] == written.sha256
        assert found.content_type == "text/plain"


def test_times_are_read_where_a_rule_asks_for_them(server: Server, bucket: Bucket) -> None:
    server.client.put_object(bucket.name, "in/a", io.BytesIO(b"1"), 1)
    moment = server.client.stat_object(bucket.name, "in/a").last_modified
    assert moment is not None
    for rules, expected in (
        (Rules("in/", modified_after=moment), [b"in/a"]),
        (Rules("in/", modified_before=moment), []),
    ):
        assert build(bucket, rules, "state/index.txt")[0] == expected


def test_folders_below_are_left_where_the_listing_is_flat(server: Server, bucket: Bucket) -> None:
    for key in ("in/a", "in/sub/b", "in/z"):
        server.client.put_object(bucket.name, key, io.BytesIO(b"1"), 1)
    pages = bucket.objects(Folder("in/", recursive=False))
    assert [key for objects in pages for key in objects.keys] == [b"in/a", b"in/z"]
