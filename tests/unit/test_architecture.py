# SPDX-License-Identifier: Apache-2.0
"""The layout of the packages: what each may import and touch, and how large a module may be."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "coordinator"
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}

# A package imports itself and what stands behind it here.
ORDER = [
    "__main__", "cli", "batch", "drive", "run", "report", "plan", "index", "oscar", "storage",
    "config", "model",
]  # fmt: skip
# The packages that may import a library; every other one has the standard library alone.
LIBRARIES = {
    "certifi": {"storage"},
    "jinja2": {"drive", "report"},
    "minio": {"storage"},
    "requests": {"oscar"},
    "urllib3": {"storage", "oscar"},
    "yaml": {"config"},
}
# The packages that may touch the world outside the process, and threads.
EFFECTS = {
    "argparse": {"cli"},
    "concurrent": {"drive"},
    "getpass": {"cli"},
    "importlib": {"cli"},
    "os": {"cli"},
    "pathlib": {"cli", "config"},
    "secrets": {"drive", "run"},
    "signal": {"cli"},
    "socket": {"storage"},
    "sys": {"__main__", "cli"},
    "threading": {"cli", "drive", "oscar", "storage"},
    "time": {"cli", "oscar", "storage"},
}
# Standard modules that touch nothing; `logging` is written to everywhere but in pure packages.
HARMLESS = {
    "__future__", "array", "base64", "bisect", "collections", "contextlib", "csv", "dataclasses",
    "datetime", "decimal", "difflib", "email", "enum", "fnmatch", "fractions", "functools",
    "hashlib", "heapq", "html", "http", "io", "itertools", "json", "logging", "math", "operator",
    "random", "re", "shlex", "statistics", "string", "types", "typing", "urllib", "xml", "zlib",
}  # fmt: skip
PURE = {"index", "model", "plan", "report"}
# `datetime` is in pure packages as a value; these calls would read the clock.
CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
MOST_LINES, MOST_FUNCTION_LINES, MOST_MODULES = 300, 40, 12


def package_of(module: str) -> str:
    return module.partition(".")[0]


def imports(module: str) -> Iterator[str]:
    """The full names that a module imports; those of this package start with a dot."""
    here = module.split(".")
    if MODULES[module].name == "__init__.py":
        here = here[:-1]
        here.append("")
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            parents = here[: len(here) - node.level]
            for alias in node.names:
                target = [*parents, *(node.module or "").split("."), alias.name]
                yield "." + ".".join(part for part in target if part)


def own(module: str) -> set[str]:
    """The modules of this package that a module imports."""
    found = set()
    for name in imports(module):
        if name.startswith("."):
            target = name[1:]
            while target and target not in MODULES and f"{target}.__init__" not in MODULES:
                target = target.rpartition(".")[0]
            found.add(target if target in MODULES else f"{target}.__init__".strip("."))
    return found


def foreign(module: str) -> set[str]:
    """The top-level packages outside this one that a module imports."""
    return {name.partition(".")[0] for name in imports(module) if not name.startswith(".")}


def calls(module: str) -> set[str]:
    nodes = (node for node in ast.walk(TREES[module]) if isinstance(node, ast.Call))
    return {ast.unparse(node.func) for node in nodes}


EVERY = pytest.mark.parametrize("module", [name for name in MODULES if name != "__init__"])


def test_every_package_has_its_place_in_the_order() -> None:
    assert {package_of(name) for name in MODULES} - {"__init__"} == set(ORDER)


@EVERY
def test_a_module_imports_only_packages_below_its_own(module: str) -> None:
    height = ORDER.index(package_of(module))
    allowed = {*ORDER[height:], "__init__"}
    assert {name for name in own(module) if package_of(name) not in allowed} == set()


@EVERY
def test_imports_inside_the_package_are_relative(module: str) -> None:
    assert "coordinator" not in foreign(module)


def test_imports_form_no_circle() -> None:
    TopologicalSorter({module: own(module) - {module} for module in MODULES}).prepare()


@EVERY
def test_a_library_is_imported_only_where_it_may_be(module: str) -> None:
    allowed = {name for name, packages in LIBRARIES.items() if package_of(module) in packages}
    allowed |= {name for name, packages in EFFECTS.items() if package_of(module) in packages}
    assert foreign(module) - HARMLESS - allowed == set()


@pytest.mark.parametrize("module", [name for name in MODULES if package_of(name) in PURE])
def test_a_pure_package_neither_logs_nor_reads_the_clock(module: str) -> None:
    assert "logging" not in foreign(module)
    assert calls(module) & CLOCKS == set()


def test_the_clock_is_read_in_one_place() -> None:
    assert {name for name in MODULES if calls(name) & CLOCKS} == {"drive.progress"}


@EVERY
def test_only_the_command_line_prints_and_exits(module: str) -> None:
    if package_of(module) not in {"cli", "__main__"}:
        assert calls(module) & {"print", "sys.exit", "exit", "open"} == set()
    # A secret is looked for in values: JSON spells a quotation mark in it otherwise.
    assert "print_result(json.dumps(" not in MODULES[module].read_text(encoding="utf-8")
    # There, a stream that cannot be written is no traceback.
    if module != "cli.output":
        assert calls(module) & {"print", "sys.stdout.write", "sys.stderr.write"} == set()


@EVERY
def test_imports_are_at_the_top_outside_the_command_line(module: str) -> None:
    functions = [node for node in ast.walk(TREES[module]) if isinstance(node, ast.FunctionDef)]
    inside = [
        node.lineno
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert package_of(module) == "cli" or inside == []


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(TREES[module]) or module == "__main__"


@pytest.mark.parametrize("package", [name for name in ORDER if (PACKAGE / name).is_dir()])
def test_a_package_says_what_belongs_in_it_and_stays_small(package: str) -> None:
    text = ast.get_docstring(TREES[f"{package}.__init__"]) or ""
    assert "\n\n" in text
    assert len(text.splitlines()) <= 5


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES.values()}))
def test_a_folder_has_few_modules(folder: Path) -> None:
    assert len(list(folder.glob("*.py"))) <= MOST_MODULES


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_short(module: str) -> None:
    assert MODULES[module].read_text(encoding="utf-8").count("\n") <= MOST_LINES


@pytest.mark.parametrize("module", MODULES)
def test_a_function_fits_on_a_screen(module: str) -> None:
    lengths = {
        function.name: (function.end_lineno or 0) - function.lineno + 1
        for function in ast.walk(TREES[module])
        if isinstance(function, ast.FunctionDef)
    }
    assert {name: n for name, n in lengths.items() if n > MOST_FUNCTION_LINES} == {}


def test_the_runtime_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {requirement.partition(">")[0] for requirement in project["dependencies"]}
    assert names == {"requests", "minio", "pyyaml", "jinja2"}
