# SPDX-License-Identifier: Apache-2.0
"""Parses one answer to ListObjectsV2: whether more follows, and its objects in columns.

An XML parser reads the envelope, that is all but the entries; the request for the next page needs
no more. One regular expression then reads the entries, without a Python object per key. It matches
the form that all known servers send. If it does not match every entry of a page, the XML parser
reads the whole page. So another form of XML makes a listing slower, but never wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree

from ..model.object_columns import ObjectColumns

_END = b"</Contents>"
# Any element of an entry but those that are looked for; possessive, so it never backtracks.
_OTHERS = rb"\s*(?:<(?!Key>|Size>|/?Contents>)[^<]*)*+"
_ENTRY = re.compile(
    rb"<Contents>" + _OTHERS + rb"<Key>([^<]*)</Key>" + _OTHERS + rb"<Size>(\d+)</Size>" + _OTHERS
    # The end of the entry.
    + _END
)  # fmt: skip
_TIME = re.compile(rb"<LastModified>([^<]+)</LastModified>|</Contents>")
_ENTITY = re.compile(rb"&([^;&]*);?")
_NAMED = {b"lt": b"<", b"gt": b">", b"amp": b"&", b"quot": b'"', b"apos": b"'"}
# Elements of the envelope: between entries they would be missed.
_OUTSIDE = (b"<IsTruncated", b"<NextContinuationToken", b"<EncodingType", b"<CommonPrefixes")


class MalformedPage(ValueError):
    """The body is not a whole answer to ListObjectsV2."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page, its entries still as bytes."""

    token: str
    """What to ask the next page with; empty on the last one."""
    url_encoded: bool
    body: bytes
    entries: slice
    """Where the entries are in the body; empty where only the XML parser can find them."""
    folders: list[bytes]
    """The folders below, where the listing ends at a delimiter."""

    def objects(self, *, times: bool = False) -> ObjectColumns:
        """The page's objects. Raises MalformedPage."""
        found = _scan_objects(self, times=times)
        return found if found is not None else _parse_objects(self, times=times)


def parse_page(body: bytes) -> Page:
    """Parses the envelope of a page. Raises MalformedPage if it is cut short or no listing."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise MalformedPage("the answer declares XML entities")
    first, last = body.find(b"<Contents>"), body.rfind(_END)
    entries = slice(first, last + len(_END)) if 0 <= first < last else slice(0, 0)
    if b"<!" in body or body.find(b"<?", 2) >= 0:  # CDATA, comments, processing instructions
        entries = slice(0, 0)
    if any(body.find(tag, entries.start, entries.stop) >= 0 for tag in _OUTSIDE):
        entries = slice(0, 0)
    root = _parse_xml(body[: entries.start] + body[entries.stop :])
    if _get_name(root) != "ListBucketResult":
        raise MalformedPage(f"the answer is <{_get_name(root)[:40]}>, not a listing")
    texts = {_get_name(element): element.text or "" for element in root}
    if texts.get("IsTruncated", "").strip() not in {"true", "false"}:
        raise MalformedPage("the answer does not say whether more follows (IsTruncated)")
    truncated = texts["IsTruncated"].strip() == "true"
    token = texts.get("NextContinuationToken", "") if truncated else ""
    if truncated and not token:
        raise MalformedPage("the answer says that more follows, and not how to ask for it")
    if "Contents" in texts:  # entries that the byte search did not see: another dialect of XML
        entries = slice(0, 0)
    url_encoded = texts.get("EncodingType", "").strip() == "url"
    return Page(token, url_encoded, body, entries, _parse_folders(root, url_encoded=url_encoded))


def _parse_folders(root: ElementTree.Element, *, url_encoded: bool) -> list[bytes]:
    found = [
        (child.text or "").encode()
        for element in root
        if _get_name(element) == "CommonPrefixes"
        for child in element
        if _get_name(child) == "Prefix"
    ]
    return [_unquote(each) for each in found] if url_encoded else found


def _scan_objects(page: Page, *, times: bool) -> ObjectColumns | None:
    """The objects by regular expression; None if that is not certain to be right."""
    body, (start, stop) = page.body, (page.entries.start, page.entries.stop)
    if start == stop:
        return None
    pairs = _ENTRY.findall(body, start, stop)
    if len(pairs) != body.count(b"<Contents", start, stop):
        return None
    written = None
    if times:
        marks = _TIME.findall(body, start, stop)
        if len(marks) != 2 * len(pairs) or any(marks[1::2]) or not all(marks[::2]):
            return None
        written = [mark.decode() for mark in marks[::2]]
    keys = _decode_keys([key for key, _ in pairs], page)
    return ObjectColumns(keys, [int(size) for _, size in pairs], written)


def _decode_keys(keys: list[bytes], page: Page) -> list[bytes]:
    """The names behind the text of `<Key>`, decoded all at once where no name has a newline."""
    text = b"\n".join(keys)
    if b"&" in text:
        text = _ENTITY.sub(_decode_entity, text)
    if page.url_encoded:
        text = _unquote(text)
    if text.count(b"\n") == len(keys) - 1:
        return text.split(b"\n")
    plain = [_ENTITY.sub(_decode_entity, key) for key in keys]
    return [_unquote(key) for key in plain] if page.url_encoded else plain


def _unquote(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


def _decode_entity(entity: re.Match[bytes]) -> bytes:
    """XML knows five names and numbers, and nothing else."""
    name = entity[1]
    if not entity[0].endswith(b";"):
        raise MalformedPage("a key has a bare &")
    if name in _NAMED:
        return _NAMED[name]
    try:
        number = int(name[2:], 16) if name[:2] == b"#x" else int(name[1:])
        if name[:1] != b"#":
            raise ValueError
        return chr(number).encode()
    except (ValueError, OverflowError) as error:
        raise MalformedPage(f"a key has the unknown XML entity {name[:20]!r}") from error


def _parse_objects(page: Page, *, times: bool) -> ObjectColumns:
    """The objects by the XML parser: slower, and right for any well-formed answer."""
    found = ObjectColumns([], [], [] if times else None)
    for element in _parse_xml(page.body):
        if _get_name(element) != "Contents":
            continue
        texts = {_get_name(child): child.text or "" for child in element}
        key, size = texts.get("Key", ""), texts.get("Size", "").strip()
        if not key or not size.isdecimal():
            raise MalformedPage("an entry of the answer lacks its key or its size")
        found.keys.append(_unquote(key.encode()) if page.url_encoded else key.encode())
        assert found.sizes is not None  # noqa: S101 (made above)
        found.sizes.append(int(size))
        if found.times is not None:
            found.times.append(texts.get("LastModified", "").strip())
    return found


def _parse_xml(body: bytes) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(body)  # noqa: S314 (declarations are refused in `parse_page`)
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # of an odd encoding, too
        raise MalformedPage(f"the answer is not well-formed XML ({error})") from error


def _get_name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
