# SPDX-License-Identifier: Apache-2.0
"""What the image and the site install is pinned to files whose hashes are known."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINNED = re.compile(r"[A-Za-z0-9_.-]+==[0-9][^ ]*( --hash=sha256:[0-9a-f]{64})+")


def read_requirements(name: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = (re.sub(r"\s+", " ", line).strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize(
    "name", ["requirements.txt", "requirements-build.txt", "requirements-docs.txt"]
)
def test_every_requirement_has_one_version_and_hashes(name: str) -> None:
    lines = read_requirements(name)
    assert lines
    assert [line[:60] for line in lines if not PINNED.fullmatch(line)] == []


def test_the_package_is_built_with_the_tool_whose_hash_is_known() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (built_with,) = project["build-system"]["requires"]
    assert [line.split()[0] for line in read_requirements("requirements-build.txt")] == [built_with]


def test_every_runtime_package_is_in_the_image() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {line.partition("==")[0].lower() for line in read_requirements("requirements.txt")}
    assert {each.partition(">")[0] for each in project["dependencies"]} <= names


def test_the_image_refuses_files_without_a_known_hash() -> None:
    steps = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "--require-hashes" in steps
    assert "--no-build-isolation" in steps, "a build environment of its own would fetch more files"


def test_the_site_is_built_only_of_files_with_a_known_hash() -> None:
    steps = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "--require-hashes -r requirements-docs.txt" in steps
