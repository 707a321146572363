# SPDX-License-Identifier: Apache-2.0
"""What every example consists of, and the data that is made for them."""

from __future__ import annotations

import ast
import wave
from pathlib import Path

import pytest
import yaml

from examples.catalogue import EXAMPLES, HERE, Example
from examples.demo import Ending
from examples.recordings import make_recordings
from examples.texts import make_texts

EACH = pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)


def definition_of(example: Example) -> dict[str, object]:
    content = yaml.safe_load((example.folder / f"{example.name}.yaml").read_text("utf-8"))
    ((service,),) = [entry.values() for entry in content["functions"]["oscar"]]
    return dict(service)


def test_every_folder_is_in_the_catalogue() -> None:
    assert {path.parent.name for path in HERE.glob("*/*.yaml")} == set(EXAMPLES)


@EACH
def test_an_example_is_complete(example: Example) -> None:
    service = definition_of(example)
    assert service["name"] == example.name
    assert (example.folder / str(service["script"])).exists() != bool(example.kit)
    assert all((example.folder / program).exists() for program in example.programs)


@EACH
def test_a_readme_is_short_and_names_the_demo(example: Example) -> None:
    text = (example.folder / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 40
    command = "make demo" if example.name == "grayify" else f"-m examples.demo {example.name}"
    assert command in text


def test_the_same_seed_makes_the_same_texts_and_recordings(tmp_path: Path) -> None:
    for make in (make_texts, make_recordings):
        first = make(tmp_path / "a", 3)
        second = make(tmp_path / "b", 3)
        assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
        assert len(set(first)) == 3
    with wave.open(str(first[0])) as file:
        assert 1 <= file.getnframes() / file.getframerate() <= 3


@pytest.mark.parametrize(
    ("outputs", "counts", "said", "good"),
    [
        (3, {"done": 3, "failed": 0}, "3 items, 3 done, 0 failed", True),
        (2, {"done": 2, "failed": 1}, "3 items, 2 done, 1 failed", False),
        (3, {"done": 2, "failed": 0}, "3 items, 2 done, 0 failed, 1 pending", False),
        (2, {"done": 3, "failed": 0}, "3 items, 3 done, 0 failed", False),
        (3, None, "3 items, 3 outputs, none confirmed by the report", True),
        (2, None, "3 items, 2 outputs, none confirmed by the report", False),
    ],
)
def test_the_demo_says_no_more_than_its_report(
    outputs: int, counts: dict[str, int] | None, said: str, good: bool
) -> None:
    ending = Ending(3, outputs, counts)
    assert (str(ending), ending.good) == (said, good)


def count_lines(example: Example) -> int:
    """The lines of code that the example's author wrote."""
    programs = [example.folder / name for name in example.programs]
    if not example.kit:
        programs.append(example.folder / "script.sh")
    shown = 1 if example.kit else 0  # the command that makes the script
    return shown + sum(count_code(path) for path in programs)


def count_code(path: Path) -> int:
    text = path.read_text("utf-8")
    lines = {
        number
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.strip().startswith("#")
    }
    if path.suffix == ".py":
        tree = ast.parse(text)
        owners = (ast.Module, ast.FunctionDef, ast.ClassDef)
        for node in ast.walk(tree):
            if isinstance(node, owners) and ast.get_docstring(node) is not None:
                docstring = node.body[0]
                lines -= set(range(docstring.lineno, (docstring.end_lineno or 0) + 1))
    return len(lines)


@EACH
def test_the_table_of_examples_has_the_lines_of_each(example: Example) -> None:
    (row,) = [
        line
        for line in (HERE / "README.md").read_text("utf-8").splitlines()
        if line.startswith(f"| [{example.name}]({example.name})")
    ]
    code, definition = (cell.strip() for cell in row.split("|")[-3:-1])
    assert int(code) == count_lines(example)
    assert int(definition) == count_code(example.folder / f"{example.name}.yaml")
