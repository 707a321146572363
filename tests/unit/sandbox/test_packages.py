# SPDX-License-Identifier: Apache-2.0
"""The layout of the sandbox: what each package may import and touch, and how large a module is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HERE = ROOT / "sandbox"
MODULES = {
    ".".join(path.relative_to(HERE).with_suffix("").parts): path
    for path in HERE.rglob("*.py")
    if path.name != "setup.py" and path.relative_to(HERE).parts[0] != "build"
}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}
# A package imports itself and what stands behind it here.
ORDER = [
    "__main__",
    "up",
    "look",
    "extras",
    "client_settings",
    "handle",
    "state",
    "api",
    "jobs",
    "services",
    "storage",
    "cluster",
]
ORDER += ["process"]
# The packages that may import what touches the world outside a function: network, disk, clock,
# processes, chance.
TOUCH = {
    "aiohttp": {"api", "storage", "up"},
    "asyncio": {"__main__", "api", "jobs", "services", "storage", "up"},
    "ctypes": {"__main__", "jobs"},
    "fcntl": {"state"},
    "minio": {"handle", "jobs", "storage"},
    "os": {"__main__", "extras", "jobs", "process", "state", "storage", "up"},
    "pathlib": {
        "__main__",
        "api",
        "extras",
        "handle",
        "jobs",
        "look",
        "process",
        "state",
        "storage",
        "up",
    },
    "random": set[str](),
    "requests": {"handle"},
    "secrets": {"services", "storage", "up"},
    "select": {"process"},
    "shutil": {"jobs", "process", "state", "storage"},
    "signal": {"__main__", "jobs", "process", "state", "up"},
    "socket": {"api", "jobs", "storage"},
    "subprocess": {"__main__", "extras", "handle", "jobs", "process", "storage"},
    "sys": {"__main__", "extras", "handle", "jobs", "process", "storage"},
    "tempfile": {"jobs"},
    "threading": {"jobs"},
    "time": {"__main__", "api", "handle", "jobs", "process", "state", "storage"},
    "urllib3": {"storage"},
    "uuid": {"jobs", "services"},
}


def package_of(module: str) -> str:
    return module.partition(".")[0]


def imports(module: str) -> Iterator[str]:
    """The full names that a module imports; those of the sandbox start with a dot."""
    here = module.split(".")
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                target = [*here[: -node.level], *(node.module or "").split("."), alias.name]
                yield "." + ".".join(part for part in target if part)


def own(module: str) -> set[str]:
    """The modules of the sandbox that a module imports."""
    names = [name[1:] for name in imports(module) if name.startswith(".")]
    return {name if name in MODULES else name.rpartition(".")[0] for name in names}


def foreign(module: str) -> set[str]:
    return {name.partition(".")[0] for name in imports(module) if not name.startswith(".")}


def is_program(module: str) -> bool:
    """Whether it can be started by its path or name."""
    return 'if __name__ == "__main__":' in MODULES[module].read_text("utf-8")


def prints(module: str) -> bool:
    calls = (node.func for node in ast.walk(TREES[module]) if isinstance(node, ast.Call))
    return any(isinstance(call, ast.Name) and call.id == "print" for call in calls)


# Programs that run beside the sandbox, inside a job or after its end.
PROGRAMS = {module for module in MODULES if is_program(module)} - {"__main__"}

EVERY = pytest.mark.parametrize("module", sorted(set(MODULES) - {"__init__"}))


@EVERY
def test_a_module_imports_only_packages_below_its_own(module: str) -> None:
    allowed = set(ORDER[ORDER.index(package_of(module)) :])
    assert {name for name in own(module) if package_of(name) not in allowed} == set()
    assert foreign(module) & {"sandbox", "coordinator"} == set()


def test_imports_form_no_circle() -> None:
    TopologicalSorter({module: own(module) - {module} for module in MODULES}).prepare()


@EVERY
def test_only_some_packages_touch_the_world_outside(module: str) -> None:
    touched = foreign(module) & set(TOUCH)
    assert {name for name in touched if package_of(module) not in TOUCH[name]} == set()


def is_called_pure(module: str) -> bool:
    """Whether the docstring of a module says so."""
    return "\n\nPure" in (ast.get_docstring(TREES[module]) or "")


@pytest.mark.parametrize("module", [name for name in sorted(MODULES) if is_called_pure(name)])
def test_a_module_that_is_called_pure_touches_nothing(module: str) -> None:
    allowed = {"pathlib", "shutil"} if module == "process.containers" else set()
    assert foreign(module) & set(TOUCH) <= allowed


@pytest.mark.parametrize("module", sorted(PROGRAMS))
def test_a_program_imports_only_other_programs(module: str) -> None:
    assert own(module) <= PROGRAMS


@EVERY
def test_only_programs_print(module: str) -> None:
    assert not prints(module) or module in {*PROGRAMS, "__main__"}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_says_what_it_is_for_and_is_short(module: str) -> None:
    assert ast.get_docstring(TREES[module])
    assert MODULES[module].read_text("utf-8").count("\n") <= 300


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_function_fits_on_a_screen(module: str) -> None:
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 40, node.name


@pytest.mark.parametrize("package", [name for name in ORDER if (HERE / name).is_dir()])
def test_a_package_says_what_belongs_in_it_and_stays_small(package: str) -> None:
    assert "\n\n" in (ast.get_docstring(TREES[f"{package}.__init__"]) or "")
    assert len(list((HERE / package).glob("*.py"))) <= 12


def test_no_module_has_the_name_of_a_module_of_the_coordinator() -> None:
    theirs = {path.name for path in (ROOT / "coordinator").rglob("*.py")}
    ours = {path.name for path in MODULES.values()}
    assert ours & theirs <= {"__init__.py", "__main__.py"}
