# SPDX-License-Identifier: Apache-2.0
"""A page of Markdown → its links, headings and anchors; docs/index.md → the list of all pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

CODE: Final = re.compile(
    r"^( *)(```+|~~~+).*?^ *\2 *$|(?<!`)(`+)(?!`).+?(?<!`)\3(?!`)", re.M | re.S
)
LINK: Final = re.compile(r"(!?)\[((?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*)\]\(<?([^()\s<>]+)>?\)")
_DEFINITION: Final = re.compile(r"^\[([^\]]+)\]: (\S+)$", re.MULTILINE)
_HEADING: Final = re.compile(r"^(#{1,6}) +(.+?) *#*$", re.MULTILINE)
_ENTRY: Final = re.compile(r"^- \[([^\]]+)\]\(([^)\s]+)\): .+\.$")


@dataclass(frozen=True, slots=True)
class Link:
    """A link of a page."""

    text: str
    target: str
    is_picture: bool


def remove_code(text: str) -> str:
    """The text without its blocks and spans of code, in which nothing is a link or a heading."""
    return CODE.sub(lambda found: "\n" * found[0].count("\n") + "code", text)


def find_links(text: str) -> Iterator[Link]:
    """The links and pictures of a page, pictures inside of links too."""
    text = remove_code(text)
    for found in LINK.finditer(text):
        yield Link(found[2], found[3], bool(found[1]))
        yield from find_links(found[2])
    for found in _DEFINITION.finditer(text):
        yield Link(found[1], found[2], False)


def find_headings(text: str) -> list[tuple[int, str]]:
    """The headings of a page with their levels."""
    blocks = re.sub(r"^( *)(```+|~~~+).*?^ *\2 *$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [(len(found[1]), found[2]) for found in _HEADING.finditer(blocks)]


def find_anchors(text: str) -> set[str]:
    """What a link may name after `#`, as GitHub and the site make it of the headings."""
    anchors: set[str] = set()
    for _, heading in find_headings(text):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        same = sum(1 for each in anchors if re.fullmatch(re.escape(name) + r"(-\d+)?", each))
        anchors.add(f"{name}-{same}" if same else name)
    return anchors


def read_sections(index: str) -> dict[str, list[tuple[str, str]]]:
    """The sections of the index with the title and the target of each entry."""
    sections: dict[str, list[tuple[str, str]]] = {}
    title = ""
    for line in index.splitlines():
        if heading := re.fullmatch(r"## (.+)", line):
            title = heading[1]
            sections[title] = []
        elif entry := _ENTRY.match(line):
            sections[title].append((entry[1], entry[2]))
    return sections
