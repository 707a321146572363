# SPDX-License-Identifier: Apache-2.0
"""Every page of the documentation can be found, and every link leads to something.

The pages are those of docs/ and the other texts for people. Links to other hosts are checked for
their form only.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from docs.pages import find_anchors, find_headings, find_links, read_sections
from docs.site import (
    FILES,
    Names,
    add_navigation,
    aim_links,
    find_foreign_loads,
    make_reachable,
    name_pages,
    write_sources,
)

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
INDEX = (DOCS / "index.md").read_text("utf-8")
PATTERNS = ("*.md", "docs/*.md", "sandbox/*.md", "examples/**/*.md", "hub/*.md", "tests/live/*.md")
PAGES = sorted(path for pattern in PATTERNS for path in ROOT.glob(pattern))
BASE = "https://github.com/grycap/oscar-batch"
NAMES = Names(
    {"docs/index.md": "index.md", "docs/runs.md": "runs.md", "S.md": "safety.md"},
    {"docs/x.json": "x.json"},
    BASE,
)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_of_a_page_leads_to_something(page: Path) -> None:
    broken = [
        f"{link.target}: {problem}"
        for link in find_links(page.read_text("utf-8"))
        if (problem := find_problem(page, link.target))
    ]
    assert broken == []


def find_problem(page: Path, target: str) -> str:
    """What is wrong with a link; empty if nothing is."""
    parts = urlsplit(target)
    if parts.scheme:
        good = parts.scheme in {"http", "https"} and "." in parts.netloc and parts.username is None
        return "" if good else "must be an address of the web, with a host"
    path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not path.exists():
        return "there is no such file"
    if not path.is_relative_to(ROOT):
        return "lies outside of the repository"
    if parts.fragment and path.suffix == ".md":
        known = find_anchors(path.read_text("utf-8"))
        return "" if parts.fragment in known else f"{name(path)} has no such heading"
    return ""


@pytest.mark.parametrize(
    "target",
    ["missing.md", "runs.md#missing", "#missing", "ftp://example.org/", "https://x/", "../../etc"],
)
def test_a_link_that_leads_to_nothing_is_found(target: str) -> None:
    assert find_problem(DOCS / "index.md", target)


@pytest.mark.parametrize("page", [path for path in PAGES if path.parent == DOCS], ids=name)
def test_a_page_has_one_title_at_its_top_and_no_level_is_left_out(page: Path) -> None:
    text = page.read_text("utf-8")
    levels = [level for level, _ in find_headings(text)]
    assert text.startswith("# ")
    assert levels.count(1) == 1
    assert all(after - before < 2 for before, after in itertools.pairwise(levels))


def test_every_page_is_in_the_index() -> None:
    listed = [target for entries in read_sections(INDEX).values() for _, target in entries]
    for page in sorted(DOCS.glob("*.md")):
        assert page.name in [*listed, "index.md"], (
            f"docs/index.md does not name {page.name}, so nobody finds it: add the line "
            f"`- [Title]({page.name}): what it says, in one sentence.` to the section in which "
            "a reader looks for it"
        )
    assert len(listed) == len(set(listed)), "a page is in the index twice"


def test_the_index_has_a_sentence_for_every_page() -> None:
    lines = [line for line in INDEX.splitlines() if line.startswith("-")]
    entries = [entry for entries in read_sections(INDEX).values() for entry in entries]
    assert len(lines) == len(entries), "a line of the index is: - [Title](page.md): a sentence."


def test_every_file_beside_the_pages_is_shown_by_one() -> None:
    shown = {link.target for page in PAGES for link in find_links(page.read_text("utf-8"))}
    named = {target.rpartition("/")[2] for target in shown}
    files = {path.name for path in DOCS.iterdir() if path.suffix in FILES}
    assert sorted(files - named) == []


def test_the_sections_of_the_index_become_the_navigation() -> None:
    index = "# T\n\n## One\n\n- [A](runs.md): a.\n- [B](../S.md): b.\n\n## Two\n\n- [C](../c): c.\n"
    added = add_navigation(index, NAMES).removeprefix(index)
    assert re.findall(r":caption: (.+)", added) == ["One", "Two"]
    assert re.findall(r"^(.) <(.+)>$", added, re.MULTILINE) == [
        ("A", "runs.md"),
        ("B", "safety.md"),
        ("C", f"{BASE}/tree/main/c"),
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("[a](runs.md#states)", "[a](runs.md#states)", id="a page"),
        pytest.param("[a](#here)", "[a](#here)", id="this page"),
        pytest.param("[a](https://b.org/c)", "[a](https://b.org/c)", id="another host"),
        pytest.param("[a](../S.md#b)", "[a](safety.md#b)", id="a page of another folder"),
        pytest.param("[a](../T.md#b)", f"[a]({BASE}/blob/main/T.md#b)", id="a file"),
        pytest.param("[a](../examples)", f"[a]({BASE}/tree/main/examples)", id="a folder"),
        pytest.param("[a](x.json)", '<a href="x.json">a</a>', id="a file of the site"),
        pytest.param("![a](x.json)", "![a](x.json)", id="a picture"),
        pytest.param("[![a](x.json)](../S.md)", "[![a](x.json)](safety.md)", id="a picture in it"),
        pytest.param("[`a`](x.json)", '<a href="x.json">`a`</a>', id="code in a link"),
        pytest.param("`[a](../b.md)`", "`[a](../b.md)`", id="code"),
        pytest.param("```\n[a](../b.md)\n```\n", "```\n[a](../b.md)\n```\n", id="a block of code"),
    ],
)
def test_links_work_on_the_site_too(before: str, after: str) -> None:
    assert aim_links(before, "docs/index.md", NAMES) == after


def test_links_of_a_page_of_another_folder_start_there() -> None:
    assert aim_links("[a](docs/runs.md)", "S.md", NAMES) == "[a](runs.md)"
    assert aim_links("[a](../docs/runs.md)", "sandbox/README.md", NAMES) == "[a](runs.md)"


def test_every_page_has_a_name_of_its_own_on_the_site(tmp_path: Path) -> None:
    names = name_pages(ROOT)
    assert {"README.md", "CHANGELOG.md", "docs/index.md"} <= names.pages.keys()
    assert len(set(names.pages.values())) == len(names.pages), "two titles make the same name"
    write_sources(ROOT, tmp_path / "made")
    made = {path.name for path in (tmp_path / "made").iterdir()}
    assert made == {*names.pages.values(), *names.files.values()}
    assert "```{toctree}" in (tmp_path / "made/index.md").read_text("utf-8")


def test_all_forms_of_links_are_found() -> None:
    text = "[![p](p.png)](a.md) [b](<b.md>) `[no](c.md)`\n\n[1.0]: https://d.org/\n"
    found = [(link.target, link.is_picture) for link in find_links(text)]
    assert found == [("a.md", False), ("p.png", True), ("b.md", False), ("https://d.org/", False)]


def test_anchors_are_those_of_github() -> None:
    text = "# A title\n## `run.keep` and *more*\n```\n# no heading\n```\n## Twice\n## Twice\n"
    assert find_anchors(text) == {"a-title", "runkeep-and-more", "twice", "twice-1"}


def test_what_scrolls_can_be_focused_and_captions_have_a_level() -> None:
    made = make_reachable(
        '<pre>a</pre><div class="table-wrapper x"><p class="caption" role="heading">'
    )
    assert made.count('tabindex="0"') == 2
    assert 'role="heading" aria-level="2"' in made


def test_what_a_page_would_load_from_another_host_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="https://a.org/"></a><link rel="canonical" href="https://b.org/">'
        '<script src="_static/a.js"></script><img src=//c.org/a.png>'
        '<link rel="stylesheet" href="https://d.org/a.css">',
        encoding="utf-8",
    )
    (tmp_path / "a.css").write_text(
        'b{background:url("https://e.org/f")} i{background:url(f.png)}', encoding="utf-8"
    )
    found = [each.rpartition("//")[2] for each in find_foreign_loads(tmp_path)]
    assert found == ["e.org/f", "c.org/a.png", "d.org/a.css"]
