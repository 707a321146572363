# SPDX-License-Identifier: Apache-2.0
"""A canary: a few items are run first, and the rest only if few enough of them failed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coordinator.cli.verbs.run import run_config, run_with_canary
from coordinator.config.credentials import Platform
from coordinator.config.load import load_config
from coordinator.drive.dropping import Drop
from coordinator.drive.planning.canary import make_canary, name_canary
from coordinator.model.errors import Ending
from coordinator.model.run import Report
from coordinator.run.layout import RunLayout
from tests.unit.crashes import BAD, KEYS, Gate, World

RUN_ID = "20261122t101500z-3f9a1c"


class Canary(World):
    """A run in pull mode whose config asks for a canary."""

    def __init__(self, folder: Path, **run: Any) -> None:
        super().__init__("pull", folder)
        config = json.loads(self.path.read_text())
        self.path.write_text(json.dumps({**config, "run": {"poll_s": 10, "canary": 3, **run}}))
        self.gate = self.data.gate = Gate()

    def start(self, **options: Any) -> Report:
        return run_with_canary(self.path, connect=self.connect, **options)


def test_the_rest_follows_a_canary_that_passed_and_leaves_out_what_it_did(tmp_path: Path) -> None:
    world = Canary(tmp_path)
    report = world.start()
    assert report.ending is Ending.DONE
    assert report.count_items()["done"] == len(KEYS) - 3
    assert report.plan
    assert report.plan.index.left_out["run.canary"] == 3
    assert report.plan.choice
    assert report.plan.choice.cost.timed or world.runs
    assert {key: world.runs[key] for key in KEYS} == {key: 1 + (key == BAD) for key in KEYS}
    plans = [key for key in world.data.objects if key.endswith("/plan.json")]
    assert len(plans) == 2, "the canary is a run of its own"


def test_a_canary_with_too_many_failures_ends_the_run_there(tmp_path: Path) -> None:
    world = Canary(tmp_path, canary=9, retries=0)
    report = world.start()
    assert report.ending in {Ending.STOPPED, Ending.PARTLY_DONE}
    assert report.ending.exit_code == 1
    plans = [key for key in world.data.objects if key.endswith("/plan.json")]
    assert len(plans) == 1


def test_a_tolerated_failure_of_the_canary_is_tried_again_in_the_rest(tmp_path: Path) -> None:
    world = Canary(tmp_path, canary=8, retries=0, tolerated_failures=1)
    report = world.start()
    assert report.plan
    assert report.plan.index.left_out["run.canary"] in {7, 8}
    assert report.ending in {Ending.DONE, Ending.TOLERATED}
    assert world.runs.keys() == set(KEYS)


def test_an_unfinished_run_is_continued_without_another_canary(tmp_path: Path) -> None:
    world = Canary(tmp_path)
    world.start()
    (end,) = [key for key in world.data.objects if key.endswith("/end.json") and "20" in key][1:]
    del world.data.objects[end]
    before = dict(world.runs)
    assert world.start().ending is Ending.DONE
    assert dict(world.runs) == before


def test_a_dry_run_has_no_canary_and_a_plan_may_have_one(tmp_path: Path) -> None:
    world = Canary(tmp_path)
    assert world.start(dry_run=True).ending is Ending.PLANNED
    assert world.jobs == []
    report = world.start(dry_run=True, canary=3)
    assert report.ending is Ending.PLANNED
    assert report.plan
    assert report.plan.index.left_out["run.canary"] == 3
    assert sum(world.runs.values()) in {3, 4}


@pytest.mark.parametrize("canary", [-1, 1.5, "3", True])
def test_a_canary_is_a_whole_number(tmp_path: Path, canary: object) -> None:
    report = Canary(tmp_path, canary=canary).start()
    assert report.ending is Ending.BAD_CONFIG
    assert "run.canary" in report.message


def test_a_canary_of_which_nothing_can_be_proven_is_refused_before_it_starts(
    tmp_path: Path,
) -> None:
    world = World("range", tmp_path)
    world.gate = world.data.gate = Gate()
    config = json.loads(world.path.read_text())
    world.path.write_text(json.dumps({**config, "run": {"canary": 3}}))
    report = run_with_canary(world.path, connect=world.connect)
    assert (report.ending, world.jobs) == (Ending.BAD_CONFIG, [])
    assert "run.verify" in report.message
    world.path.write_text(json.dumps({**config, "run": {**config["run"], "canary": 3}}))
    assert run_with_canary(world.path, connect=world.connect).ending is Ending.DONE


def name_run(world: Canary, **run: Any) -> str:
    """The same config with the id of its run, as `submit` drops it."""
    config = json.loads(world.path.read_text())
    world.path.write_text(json.dumps({**config, "run": {**config["run"], "id": RUN_ID, **run}}))
    return RUN_ID


def test_a_second_drop_of_a_run_does_not_run_its_canary_again(tmp_path: Path) -> None:
    world = Canary(tmp_path)
    run_id = name_run(world)
    canary = run_config(world.path, adapt=make_canary, connect=world.connect)
    assert canary.run_id == name_canary(run_id) != run_id
    before = dict(world.runs)
    report = world.start()  # whoever ran the canary died then
    assert (report.run_id, report.ending) == (run_id, Ending.DONE)
    assert report.plan
    assert report.plan.index.left_out["run.canary"] == len(before) == 3
    assert {key: world.runs[key] for key in before} == before


def test_a_canary_that_did_not_pass_is_not_run_again_for_the_same_run(tmp_path: Path) -> None:
    world = Canary(tmp_path, canary=9, retries=0)
    name_run(world)
    first = world.start()
    assert first.ending.exit_code == 1
    before, jobs = dict(world.runs), len(world.ends)
    report = world.start()
    assert report.ending is Ending.BAD_CONFIG
    assert f"run {first.run_id}, and has ended" in report.message
    assert (dict(world.runs), len(world.ends)) == (before, jobs)


def test_submit_sees_the_canary_and_the_end_that_it_may_be(tmp_path: Path) -> None:
    world = Canary(tmp_path, canary=9, retries=0)
    config = load_config(world.path.read_bytes(), Platform())
    run_id = name_run(world)
    layout, state = RunLayout(config.locations, run_id), config.locations.state
    canary = layout.with_run(name_canary(run_id))
    drop = Drop(b"", world.data, "in/x.json", world.data, layout, ((world.data, state),), canary)
    assert not drop.has_begun()
    report = world.start()
    assert (drop.has_begun(), report.run_id) == (True, canary.run_id)
    assert (drop.read_report() or {}).get("run") == canary.run_id
    passed = json.dumps({"ending": str(Ending.DONE)}).encode()
    world.data.objects[f"{canary.folder}report.json"] = passed
    assert drop.has_begun()
    assert drop.read_report() is None, "the rest follows"


def test_a_second_run_beside_an_unfinished_one_has_a_canary_of_its_own(tmp_path: Path) -> None:
    world = Canary(tmp_path)
    world.start()
    (end,) = [key for key in world.data.objects if key.endswith("/end.json") and "20" in key][1:]
    del world.data.objects[end]
    config = json.loads(world.path.read_text())
    world.path.write_text(json.dumps({**config, "run": {**config["run"], "new": True}}))
    report = world.start()
    assert report.plan
    assert report.plan.index.left_out["run.canary"] == 3


def test_a_rest_whose_coordinator_died_before_its_plan_leaves_out_what_the_canary_did(
    tmp_path: Path,
) -> None:
    world = Canary(tmp_path)
    put, plans = world.data.put_new, 0

    def put_new(key: str, content: bytes, content_type: str) -> None:
        nonlocal plans
        plans += key.endswith("/plan.json")
        if key.endswith("/plan.json") and plans == 2:
            raise KeyboardInterrupt
        put(key, content, content_type)

    world.data.put_new = put_new  # type: ignore[method-assign]
    assert world.start().ending is Ending.INTERRUPTED
    before = dict(world.runs)
    report = world.start()
    assert report.plan
    assert report.plan.index.left_out["run.canary"] == len(before) == 3
    assert {key: world.runs[key] for key in before} == before
