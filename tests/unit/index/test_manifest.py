# SPDX-License-Identifier: Apache-2.0
"""Every form of a manifest, whole, cut into any pieces, zipped or not."""

from __future__ import annotations

import gzip
import itertools
import json
import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.index.builder import IndexBuilder
from coordinator.index.manifest import BATCH, read_inventory, read_objects
from coordinator.model.errors import ConfigError
from coordinator.model.object_columns import ObjectColumns
from coordinator.model.selection import Manifest


def one(manifest: Manifest, content: bytes, piece: int = 5) -> ObjectColumns:
    pieces = (content[i : i + piece] for i in range(0, len(content), piece))
    (found,) = read_objects(manifest, pieces)
    return found


def problem(manifest: Manifest, content: bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        list(read_objects(manifest, [content]))
    return str(caught.value)


TEXT = 'in/a b.jpg\r\n\nin/ü,"x".jpg\nlast'.encode()
KEYS = ["in/a b.jpg", 'in/ü,"x".jpg', "last"]
JSONL = b'{"key": "a", "size": 3, "modified": "2026-11-22T10:00:00Z"}\n\n{"key": "b", "size": 4}\n'
CSV = b'\xef\xbb\xbfid,name,size\n1,"a,""b""",3\n2,"two\nlines",4\n'


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("manifest", "content", "keys", "sizes"),
    [
        (Manifest("list.txt"), TEXT, KEYS, None),
        (Manifest("failed.jsonl"), JSONL, ["a", "b"], [3, 4]),
        (Manifest("list.csv", column="name"), CSV, ['a,"b"', "two\nlines"], [3, 4]),
        (Manifest("list.csv"), b"key\r\na\r\n\r\nb\r\n", ["a", "b"], None),
    ],
    ids=["text", "jsonl", "csv", "csv, bare"],
)
def test_forms(
    manifest: Manifest, content: bytes, keys: list[str], sizes: list[int] | None, pack: object
) -> None:
    assert callable(pack)
    found = one(manifest, pack(content))
    assert ([key.decode() for key in found.keys], found.sizes) == (keys, sizes)
    assert found.times is None


def test_gz_is_no_part_of_the_form() -> None:
    assert one(Manifest("list.JSONL.gz"), gzip.compress(JSONL)).keys == [b"a", b"b"]


def test_a_gzip_file_may_have_several_members() -> None:
    assert one(Manifest("x"), gzip.compress(b"a\nb") + gzip.compress(b"c\n")).keys == [b"a", b"bc"]


def test_a_long_line_in_very_small_pieces_takes_no_long_time() -> None:
    pieces = itertools.repeat(b"k", 1024 * 1024)
    start = time.process_time()
    (found,) = read_objects(Manifest("x"), pieces)
    assert [len(key) for key in found.keys] == [1024 * 1024]
    assert time.process_time() - start < 5


def test_a_key_that_is_no_unicode_is_left_to_the_builder_to_skip() -> None:
    found = one(Manifest("x.jsonl"), b'{"key": "a\\ud800"}\n{"key": "b"}\n')
    builder = IndexBuilder()
    assert b"".join(builder.build_lines([found])) == b"b\n"
    assert builder.index().skipped[0].reason == "the key is not valid Unicode"


def test_sizes_that_no_store_has_are_refused() -> None:
    found = one(Manifest("x.csv"), b"key,size\n" + b"a,9223372036854775807\n" * 3)
    with pytest.raises(ConfigError, match="more than 8 EiB in all"):
        list(IndexBuilder().build_lines([found]))


def test_a_gzip_file_that_unzips_to_much_is_read_in_pieces() -> None:
    content = b"".join(b"%07d\n" % i for i in range(400_000))
    found = [
        key for each in read_objects(Manifest("x"), [gzip.compress(content)]) for key in each.keys
    ]
    assert (len(found), found[-1]) == (400_000, b"0399999")


@given(st.lists(st.text(min_size=1).filter(lambda text: text.isprintable())), st.integers(1, 30))
def test_any_keys_in_jsonl(keys: list[str], piece: int) -> None:
    content = "".join(json.dumps({"key": key}) + "\n" for key in keys).encode()
    pieces = [content[i : i + piece] for i in range(0, len(content), piece)]
    found = [
        key.decode() for each in read_objects(Manifest("x.jsonl"), pieces) for key in each.keys
    ]
    assert found == keys


def test_long_manifests_come_in_batches() -> None:
    found = list(read_objects(Manifest("x"), [b"k\n" * (BATCH + 1)]))
    assert [len(each) for each in found] == [BATCH, 1]


