# SPDX-License-Identifier: Apache-2.0
"""The version is in one place; files that must repeat it say the same."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from coordinator import __version__
from docs.pages import find_links

ROOT = Path(__file__).parents[2]
# Files that are read where the package is not.
REPEATED = {
    "worker/oscar_batch_worker.py": r'^VERSION = "(.+)"$',
    "fdl/coordinator.yaml": r"image: ghcr\.io/grycap/oscar-batch:(\S+)",
    "CITATION.cff": r"^version: (\S+)$",
}


@pytest.mark.parametrize("path", sorted(REPEATED))
def test_a_file_says_the_version_of_the_package(path: str) -> None:
    text = (ROOT / path).read_text("utf-8")
    assert re.findall(REPEATED[path], text, re.MULTILINE) == [__version__]


CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_changelog_has_this_version_below_what_is_not_released() -> None:
    titles = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
    releases = [
        re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", each) for each in titles[1:]
    ]
    assert titles[0] == "[Unreleased]"
    assert all(releases), "a title is: ## [1.2.3] - 2026-11-24"
    found = [(each[1], each[2]) for each in releases if each]
    assert found[0][0] == __version__
    assert [date for _, date in found] == sorted((date for _, date in found), reverse=True)
    for title in (each.strip("[]") for each in (titles[0], *(version for version, _ in found))):
        assert f"\n[{title}]: https://" in CHANGELOG, f"there is no link for [{title}]"


def test_the_changelog_groups_changes_by_their_kind() -> None:
    for section in re.split(r"^## ", CHANGELOG, flags=re.MULTILINE)[1:]:
        kinds = re.findall(r"^### (.+)$", section, re.MULTILINE)
        assert set(kinds) <= KINDS
        assert len(kinds) == len(set(kinds)), "a kind has two lists"


def test_a_release_is_described_by_its_part_of_the_changelog(tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    subprocess.run(["make", "--silent", "notes", f"NOTES={notes}"], cwd=ROOT, check=True)
    text = notes.read_text("utf-8")
    assert text.lstrip().startswith("The first release.") or __version__ != "0.2.0"
    assert set(re.findall(r"^#+ (.+)$", text, re.MULTILINE)) <= KINDS
    targets = [link.target for link in find_links(text)]
    assert targets
    assert [each for each in targets if not each.startswith("https://")] == []
    workflow = (ROOT / ".github/workflows/release.yml").read_text("utf-8")
    assert "make notes" in workflow
    assert "--notes-file build/notes.md" in workflow


def test_both_wheels_are_built_from_it() -> None:
    for path in ("pyproject.toml", "sandbox/pyproject.toml"):
        text = (ROOT / path).read_text("utf-8")
        assert "version" in tomllib.loads(text)["project"]["dynamic"]
        assert __version__ not in text
    tree = ast.parse((ROOT / "coordinator/__init__.py").read_text("utf-8"))
    assert [ast.unparse(each) for each in tree.body[1:]] == [f"__version__ = '{__version__}'"]
