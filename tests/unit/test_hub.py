# SPDX-License-Identifier: Apache-2.0
"""The entries for OSCAR Hub are whole, and say what the definitions say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from coordinator import __version__
from coordinator.config.fdl import read_definitions
from coordinator.oscar.definition import parse_service
from hub.__main__ import ENTRIES, Entry, write_entry

WORKFLOWS = Path(__file__).parents[2] / ".github" / "workflows"
MAKEFILE = Path(__file__).parents[2] / "Makefile"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_an_entry_is_whole_and_deployable(entry: Entry, tmp_path: Path) -> None:
    write_entry(entry, tmp_path)
    graph = json.loads((tmp_path / "ro-crate-metadata.json").read_text("utf-8"))["@graph"]
    known = {each["@id"]: each for each in graph}
    parts = {each["@id"] for each in known["./"]["hasPart"]}
    assert parts == {"fdl.yml", "script.sh", "README.md", "icon.png"}
    assert {path.name for path in tmp_path.iterdir()} == {*parts, "ro-crate-metadata.json"}
    assert parts <= known.keys()
    for reference in ("author", "license", "isBasedOn"):
        assert known["./"][reference]["@id"] in known
    assert known["./"]["version"] == __version__
    assert (tmp_path / "icon.png").read_bytes().startswith(b"\x89PNG")

    (definition,) = read_definitions(tmp_path / "fdl.yml", {})
    service = parse_service({**definition, "token": "x"})
    assert service.name == entry.name
    assert service.is_coordinator == (entry.name == "oscar-batch")
    assert service.has_kit == (entry.name != "oscar-batch")
    assert known["./"]["memoryRequirements"] == definition["memory"]


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.yml")), ids=lambda path: path.name)
def test_a_workflow_calls_targets_that_exist(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text("utf-8"))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    asked = [name for step in steps for name in re.findall(r"^make (\S+)", step.get("run", ""))]
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE.read_text("utf-8"), re.MULTILINE))
    assert asked
    assert set(asked) <= targets
