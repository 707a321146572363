# SPDX-License-Identifier: Apache-2.0
"""The shape of the package, as a law: who imports what, and how large a room may be."""

from __future__ import annotations

import ast
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "coordinator"
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py"))
TREES = {name: ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8")) for name in MODULES}

# A module imports from its own layer or from those below it.
LAYERS = [
    {"errors"},
    {"choice", "room"},
    {"model", "objects"},
    {
        "ahead",
        "auto",
        "capacity",
        "config",
        "cost",
        "credentials",
        "definition",
        "deploy",
        "done",
        "explain",
        "index",
        "invoke",
        "keys",
        "listing",
        "manifest",
        "offline",
        "oscar",
        "parallel",
        "payload",
        "plan",
        "preflight",
        "quantity",
        "report",
        "selection",
        "simulate",
        "status",
        "storage",
        "story",
        "strategies",
        "upload",
        "walk",
        "workload",
    },
    {"batch"},
    {"__main__"},
]
# Who may know a package from outside; every other module knows the standard library alone.
FOREIGN = {
    "minio": {"storage"},
    "certifi": {"storage"},
    "requests": {"oscar"},
    "urllib3": {"storage", "oscar"},
    "jinja2": {"report"},
    "yaml": {"config", "keys", "credentials", "deploy"},
}
STANDARD = {
    "__future__", "argparse", "array", "base64", "bisect", "collections", "concurrent",
    "contextlib", "csv", "dataclasses", "datetime", "decimal", "difflib", "enum", "fractions",
    "hashlib", "heapq", "io", "itertools", "json", "logging", "math", "operator", "os", "pathlib",
    "queue", "random", "re", "secrets", "signal", "statistics", "string", "sys", "threading",
    "time", "types", "typing", "urllib", "xml", "zlib",
}  # fmt: skip
# The stages that decide: no network, no files, no environment, no clock.
PURE = {"auto", "capacity", "errors", "index", "model", "payload", "plan", "preflight", "quantity"}
PURE |= {"done", "listing", "manifest", "objects", "report", "selection", "status", "upload"}
PURE |= {"choice", "cost", "definition", "explain", "room", "simulate", "strategies", "workload"}
EFFECTS = {"os", "pathlib", "sys", "signal", "logging", "threading", "concurrent"}
LONGEST_MODULE = dict.fromkeys(MODULES, 300) | {"model": 340}
LONGEST_FUNCTION = 40


def imported(tree: ast.AST) -> set[str]:
    """The full names of all that is imported anywhere in a module."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def own(module: str) -> set[str]:
    """The modules of the package that a module imports."""
    inner = {
        name.split(".")[1] for name in imported(TREES[module]) if name.startswith("coordinator.")
    }
    return inner & set(MODULES)


def packages(module: str) -> set[str]:
    return {name.partition(".")[0] for name in imported(TREES[module])}


def layer(module: str) -> int:
    return next(height for height, names in enumerate(LAYERS) if module in names)


def test_every_module_is_in_one_layer() -> None:
    assert sorted(name for names in LAYERS for name in names) == sorted(set(MODULES) - {"__init__"})


@pytest.mark.parametrize("module", [name for name in MODULES if name != "__init__"])
def test_imports_point_down(module: str) -> None:
    assert [name for name in own(module) if layer(name) > layer(module)] == []


def test_imports_have_no_cycle() -> None:
    TopologicalSorter({module: own(module) for module in MODULES}).prepare()


def test_nothing_imports_the_command_line() -> None:
    assert [module for module in MODULES if "__main__" in own(module)] == []


@pytest.mark.parametrize("package", FOREIGN)
def test_a_foreign_package_is_known_only_where_it_may_be(package: str) -> None:
    assert {module for module in MODULES if package in packages(module)} <= FOREIGN[package]


@pytest.mark.parametrize("module", MODULES)
def test_nothing_else_is_imported(module: str) -> None:
    assert packages(module) <= {"coordinator"} | set(FOREIGN) | STANDARD


@pytest.mark.parametrize("module", sorted(PURE))
def test_a_stage_that_decides_touches_nothing(module: str) -> None:
    assert packages(module) & EFFECTS == set()


@pytest.mark.parametrize("module", MODULES)
def test_imports_are_at_the_top(module: str) -> None:
    inside = [
        node.lineno
        for function in ast.walk(TREES[module])
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert inside == []


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(TREES[module])


@pytest.mark.parametrize("module", MODULES)
def test_a_module_fits_its_room(module: str) -> None:
    lines = (PACKAGE / f"{module}.py").read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST_MODULE[module]


@pytest.mark.parametrize("module", MODULES)
def test_a_function_fits_a_screen(module: str) -> None:
    lengths = {
        function.name: (function.end_lineno or 0) - function.lineno + 1
        for function in ast.walk(TREES[module])
        if isinstance(function, ast.FunctionDef)
    }
    assert {name: n for name, n in lengths.items() if n > LONGEST_FUNCTION} == {}


def test_only_the_command_line_prints_and_exits() -> None:
    def calls(module: str) -> set[str]:
        called = (n.func for n in ast.walk(TREES[module]) if isinstance(n, ast.Call))
        return {ast.unparse(function) for function in called}

    loud = {module for module in MODULES if calls(module) & {"print", "sys.exit", "exit"}}
    assert loud == {"__main__"}


def test_the_map_of_the_house_names_every_room() -> None:
    text = ast.get_docstring(TREES["__init__"]) or ""
    named = {line.split()[0] for line in text.splitlines() if line.startswith("  ")}
    assert set(MODULES) - {"__init__"} <= named


def test_the_runtime_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {requirement.partition(">")[0] for requirement in project["dependencies"]}
    assert names == {"requests", "minio", "pyyaml", "jinja2"}
