# SPDX-License-Identifier: Apache-2.0
"""The sandbox as code: rooms of a size, a map that names them all, pure rooms that stay pure."""

import ast
from pathlib import Path

import pytest

HERE = Path(__file__).parents[3] / "sandbox"
TREES = {path.stem: ast.parse(path.read_text("utf-8")) for path in HERE.glob("*.py")}
PURE = {"budget", "cluster", "definition", "faults", "job", "listing", "profiles", "status"}
PURE |= {"submission"}
OUTSIDE = {"os", "pathlib", "socket", "subprocess", "aiohttp", "minio", "requests", "threading"}


@pytest.mark.parametrize("module", sorted(TREES))
def test_a_module_says_what_it_is_for_and_fits_its_room(module: str) -> None:
    assert ast.get_docstring(TREES[module])
    assert (HERE / f"{module}.py").read_text("utf-8").count("\n") <= 300


@pytest.mark.parametrize("module", sorted(TREES))
def test_a_function_fits_a_screen(module: str) -> None:
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 40, node.name


@pytest.mark.parametrize("module", sorted(PURE))
def test_what_is_called_pure_touches_nothing(module: str) -> None:
    names = set()
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).split(".")[0])
    assert names & OUTSIDE == set()


def test_the_map_names_every_room() -> None:
    text = ast.get_docstring(TREES["__init__"]) or ""
    named = {line.split()[0] for line in text.splitlines() if line.startswith("  ")}
    assert set(TREES) - {"__init__"} <= named
