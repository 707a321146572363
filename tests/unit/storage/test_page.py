# SPDX-License-Identifier: Apache-2.0
"""Pages of every dialect, read the fast way and by the XML parser, with one result."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.model.object_columns import ObjectColumns
from coordinator.storage.page import MalformedPage, parse_page

DATA = Path(__file__).parents[2] / "data"
RECORDED = sorted(path.name for path in DATA.glob("list_*.xml"))
# What was put into the buckets that the pages were recorded from. SeaweedFS has one `/` where two
# were put; MinIO refuses that name, and does not list what lies below an object's own name.
COMMON = ["%41", "A", "a", "a b+c%d&e'\"<>", "a-b", "a.b", "cr\rx", "ctl\x01x", "e\u0301"]
COMMON += ["line\nbreak", "q?=;*()!~@#", "tab\tx", "x/", "y%2Fz", "z" * 255 + "/" + "z" * 255]
COMMON += ["ünï/çødé 日本", "\U0001f600/\uffee"]


def read(name: str) -> bytes:
    return (DATA / name).read_bytes()


def by_parser(body: bytes, *, times: bool = False) -> ObjectColumns:
    return replace(parse_page(body), entries=slice(0, 0)).objects(times=times)


@pytest.mark.parametrize("name", [name for name in RECORDED if name != "list_minio_plain.xml"])
@pytest.mark.parametrize("times", [False, True])
def test_the_fast_way_and_the_parser_agree(name: str, times: bool) -> None:
    assert parse_page(read(name)).objects(times=times) == by_parser(read(name), times=times)


@pytest.mark.parametrize("name", [name for name in RECORDED if "_url" in name])
def test_recorded_names_are_those_that_were_put(name: str) -> None:
    more = {"a/b", "x/y"} if "seaweedfs" in name else set()
    found = [key.decode() for key in parse_page(read(name)).objects().keys]
    assert (set(found), len(found)) == ({*COMMON, *more}, len(COMMON) + len(more))


def test_minio_sends_numbers_of_characters_that_xml_does_not_have() -> None:
    assert b"ctl\x01x" in parse_page(read("list_minio_plain.xml")).objects().keys


@pytest.mark.parametrize("name", ["list_minio_truncated.xml", "list_aws_composed.xml"])
def test_a_truncated_page_has_a_token(name: str) -> None:
    found = parse_page(read(name))
    assert found.token
    assert f"<NextContinuationToken>{found.token}<".encode() in found.body


def test_aws_entries_differ_from_each_other() -> None:
    found = parse_page(read("list_aws_composed.xml")).objects(times=True)
    keys = ["data/a b.jpg", "data/café.jpg", "data/one+two.jpg", "data/z.jpg"]
    assert [key.decode() for key in found.keys] == keys
    assert found.sizes == [11, 0, 5368709121, 6]
    assert found.times is not None
    assert found.times[1] == "2026-11-22T10:15:01.000Z"


def test_folders_are_no_objects() -> None:
    found = parse_page(read("list_ceph_composed.xml")).objects()
    assert found.keys == [b"data/a b.jpg", b"data/one+two.jpg"]


def composed(entries: str, *, more: str = "", encoding: str = "url") -> bytes:
    kind = f"<EncodingType>{encoding}</EncodingType>" if encoding else ""
    head = "<ListBucketResult><IsTruncated>false</IsTruncated>"
    return f"{head}{kind}{entries}{more}</ListBucketResult>".encode()


def entry(key: str, size: int = 1) -> str:
    return f"<Contents><Key>{key}</Key><Size>{size}</Size></Contents>"


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@given(st.lists(NAMES, min_size=1, max_size=8), st.sampled_from([quote, quote_plus]))
def test_any_names_survive_url_encoding(names: list[str], encode: object) -> None:
    assert callable(encode)
    body = composed("".join(entry(encode(name)) for name in names))
    assert [key.decode() for key in parse_page(body).objects().keys] == names


XML_NAMES = st.text(
    st.characters(min_codepoint=32, exclude_categories=["Cs", "Cn", "Cc"]), min_size=1
).filter(lambda name: not re.search("[\ufffe\uffff]", name))


@given(st.lists(XML_NAMES, min_size=1, max_size=8))
def test_any_names_survive_xml(names: list[str]) -> None:
    body = composed("".join(entry(escape(name)) for name in names), encoding="")
    assert [key.decode() for key in parse_page(body).objects().keys] == names
    assert by_parser(body) == parse_page(body).objects()


@pytest.mark.parametrize(
    ("entries", "keys", "sizes"),
    [
        ("<Contents><Size>7</Size><Key>a</Key></Contents>", [b"a"], [7]),
        ("<Contents>\n  <Key>a</Key>\n  <Size>7</Size>\n</Contents>\n", [b"a"], [7]),
        ("<Contents a='1'><Key>a</Key><Size>7</Size></Contents>" + entry("b"), None, [7, 1]),
        ("<Contents><Key><![CDATA[a<b]]></Key><Size>7</Size></Contents>", [b"a<b"], [7]),
        ("<!-- <Contents> -->" + entry("a", 7), [b"a"], [7]),
        ("", [], []),
        (entry("a", 7) + "<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>", [b"a"], [7]),
        (entry("&lt;&#x41;&#66;&amp;&apos;"), [b"<AB&'"], [1]),
        (entry("a%0Ab", 7) + entry("c", 8), [b"a\nb", b"c"], [7, 8]),
        (entry("%FF", 7), [b"\xff"], [7]),
    ],
)
def test_odd_xml_is_read_right(entries: str, keys: list[bytes] | None, sizes: list[int]) -> None:
    found = parse_page(composed(entries)).objects()
    assert (found.keys, found.sizes) == ([b"a", b"b"] if keys is None else keys, sizes)


def test_a_namespace_prefix_is_understood() -> None:
    body = composed(entry("a", 7)).replace(b"</", b"</s:").replace(b"<s:", b"<s:")
    body = re.sub(rb"<(?![/s])", b"<s:", body)
    body = body.replace(b"<s:ListBucketResult", b"<s:ListBucketResult xmlns:s='x'")
    body = re.sub(rb"<(?=Size)", b"<s:", body)
    assert parse_page(body).objects() == ObjectColumns([b"a"], [7])


def test_the_envelope_may_lie_between_the_entries() -> None:
    body = b"<ListBucketResult>" + entry("a").encode() + b"<IsTruncated>true</IsTruncated>"
    body += b"<NextContinuationToken>t</NextContinuationToken>" + entry("b").encode()
    found = parse_page(body + b"</ListBucketResult>")
    assert (found.token, found.objects().keys) == ("t", [b"a", b"b"])


@pytest.mark.parametrize("name", ["list_minio_url.xml", "list_seaweedfs_truncated.xml"])
def test_a_page_that_is_cut_anywhere_is_malformed(name: str) -> None:
    body = read(name).rstrip()
    for length in range(0, len(body), 7):
        with pytest.raises(MalformedPage):
            parse_page(body[:length]).objects()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"<Error><Code>InternalError</Code></Error>",
        b"<ListBucketResult></ListBucketResult>",
        b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
        b"<!DOCTYPE x><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>",
        composed("<Contents><Key>a</Key></Contents>"),
        composed("<Contents><Size>1</Size></Contents>"),
        composed(entry("&nbsp;")),
        composed(entry("&#xD800;")),
        composed(entry("a & b")),
    ],
)
def test_what_is_no_whole_listing_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedPage):
        parse_page(body).objects()


@pytest.mark.parametrize("encoding", ["TF-8", "utf-32", "utf-7", "rot13"])
def test_a_page_in_an_odd_encoding_is_refused(encoding: str) -> None:
    declared = f'<?xml version="1.0" encoding="{encoding}"?>'.encode()
    with pytest.raises(MalformedPage, match="not well-formed XML"):
        parse_page(
            declared + b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
        )
