"""The index of a real bucket: with what is skipped, it is the bucket, in its order."""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import suppress
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from minio.error import S3Error

from coordinator.index.builder import IndexBuilder
from coordinator.index.selection import MARKERS, ItemFilter
from coordinator.model.items import Index
from coordinator.model.selection import Rules
from coordinator.storage.bucket import Bucket
from coordinator.storage.pages import ListQuery, Tuning
from coordinator.storage.upload import PART_BYTES
from tests.functional.servers import Server


def build(bucket: Bucket, rules: Rules, key: str) -> tuple[list[bytes], Index]:
    """The lines of the index object that was written, and what is known of it."""
    builder, selection = IndexBuilder(), ItemFilter(rules, ("state/",))
    pages = bucket.list_objects(ListQuery(rules.prefix, times=rules.times))
    written = bucket.write_lines(key, builder.build_lines(selection.select(pages)), "text/plain")
    index = builder.index(selection.left_out)
    content = b"".join(bucket.read_pieces(key))
    assert (written.lines, written.size_bytes) == (index.items, len(content))
    assert written.sha256 == hashlib.sha256(content).hexdigest()
    return content.split(b"\n")[:-1], index


def long(letter: str, size: int) -> str:
    """A name of that many bytes, in folders whose names are nearly as long as they can be."""
    folder = letter * (250 // len(letter.encode())) + "/"
    name = (folder * 5)[: size // len(letter.encode()) - 1]
    return name + "k" * (size - len(name.encode()))


PARTS = st.one_of(
    st.sampled_from(
        ["a", "A", "a-", "a.", "%41", "+", " ", "'\"<&>", "b\nc", "\r", "é", "e\u0301"]
    ),
    # Servers take / for the end of a name and \\ for a /, so the object is another than was named.
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\\"), min_size=1),
    st.sampled_from(["k" * 255, "日" * 85, "k" * 256]),
)
KEYS = st.one_of(
    st.lists(PARTS, min_size=1, max_size=5).map("/".join),
    st.builds(long, st.sampled_from("kK日"), st.integers(1_000, 1_025)),
    st.sampled_from(["a/", "A/", "a/b/", "marker/"]),
)


def stored(server: Server, bucket: str, keys: list[str]) -> list[str]:
    """Which of these keys hold what was written under them, asked one by one: no listing.

    Servers refuse names (parts above 255 bytes, all above 1,024, some characters), and SeaweedFS
    gives up `a/` for `a`.
    """
    client, taken = server.client, []
    for key in keys:
        content = b"" if key.endswith("/") else key.encode()
        with suppress(S3Error, ValueError):
            client.put_object(bucket, key, io.BytesIO(content), len(content))
            taken.append((key, content))
    found = []
    for key, content in taken:
        with suppress(S3Error):
            if client.stat_object(bucket, key).size != len(content):
                continue
            if client.get_object(bucket, key).data == content:
                found.append(key)
    return found


def listed(kind: str, keys: list[str]) -> list[str]:
    """The keys as this server lists them: SeaweedFS folder by folder, MinIO by bytes.

    MinIO never lists what lies below the name of an object (`a/b` and `a/b/` beside an object `a`,
    but `a/` itself).
    """
    if kind == "seaweedfs":
        return sorted(keys, key=lambda key: key.encode().split(b"/"))
    names = set(keys)
    above = {key: {key[:i] for i in range(len(key) - 1) if key[i] == "/"} for key in keys}
    return sorted((key for key in keys if not names & above[key]), key=str.encode)


@settings(
    max_examples=int(os.environ.get("OSCAR_BATCH_EXAMPLES", "25")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(keys=st.lists(KEYS, unique=True, max_size=12))
@pytest.mark.parametrize(
    "tuning",
    [
        pytest.param(Tuning(), id="large pages"),
        pytest.param(Tuning(least_keys=2, most_keys=2), id="small pages"),
    ],
)
def test_index_and_skipped_are_the_bucket_in_its_order(
    server: Server, keys: list[str], tuning: Tuning
) -> None:
    name = f"h-{uuid4().hex[:12]}"
    server.client.make_bucket(name)
    bucket = listed(server.kind, stored(server, name, keys))
    lines, index = build(Bucket(server.access, name, tuning=tuning), Rules(), "state/index.txt")
    skipped = {each.key for each in index.skipped}
    assert [line.decode() for line in lines] == [
        key for key in bucket if key not in skipped and not key.endswith("/")
    ]
    assert skipped == {key for key in bucket if {"\n", "\r"} & set(key)}
    assert index.left_out.get(MARKERS, 0) == sum(key.endswith("/") for key in bucket)
    assert index.items + index.skipped_count + index.left_out.get(MARKERS, 0) == len(bucket)
    if server.kind == "seaweedfs":  # its buckets have volumes of their own, and it has not many
        server.client.remove_bucket(name)


@pytest.mark.parametrize("letter", ["k", "日"])
def test_a_name_may_have_1024_bytes(server: Server, bucket: Bucket, letter: str) -> None:
    names = [long(letter, size) for size in (1_023, 1_024, 1_025)]
    assert [len(key.encode()) for key in names] == [1_023, 1_024, 1_025]
    assert stored(server, bucket.name, names) == names[:2]
    lines, _ = build(bucket, Rules(), "state/index.txt")
    assert sorted(line.decode() for line in lines) == sorted(names[:2])


def test_what_a_server_shows_to_no_lister(server: Server, bucket: Bucket) -> None:
    """Objects that are there and that no listing can find: the manual names them."""
    hidden = {"seaweedfs": [".uploads/x"], "minio": ["a/b", "a__XLDIR__/b"]}[server.kind]
    keys = ["a", "b", *hidden]
    assert stored(server, bucket.name, keys) == keys
    found = server.client.list_objects(bucket.name, recursive=True)
    assert [each.object_name for each in found] == ["a", "b"]
    assert build(bucket, Rules(), "state/index.txt")[0] == [b"a", b"b"]


def test_many_pages_come_whole_and_in_order(server: Server, bucket: Bucket) -> None:
    names = [f"in/{i % 7}/file-{i:05d}" for i in range(2_345)]
    server.fill(bucket.name, names)
    lines, index = build(bucket, Rules("in/"), "state/index.txt")
    assert [line.decode() for line in lines] == sorted(names)
    assert (index.size_bytes, len(index.largest)) == (2 * len(names), 1000)


def test_the_index_object_has_its_lines_and_digest(server: Server, bucket: Bucket) -> None:
    """Also where it is a multipart upload, whose metadata comes by a copy onto itself."""
    line = b"k" * 99 + b"\n"
    for key, count in (("state/small", 3), ("state/large", PART_BYTES // 1_000)):
        written = bucket.write_lines(key, (line * 100 for _ in range(count)), "text/plain")
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
    pages = bucket.list_objects(ListQuery("in/", recursive=False))
    assert [key for objects in pages for key in objects.keys] == [b"in/a", b"in/z"]