@pytest.mark.parametrize(
    ("manifest", "content", "said"),
    [
        (Manifest("x.jsonl"), b'{"key": "a"}\n{"name": "b"}\n', "line 2 has no 'key'"),
        (Manifest("x.jsonl"), b"{\n", "line 1 is not JSON"),
        (Manifest("x.jsonl"), b"[1]\n", "line 1 is not a JSON object"),
        (Manifest("x.jsonl"), b'{"key": "a", "size": -1}\n', "line 1 has a size that"),
        (Manifest("x.jsonl"), b'{"key": "a", "size": "1.5"}\n', "line 1 has a size that"),
        (Manifest("x.jsonl"), b'{"key": "a", "size": [1]}\n', "line 1 has a size that"),
        (Manifest("x.jsonl"), b'{"key": "a", "size": {}}\n', "line 1 has a size that"),
        (Manifest("x.jsonl"), b'{"key": "a", "size": true}\n', "line 1 has a size that"),
        (Manifest("x.jsonl"), b'{"key": "a", "size": 1e3}\n', "line 1 has a size that"),
        (
            Manifest("x.jsonl"),
            b'{"key": "a", "size": 9223372036854775808}\n',
            "has a size that",
        ),
        (
            Manifest("x.jsonl"),
            b'{"key": "a", "size": "' + b"9" * 9999 + b'"}\n',
            "has a size that",
        ),
        (Manifest("x.jsonl"), b'{"key": "a", "size": ' + b"9" * 9999 + b"}\n", "is not JSON"),
        (Manifest("x.jsonl"), b'{"key": "a", "modified": 5}\n', "line 1 has a time that"),
        (
            Manifest("x.jsonl"),
            b'{"key": "a", "modified": "now"}\n',
            "line 1 has a time that",
        ),
        (Manifest("x.jsonl"), b'{"key": ["a"]}\n', "line 1 has no 'key'"),
        (Manifest("x.jsonl"), b"[" * 100_000 + b"\n", "line 1 is not JSON"),
        (Manifest("x.jsonl"), b'{"a":' * 100_000 + b"\n", "line 1 is not JSON"),
        (Manifest("x.csv"), "key,size\na,٣\n".encode(), "line 2 has a size that is no"),
        (Manifest("x.csv"), b'key\n"' + b"a\n" * 100_000, "is not CSV"),
        (Manifest("x.csv"), b"a,b\n1,2\n", "no column 'key'; it has a, b"),
        (Manifest("x.csv"), b"S3cret,b\n1,2\n", "no column 'key'; it has …, b"),
        (Manifest("x.csv"), b"key,b\n,2\n", "line 2 has no 'key'"),
        (Manifest("x.csv"), b'key\n"a\n', "is not CSV"),
        (Manifest("x"), b"a\n\xff\n", "line 2 is not UTF-8"),
        (Manifest("x"), gzip.compress(b"a\n" * 999, mtime=0)[:-9], "ends too early"),
        (Manifest("x"), gzip.compress(b"a", mtime=0)[:10] + b"\xff" * 9, "broken gzip"),
        (Manifest("x"), b"k" * (1024 * 1024 + 2), "longer than 1 MiB"),
    ],
)
def test_nothing_is_guessed(manifest: Manifest, content: bytes, said: str) -> None:
    assert said in problem(manifest, content)


INVENTORY = {
    "fileFormat": "CSV",
    "fileSchema": "Bucket, Key, IsLatest, IsDeleteMarker, Size, LastModifiedDate",
    "files": [{"key": "inv/1.csv.gz"}, {"key": "inv/2.csv.gz"}],
}


def test_s3_inventory() -> None:
    assert Manifest("inv/2026/manifest.json").is_inventory
    files = read_inventory([json.dumps(INVENTORY).encode()])
    assert [file.key for file in files] == ["inv/1.csv.gz", "inv/2.csv.gz"]
    row = '"data","in/a+b%2B%C3%BC.jpg","true","false","7","2026-11-22T10:00:00.000Z"\n'
    old = '"data","in/old","false","false","7","2026-11-22T10:00:00.000Z"\n'
    gone = '"data","in/gone","true","true","","2026-11-22T10:00:00.000Z"\n'
    found = one(files[0], gzip.compress((row + old + gone).encode()))
    assert found == ObjectColumns(["in/a b+ü.jpg".encode()], [7], ["2026-11-22T10:00:00.000Z"])


@pytest.mark.parametrize(
    "document",
    [
        b"{",
        b"[]",
        b"{}",
        b"[" * 100_000,
        json.dumps(INVENTORY | {"fileFormat": "ORC"}).encode(),
        json.dumps(INVENTORY | {"files": [{"key": 7}]}).encode(),
        json.dumps(INVENTORY | {"files": 7}).encode(),
        json.dumps(INVENTORY | {"fileSchema": ["Key"]}).encode(),
    ],
)
def test_other_inventories_are_refused(document: Iterable[int]) -> None:
    with pytest.raises(ConfigError, match="Inventory"):
        read_inventory([bytes(document)])


def test_an_inventory_is_read_up_to_a_limit() -> None:
    with pytest.raises(ConfigError, match="larger than 16 MiB"):
        read_inventory(itertools.repeat(b" " * 2**20))
