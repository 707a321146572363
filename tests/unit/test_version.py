# SPDX-License-Identifier: Apache-2.0
"""The version is in one place; files that must repeat it say the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from coordinator import __version__

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


def test_the_changelog_has_this_version_or_what_will_become_it() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    sections = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    assert sections[0] in {"Unreleased", __version__}


def test_both_wheels_are_built_from_it() -> None:
    for path in ("pyproject.toml", "sandbox/pyproject.toml"):
        text = (ROOT / path).read_text("utf-8")
        assert 'dynamic = ["version"]' in text
        assert __version__ not in text
    tree = ast.parse((ROOT / "coordinator/__init__.py").read_text("utf-8"))
    assert [ast.unparse(each) for each in tree.body[1:]] == [f"__version__ = '{__version__}'"]
