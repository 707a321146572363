# SPDX-License-Identifier: Apache-2.0
"""`cancel`: who brings a run to its end, and what is left of it."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from coordinator.cli.verbs.runs.cancel import cancel
from coordinator.config.load import Config
from coordinator.drive.endings import UNNAMED
from coordinator.model.cluster import Phase
from coordinator.model.errors import ConfigError, Ending, StopRequested
from coordinator.model.pull.documents import BeatState, End
from coordinator.model.service import Folder
from coordinator.run.pull_documents import decode_document
from tests.unit import make
from tests.unit.cli.test_run import CONFIG
from tests.unit.drive.runs.test_status import interrupted, publish
from tests.unit.test_batch import load
from tests.unit.test_batch_continue import ROUNDS, drop_again, half, interrupt, leave
from tests.unit.test_batch_pull import World


def no_wait(seconds: float) -> None:
    raise AssertionError(f"nothing is to be waited for, asked for {seconds} s")


def call(
    world: World,
    folder: Path,
    wait: Callable[[float], object] = no_wait,
    *,
    run_id: str = make.RUN_ID,
    **sections: Any,
) -> int:
    path = folder / "config.json"
    path.write_text(json.dumps({**CONFIG, "run": ROUNDS, **sections}))
    arguments = Namespace(config=path, run=run_id, json=False)
    return cancel(arguments, world.connect, wait)


def end_workers(world: World) -> None:
    for body in world.bodies.values():
        world.beat(body, BeatState.ENDED, why="stopped")


def read_end(world: World) -> End:
    return decode_document(End, world.data.objects[world.layout.end])


def test_a_run_that_was_left_is_brought_to_its_end_and_nothing_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = interrupted()
    leave(world)
    jobs = list(world.oscar.jobs)
    world.at = {world.seconds + 35: lambda: end_workers(world)}
    before = world.seconds
    # Even if much would be free, or the config said otherwise.
    assert call(world, tmp_path, service={"name": "another", "mode": "range"}) == 0
    assert world.seconds - before == 40, "it waited for the items in hand"
    assert world.oscar.jobs == jobs
    end = read_end(world)
    assert end.ending == Ending.STOPPED
    counts = end.counts
    assert 0 < counts["done"] < 40
    assert counts["listed"] == counts["done"] + counts["pending"] == 40
    assert len(world.lines(world.layout.pending)) == counts["pending"]
    assert "stopped: somebody asked for the end of the run" in capsys.readouterr().out


def test_an_invocation_that_was_never_answered_is_not_sent_again(tmp_path: Path) -> None:
    world = World(half, at={20.0: interrupt})
    world.run(run=ROUNDS)
    leave(world)
    post = world.layout.post("0001-00002")
    said = json.loads(world.data.objects[post])
    world.data.objects[post] = json.dumps({**said, "verdict": ""}).encode()
    jobs = list(world.oscar.jobs)
    end_workers(world)
    assert call(world, tmp_path) == 0
    assert world.oscar.jobs == jobs
    assert read_end(world).ending == Ending.STOPPED


def test_a_living_coordinator_is_left_to_do_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = interrupted()
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        assert world.layout.stop in world.data.objects
        if len(waits) == 3:  # what the other process does
            end_workers(world)
            leave(world)
            publish(world, drop_again(world, run=ROUNDS))

    assert call(world, tmp_path, wait) == 0
    assert waits == [2.0, 2.0, 2.0]
    assert f"run {make.RUN_ID} has ended: stopped; " in capsys.readouterr().out


def test_a_coordinator_that_died_is_waited_for_until_its_lease_is_old(tmp_path: Path) -> None:
    world = interrupted()
    end_workers(world)

    def wait(seconds: float) -> None:
        world.wait(Event(), seconds)

    before = world.seconds
    assert call(world, tmp_path, wait) == 0
    assert read_end(world).ending == Ending.STOPPED
    assert 60 < world.seconds - before < 130


def test_a_second_cancel_and_one_of_a_run_that_ended_change_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = interrupted()
    leave(world)
    end_workers(world)
    assert call(world, tmp_path) == 0
    before = dict(world.data.objects)
    assert call(world, tmp_path) == 0
    assert world.data.objects == before
    assert f"run {make.RUN_ID} has ended: stopped" in capsys.readouterr().out


def test_a_stop_that_is_there_already_is_kept(tmp_path: Path) -> None:
    world = interrupted()
    leave(world)
    end_workers(world)
    world.data.objects[world.layout.stop] = b"first"
    assert call(world, tmp_path) == 0
    assert world.data.objects[world.layout.stop] == b"first"


def test_ctrl_c_leaves_the_stop_in_force_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = interrupted()

    def wait(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        call(world, tmp_path, wait)
    assert world.layout.stop in world.data.objects
    assert "its stop stays in force" in capsys.readouterr().err
    # The same while this process drives the run.
    leave(world)
    world.at = {world.seconds + 5: interrupt}
    assert call(world, tmp_path) == 130
    assert "its stop stays in force" in capsys.readouterr().err
    assert world.layout.end not in world.data.objects
    end_workers(world)
    assert call(world, tmp_path) == 0
    assert read_end(world).ending == Ending.STOPPED


def begin_unplanned() -> tuple[World, Config]:
    """A run whose coordinator died before it had a plan."""
    world, config = World(), replace(load(), run_id=make.RUN_ID)
    world.connect(config)
    world.data.write(world.layout.start, b"{}", "")
    return world, config


def test_a_run_that_was_not_planned_ends_without_a_listing(tmp_path: Path) -> None:
    world, _ = begin_unplanned()
    world.data.broken = {"list in/"}
    assert call(world, tmp_path) == 0
    assert read_end(world).ending == Ending.STOPPED
    assert world.oscar.jobs == []


def test_a_drop_that_continues_a_run_with_a_stop_and_no_plan_ends_it() -> None:
    world, config = begin_unplanned()
    world.data.write(world.layout.stop, b"{}", "")
    with pytest.raises(StopRequested):
        world.run_config(config)
    assert world.oscar.jobs == []


def test_before_4_1_the_report_says_that_waiting_jobs_stay(tmp_path: Path) -> None:
    world = interrupted()
    leave(world)
    world.oscar.named_jobs = False
    end_workers(world)
    assert call(world, tmp_path) == 0
    report = json.loads(world.data.objects[f"{world.layout.folder}report.json"])
    assert UNNAMED in report["warnings"]


def test_a_run_that_is_none_gets_no_stop(tmp_path: Path) -> None:
    world = interrupted()
    with pytest.raises(ConfigError, match="there is no run nothing"):
        call(world, tmp_path, run_id="nothing")
    assert world.layout.with_run("nothing").stop not in world.data.objects


@pytest.mark.parametrize("mode", ["range", "event"])
def test_runs_of_other_modes_are_ended_too(tmp_path: Path, mode: str) -> None:
    folder, outputs = Folder("data", "up/"), (Folder("data", "out/"),)
    service = {
        "range": make.service(mount=Folder("data", ""), outputs=outputs),
        "event": make.service(inputs=(folder,), outputs=outputs),
    }[mode]
    world = World(lambda world, body: None, service=service)
    world.oscar.phase = Phase.RUNNING
    world.at = {20.0: interrupt}
    sections: dict[str, Any] = {"run": {**ROUNDS, "verify": {"prefix": "out", "suffix": ".up"}}}
    assert world.run(**sections).ending is Ending.INTERRUPTED
    leave(world)
    jobs = list(world.oscar.jobs)
    world.data.write("out/07.up", b"x", "")
    # One more would be sent, as if the coordinator had been killed before it.
    del world.data.objects[max(key for key in world.data.objects if "/posts/" in key)]
    assert call(world, tmp_path, **sections) == 0
    assert world.oscar.jobs == jobs
    assert sorted(world.oscar.deleted) == sorted(jobs)
    end = read_end(world)
    assert end.ending == Ending.STOPPED
    assert (end.counts["done"], end.counts["pending"]) == (1, 39)
