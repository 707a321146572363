# SPDX-License-Identifier: Apache-2.0
"""What every example consists of, and the data that is made for them."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest
import yaml

from examples.catalogue import EXAMPLES, HERE, Example
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
    if example.name != "grayify":
        assert len(text.splitlines()) <= 40
        assert f"-m examples.demo {example.name}" in text


def test_the_same_seed_makes_the_same_texts_and_recordings(tmp_path: Path) -> None:
    for make in (make_texts, make_recordings):
        first = make(tmp_path / "a", 3)
        second = make(tmp_path / "b", 3)
        assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
        assert len(set(first)) == 3
    with wave.open(str(first[0])) as file:
        assert 1 <= file.getnframes() / file.getframerate() <= 3
