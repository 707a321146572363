# SPDX-License-Identifier: Apache-2.0
"""A canary: a few items are run first, and the rest only if few enough of them failed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coordinator.cli.verbs.run import run_with_canary
from coordinator.model.errors import Ending
from coordinator.model.run import Report
from tests.unit.crashes import BAD, KEYS, Gate, World


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
