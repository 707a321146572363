# SPDX-License-Identifier: Apache-2.0
"""`clean` and `run.keep`: which folders may be removed, and what stays of them."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coordinator.cli.verbs.run import run_config
from coordinator.cli.verbs.runs.clean import clean
from coordinator.model.errors import AlreadyEnded, ConfigError, Ending, StorageError
from coordinator.model.pull.documents import BeatState
from tests.unit import make
from tests.unit.cli.test_run import CONFIG
from tests.unit.drive.runs.test_status import interrupted, pass_time, publish
from tests.unit.test_batch import load
from tests.unit.test_batch_continue import SECOND_ID, drop_again
from tests.unit.test_batch_pull import ITEMS, World

DAY_S = 86_400.0


def refuse(question: str) -> bool:
    raise AssertionError(f"nobody is to be asked: {question}")


def call(
    world: World,
    *runs: str,
    days: float | None = None,
    yes: bool = True,
    agree: Callable[[str], bool] = refuse,
) -> int:
    arguments = Namespace(runs=list(runs), older_than=days, yes=yes, json=False)
    return clean(arguments, load(), world.data, agree)


def ended(days_ago: float = 1.0) -> World:
    """A world with one run, which has ended so long ago."""
    world = World()
    report = world.run()
    assert world.progress.lease
    publish(world, report)
    world.progress.lease.leave()
    pass_time(world, days_ago * DAY_S)
    return world


def folder(world: World, run_id: str = make.RUN_ID) -> set[str]:
    prefix = world.layout.with_run(run_id).folder
    return {key.removeprefix(prefix) for key in world.data.objects if key.startswith(prefix)}


def test_only_the_stop_and_the_end_stay_of_a_run() -> None:
    world = ended()
    others = {key for key in world.data.objects if make.RUN_ID not in key}
    assert call(world) == 0
    assert folder(world) == {"stop", "end.json"}
    assert {key for key in world.data.objects if make.RUN_ID not in key} == others
    assert set(ITEMS) <= set(world.data.objects)


def test_the_stop_is_first_and_the_first_object_is_last() -> None:
    world, deleted = ended(), list[str]()

    def delete(keys: Any) -> None:
        assert world.layout.stop in world.data.objects
        deleted.extend(keys)

    world.data.delete = delete  # type: ignore[method-assign]
    call(world)
    assert len(deleted) > 10
    assert deleted[-1] == world.layout.start
    assert deleted.count(world.layout.start) == 1


def test_a_removal_that_was_cut_short_is_repeated() -> None:
    world = ended()
    world.data.broken = {"delete"}
    with pytest.raises(StorageError):
        call(world)
    world.data.broken = set()
    assert call(world) == 0
    assert folder(world) == {"stop", "end.json"}


def test_a_run_that_has_not_ended_stays() -> None:
    world = interrupted()
    pass_time(world, DAY_S)
    before = dict(world.data.objects)
    with pytest.raises(ConfigError, match="it has not ended"):
        call(world, make.RUN_ID)
    assert call(world) == 0
    assert world.data.objects == before


@pytest.mark.parametrize("sign", ["lease", "beat"])
def test_a_run_with_a_young_sign_of_life_stays(sign: str) -> None:
    world = ended()
    if sign == "lease":
        world.data.write(world.layout.lease(1), b"{}", "")
    else:
        world.beat(world.bodies["0001-00001"], BeatState.ENDED)
    pass_time(world, 110)
    before = dict(world.data.objects)
    with pytest.raises(ConfigError, match="a sign of life 1 min 50 s ago; try again"):
        call(world, make.RUN_ID)
    call(world)
    assert world.data.objects == before
    pass_time(world, 11)
    call(world, make.RUN_ID)
    assert folder(world) == {"stop", "end.json"}


def test_nothing_is_removed_if_one_of_the_named_must_stay() -> None:
    world = ended()
    before = dict(world.data.objects)
    with pytest.raises(ConfigError, match="there is no run nothing"):
        call(world, make.RUN_ID, "nothing")
    assert world.data.objects == before


def test_only_older_runs_are_taken() -> None:
    world = ended(days_ago=2)
    call(world, days=3)
    assert len(folder(world)) > 2
    call(world, days=1)
    assert folder(world) == {"stop", "end.json"}


@pytest.mark.parametrize("days", [-1.0, float("nan"), float("inf")])
def test_days_that_are_none_are_refused(days: float) -> None:
    with pytest.raises(ConfigError, match="--older-than"):
        call(ended(), days=days)


def test_a_person_is_asked_and_no_means_no(capsys: pytest.CaptureFixture[str]) -> None:
    world, asked = ended(), list[str]()

    def agree(question: str) -> bool:
        asked.append(question)
        return len(asked) > 1

    call(world, yes=False, agree=agree)
    assert len(folder(world)) > 2
    assert f"run {make.RUN_ID} has ended: done" in capsys.readouterr().err
    call(world, yes=False, agree=agree)
    assert folder(world) == {"stop", "end.json"}
    assert asked[0].startswith("Remove the folder of this run")


def test_where_nobody_can_be_asked_nothing_is_removed(tmp_path: Path) -> None:
    world = ended()
    arguments = Namespace(runs=[], older_than=None, yes=False, json=False)
    with pytest.raises(ConfigError, match="--yes"):
        clean(arguments, load(), world.data)
    assert len(folder(world)) > 2


def test_a_run_whose_folder_was_removed_is_not_run_again() -> None:
    world = ended()
    call(world)
    with pytest.raises(AlreadyEnded):
        drop_again(world, run_id=make.RUN_ID, run={"id": make.RUN_ID})
    assert folder(world) == {"stop", "end.json"}
    assert drop_again(world).run_id == SECOND_ID


# run.keep


@pytest.mark.parametrize(
    ("keep", "stays"), [(None, True), ("forever", True), (3, True), (1, False)]
)
def test_older_runs_of_the_batch_are_removed_at_the_end_of_a_run(
    tmp_path: Path, keep: object, stays: bool
) -> None:
    world, path = World(), tmp_path / "config.json"
    first, _ = work_in(world, path)
    other, _ = work_in(world, path, bucket={**CONFIG["bucket"], "exclude": "*7"})
    pass_time(world, 2 * DAY_S)
    second, ending = work_in(world, path, run={"keep": keep})
    assert ending is Ending.DONE
    assert (len(folder(world, first)) > 2) is stays
    assert len(folder(world, second)) > 2
    assert len(folder(world, other)) > 2, "another selection is another batch"


def work_in(world: World, path: Path, **sections: Any) -> tuple[str, Ending]:
    """A run whose workers write into its own folder, whatever its id is."""

    def work(world: World, body: dict[str, Any]) -> None:
        world.progress.run_id = body["run"]
        world.do_lane(body)

    world.work = work
    path.write_text(json.dumps({**CONFIG, **sections}))
    report = run_config(path, connect=world.connect)
    return report.run_id, report.ending


def test_what_fails_while_older_runs_are_removed_costs_the_run_nothing(tmp_path: Path) -> None:
    world, path = World(), tmp_path / "config.json"
    first, _ = work_in(world, path)
    pass_time(world, 2 * DAY_S)
    world.data.broken = {"delete"}
    second, ending = work_in(world, path, run={"keep": 1})
    assert ending is Ending.DONE
    assert "end.json" in folder(world, second)
    assert len(folder(world, first)) > 2
