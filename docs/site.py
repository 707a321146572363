# SPDX-License-Identifier: Apache-2.0
"""The pages as GitHub shows them → as the site needs them: `python -m docs.site FOLDER`.

docs/index.md is the only list of the pages: its sections become the navigation of the site. It may
name pages of other folders; the site has them too. Links to anything else lead to the repository.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from docs.pages import CODE, LINK, read_sections

ROOT: Final = Path(__file__).parents[1]
FILES: Final = (".json", ".png", ".svg")
"""What the site has beside pages."""
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
class Names:
    """Where the files of the repository are on the site."""

    pages: Mapping[str, str]
    """By their paths in the repository."""
    files: Mapping[str, str]
    repository: str
    """The address of the repository."""

    def aim(self, target: str, page: str) -> str:
        """The target of a link of a page, for the site."""
        path, mark, anchor = target.partition("#")
        if not path or "://" in path:
            return target
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
        if name := self.pages.get(path) or self.files.get(path):
            return f"{name}{mark}{anchor}"
        kind = "blob" if posixpath.splitext(path)[1] or path == "LICENSE" else "tree"
        return f"{self.repository}/{kind}/main/{path}{mark}{anchor}"


def name_pages(root: Path) -> Names:
    """All pages and files of the site; a page of another folder is named after its title."""
    pages = {f"docs/{path.name}": path.name for path in root.glob("docs/*.md")}
    index = (root / "docs/index.md").read_text("utf-8")
    for entries in read_sections(index).values():
        for title, target in entries:
            if target.startswith("../"):
                name = re.sub(r"[^a-z0-9]+", "-", title.lower())
                pages[posixpath.normpath(f"docs/{target}")] = f"{name}.md"
    files = {f"docs/{path.name}": path.name for path in root.glob("docs/*") if path.suffix in FILES}
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    return Names(pages, files, project["urls"]["Source"])


def add_navigation(index: str, names: Names) -> str:
    """The index with the lists from which Sphinx makes the navigation, one for each section."""
    parts = [index]
    for section, entries in read_sections(index).items():
        lines = [f"{title} <{names.aim(target, 'docs/index.md')}>" for title, target in entries]
        options = ["```{toctree}", ":hidden:", f":caption: {section}", ""]
        parts.append("\n".join([*options, *lines, "```", ""]))
    return "\n".join(parts)


def aim_links(text: str, page: str, names: Names) -> str:
    """A page with links that work on the site."""
    code: list[str] = []

    def aim(found: re.Match[str]) -> str:
        mark, words, target = found[1], LINK.sub(aim, found[2]), names.aim(found[3], page)
        if target in names.files.values() and not mark:
            return f'<a href="{target}">{words}</a>'
        return f"{mark}[{words}]({target})"

    def hide(found: re.Match[str]) -> str:
        code.append(found[0])
        return f"\0{len(code) - 1}\0"

    aimed = LINK.sub(aim, CODE.sub(hide, text))
    return re.sub(r"\0(\d+)\0", lambda found: code[int(found[1])], aimed)


def write_sources(root: Path, folder: Path) -> None:
    """Writes into a folder what Sphinx makes the site of."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = name_pages(root)
    for page, name in names.pages.items():
        text = (root / page).read_text("utf-8")
        made = aim_links(text, page, names)
        if page == "docs/index.md":
            made += add_navigation(text, names).removeprefix(text)
        (folder / name).write_text(made, "utf-8")
    for path, name in names.files.items():
        shutil.copyfile(root / path, folder / name)


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


if __name__ == "__main__":
    write_sources(ROOT, Path(sys.argv[1]))
