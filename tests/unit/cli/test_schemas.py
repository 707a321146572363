# SPDX-License-Identifier: Apache-2.0
"""The published JSON Schemas say what the program writes, no more and no less."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from coordinator.cli.main import main
from coordinator.cli.setup_arguments import DOCUMENTS
from coordinator.cli.verbs.setup.schema import write_schema
from coordinator.drive.publishing import Publisher
from coordinator.drive.runs.status import StatusReader, read_counts, write_folder, write_status
from coordinator.drive.setup.findings import Finding, State
from coordinator.model.errors import Ending
from coordinator.model.pull.documents import End, ItemOutcome, ItemState
from coordinator.model.pull.findings import WorkerState
from coordinator.model.run import Report
from coordinator.report.document import write_capacity
from coordinator.run.folder import RunState, find_runs
from coordinator.run.item_files import FailedItem
from tests.unit import make
from tests.unit.fakes import NOW
from tests.unit.test_batch import load
from tests.unit.test_batch_continue import ROUNDS, drop_again, half, interrupt, leave
from tests.unit.test_batch_pull import World

DOCS = Path(__file__).parents[3] / "docs"
SCHEMAS = {name: json.loads(write_schema(name)) for name in DOCUMENTS}
CHECKERS = {name: jsonschema.Draft202012Validator(schema) for name, schema in SCHEMAS.items()}
FILES = ("report", "plan", "progress", "end")
LISTS = ("failed.jsonl", "pending.jsonl", "skipped.jsonl")
TTL_S = 90.0


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_published_schema_is_current_and_a_schema(document: str) -> None:
    text = (DOCS / f"{document}.schema.json").read_text("utf-8")
    assert text == write_schema(document), (
        f"run: oscar-batch schema {document} > docs/{document}.schema.json"
    )
    jsonschema.Draft202012Validator.check_schema(json.loads(text))
    assert json.loads(text)["$id"] == f"{document}.schema.json"


def test_every_published_schema_is_printed_and_documented() -> None:
    published = {path.name.partition(".")[0] for path in DOCS.glob("*.schema.json")}
    assert published == set(DOCUMENTS)
    page = (DOCS / "documents.md").read_text("utf-8")
    assert set(re.findall(r"\]\((\w+)\.schema\.json\)", page)) == published


@pytest.mark.parametrize("document", sorted({*DOCUMENTS} - {"config", "plan"}))
def test_every_member_is_described_and_no_other_is_allowed(document: str) -> None:
    for found in list_objects(SCHEMAS[document]):
        assert found["additionalProperties"] is False
        for name, member in found["properties"].items():
            assert member.get("description") or member.get("anyOf"), name


def list_objects(schema: Any) -> list[Any]:
    if isinstance(schema, list):
        return [found for part in schema for found in list_objects(part)]
    if not isinstance(schema, dict):
        return []
    inner = [found for part in schema.values() for found in list_objects(part)]
    return [schema, *inner] if "properties" in schema and "type" in schema else inner


def validate(document: str, value: object) -> None:
    CHECKERS[document].validate(json.loads(json.dumps(value)))


def check_folder(world: World) -> set[str]:
    """Validates all documents in the folder of a run; the names of those that it has."""
    found = set()
    for name in FILES:
        if content := world.data.objects.get(f"{world.layout.folder}{name}.json"):
            validate(name, json.loads(content))
            found.add(name)
    for name in LISTS:
        for line in world.data.objects.get(f"{world.layout.folder}{name}", b"").splitlines():
            validate("items", json.loads(line))
            found.add(name)
    return found


def run(world: World, **sections: Any) -> Report:
    """Runs it as the command does, which publishes how far it is."""
    world.locations = load(**sections).locations
    publisher = Publisher(world.locations, world.data, None, world.progress, lambda: world.seconds)
    world.progress.publish = publisher.refresh
    return publisher.publish(world.run(**sections))


def fail_one(world: World, body: dict[str, Any]) -> None:
    failed = ItemOutcome(0, ItemState.FAILED, 0.5, 1, "in/07", "exit", "exit 1", "no such fish")
    world.do_lane(body, lambda key: failed if key == "in/07" else ItemOutcome(0, ItemState.DONE))


def read_status(world: World) -> Any:
    return write_status(StatusReader(world.data, world.layout, TTL_S).read())


def test_what_a_run_leaves_and_what_is_said_of_it_is_as_published() -> None:
    world = World(fail_one)
    assert run(world, run={"retries": 0}).ending is Ending.PARTLY_DONE
    assert check_folder(world) == {*FILES, "failed.jsonl"}
    validate("status", read_status(world))


def test_so_is_that_of_a_run_which_works_and_of_one_that_was_left() -> None:
    seen: list[tuple[str, float | None]] = []

    def look() -> None:
        check_folder(world)
        validate("status", status := read_status(world))
        seen.append((status["state"], status["items_per_s"]))

    def look_and_leave() -> None:
        look()
        raise KeyboardInterrupt

    world = World(half, at={12.0: look, 45.0: look_and_leave})
    run(world, run=ROUNDS)
    leave(world)
    assert check_folder(world) >= {"report", "plan", "progress"}
    validate("status", read_status(world))
    assert [state for state, _ in seen] == ["running", "running"]
    assert seen[-1][1] is not None, "the speed is known"


def test_the_runs_are_as_published() -> None:
    world = World(half, at={20.0: interrupt})
    run(world, run=ROUNDS)
    world.seconds += 1000
    world.data.now = NOW + timedelta(seconds=world.seconds)
    drop_again(world, run={**ROUNDS, "new": True}, run_id="20261122t101500z-5b5b5b")
    found = find_runs(world.data, world.layout, TTL_S)
    rows = [{**write_folder(run), "counts": read_counts(world.data, run)} for run in found]
    assert len(rows) == 2
    validate("runs", {"schema": "oscar-batch/runs/1", "state": "data/runs/", "runs": rows})


@pytest.mark.parametrize("ending", Ending)
def test_every_ending_has_a_progress_and_an_end(ending: Ending) -> None:
    world = World()
    run(world)
    progress = json.loads(world.data.objects[world.layout.progress])
    validate("progress", {**progress, "state": str(ending)})
    end = json.loads(world.data.objects[world.layout.end])
    if ending is not Ending.RUNNING:
        validate("end", {**end, "ending": str(ending)})


def test_schemas_name_every_member_and_every_state() -> None:
    members = {name: schema.get("properties", {}) for name, schema in SCHEMAS.items()}
    world = World()
    run(world)
    assert set(members["progress"]) == set(json.loads(world.data.objects[world.layout.progress]))
    assert set(members["status"]) == set(read_status(world))
    assert set(members["end"]) == {"schema", *(each.name for each in fields(End))}
    failed = SCHEMAS["items"]["anyOf"][0]["properties"]
    assert set(failed) == {each.name for each in fields(FailedItem)}
    assert members["status"]["state"]["enum"] == list(RunState)
    for name in ("progress", "status"):
        assert members[name]["workers"]["propertyNames"]["enum"] == list(WorkerState)
    (finding,) = list_objects(SCHEMAS["doctor"])
    assert set(finding["properties"]) == {each.name for each in fields(Finding)}
    assert finding["properties"]["state"]["enum"] == list(State)


def test_the_capacity_is_as_published() -> None:
    plan = make.plan()
    assert plan.capacity
    validate("capacity", write_capacity(plan.capacity))


def test_findings_are_as_published() -> None:
    validate("doctor", [asdict(Finding("mode", state, "found", "do this")) for state in State])


def test_a_document_of_another_form_is_refused() -> None:
    for document in DOCUMENTS:
        assert not CHECKERS[document].is_valid({"schema": "oscar-batch/other/1"})


def test_the_help_says_what_each_document_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["schema", "--help"])
    text = " ".join(capsys.readouterr().out.split()).partition("positional arguments")[2]
    for document in DOCUMENTS:
        assert document in text.rpartition("}")[2], document
