# SPDX-License-Identifier: Apache-2.0
"""The pages of this folder as GitHub shows them → as the site needs them.

docs/index.md is the only list of the pages: its sections become the navigation of the site. Links
to files that the site does not have lead to the repository.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CODE: Final = re.compile(
    r"^( *)(```+|~~~+).*?^ *\2 *$|(?<!`)(`+)(?!`).+?(?<!`)\3(?!`)", re.M | re.S
)
_LINK: Final = re.compile(r"(!?)\[((?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*)\]\(<?([^()\s<>]+)>?\)")
_DEFINITION: Final = re.compile(r"^\[([^\]]+)\]: (\S+)$", re.MULTILINE)
_HEADING: Final = re.compile(r"^(#{1,6}) +(.+?) *#*$", re.MULTILINE)
_ENTRY: Final = re.compile(r"^- \[([^\]]+)\]\(([^)\s]+)\): .+\.$")
_REACHABLE: Final = {
    "<pre>": '<pre tabindex="0">',
    'class="table-wrapper': 'tabindex="0" role="group" aria-label="table" class="table-wrapper',
    'class="caption" role="heading"': 'class="caption" role="heading" aria-level="2"',
}
_LOADS: Final = re.compile(
    r"""<(?:script|img|iframe|source|embed|audio|video)\b[^>]*?\s(?:src|srcset)\s*=\s*["']?([^"'\s>]+)
    |<link\b(?=[^>]*\srel\s*=\s*["']?[^"'>]*(?:stylesheet|icon|preload|preconnect|prefetch))
     [^>]*?\shref\s*=\s*["']?([^"'\s>]+)
    |url\(\s*["']?([^"')\s]+)
    |@import\s+["']([^"']+)""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Link:
    """A link of a page."""

    text: str
    target: str
    is_picture: bool


def remove_code(text: str) -> str:
    """The text without its blocks and spans of code, in which nothing is a link or a heading."""
    return _CODE.sub(lambda found: "\n" * found[0].count("\n") + "code", text)


def find_links(text: str) -> Iterator[Link]:
    """The links and pictures of a page, pictures inside of links too."""
    text = remove_code(text)
    for found in _LINK.finditer(text):
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


def add_navigation(index: str, base: str) -> str:
    """The index with the lists from which Sphinx makes the navigation, one for each section."""
    parts = [index]
    for section, entries in read_sections(index).items():
        lines = [f"{title} <{_aim(target, base)}>" for title, target in entries]
        options = ["```{toctree}", ":hidden:", f":caption: {section}", ""]
        parts.append("\n".join([*options, *lines, "```", ""]))
    return "\n".join(parts)


def aim_links(text: str, base: str, files: frozenset[str]) -> str:
    """The page with links that work on the site; `files` are those that it has beside pages."""

    def aim(found: re.Match[str]) -> str:
        mark, words, target = found.groups()
        if target in files and not mark:
            return f'<a href="{target}">{words}</a>'
        return f"{mark}[{words}]({_aim(target, base)})"

    code: list[str] = []

    def hide(found: re.Match[str]) -> str:
        code.append(found[0])
        return f"\0{len(code) - 1}\0"

    aimed = _LINK.sub(aim, _CODE.sub(hide, text))
    return re.sub(r"\0(\d+)\0", lambda found: code[int(found[1])], aimed)


def _aim(target: str, base: str) -> str:
    """The target; the address in the repository of what lies outside of this folder."""
    if not target.startswith("../"):
        return target
    path, mark, anchor = target.partition("#")
    inside = posixpath.normpath(posixpath.join("docs", path))
    kind = "blob" if posixpath.splitext(inside)[1] or inside == "LICENSE" else "tree"
    return f"{base}/{kind}/main/{inside}{mark}{anchor}"


def make_reachable(html: str) -> str:
    """The part of a page with what the theme leaves out for keyboards and screen readers.

    What scrolls can be focused, and the captions of the navigation have a level.
    """
    for before, after in _REACHABLE.items():
        html = html.replace(before, after)
    return html


def find_foreign_loads(site: Path) -> list[str]:
    """What pages, styles and scripts of the built site would load from other hosts."""
    found = []
    for path in sorted(site.rglob("*")):
        if path.suffix in {".html", ".css"}:
            for match in _LOADS.finditer(path.read_text("utf-8")):
                target = next(filter(None, match.groups()))
                if re.match(r"(?:https?:)?//", target):
                    found.append(f"{path.relative_to(site)}: {target}")
    return found
