# SPDX-License-Identifier: Apache-2.0
"""What `status` and `runs` say of runs, from their folders alone."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from coordinator.cli.verbs.runs.status import find_exit_code, follow
from coordinator.cli.verbs.runs.text import render_line, render_runs, render_status
from coordinator.drive.progress import Progress
from coordinator.drive.runs.status import (
    RunStatus,
    StatusReader,
    find_newest,
    read_counts,
    write_status,
)
from coordinator.model.errors import ConfigError, Ending
from coordinator.model.pull.documents import BeatState, ItemOutcome, ItemState
from coordinator.model.run import Report
from coordinator.run.folder import RunState, find_runs
from coordinator.run.layout import RunLayout
from coordinator.run.store import publish_end, publish_progress, render_files
from tests.unit import make
from tests.unit.fakes import NOW
from tests.unit.test_batch_continue import ROUNDS, drop_again, half, interrupt, leave
from tests.unit.test_batch_pull import World

TTL_S = 90.0


def read(world: World, run_id: str = make.RUN_ID) -> RunStatus:
    return StatusReader(world.data, world.layout.with_run(run_id), TTL_S).read()


def pass_time(world: World, seconds: float) -> None:
    world.seconds += seconds
    world.data.now = NOW + timedelta(seconds=world.seconds)


def publish(world: World, report: Report) -> None:
    """What the coordinator leaves when a run is over."""
    files = render_files(report)
    for name, (content, _) in files.items():
        world.data.write(f"{world.layout.folder}{name}", content, "")
    publish_progress(world.data, world.layout, report, None)
    publish_end(world.data, world.layout, report, files)


def interrupted() -> World:
    world = World(half, at={20.0: interrupt})
    world.run(run=ROUNDS)
    return world


def test_a_run_is_running_while_its_lease_is_young_and_left_when_it_is_old() -> None:
    world = interrupted()
    assert read(world).folder.state is RunState.RUNNING
    pass_time(world, TTL_S + 60)
    status = read(world)
    assert status.folder.state is RunState.LEFT
    assert "left: its coordinator gives no sign of life" in "\n".join(render_status(status))


def test_a_run_that_was_left_is_counted_from_its_results_and_beats() -> None:
    world = interrupted()
    leave(world)
    before = dict(world.data.objects)
    status = read(world)
    done = sum(result["state"] == "done" for result in list_outcomes(world))
    assert 0 < done < 40
    assert status.folder.state is RunState.LEFT
    assert (status.counts["done"], status.counts["pending"]) == (done, 40 - done)
    assert status.source == "the results"
    assert dict(status.workers) == {"working": 3}
    assert world.data.objects == before, "status writes nothing"
    text = "\n".join(render_status(status))
    assert f"{done} of 40 done" in text
    assert "epoch 1, left" in text
    assert "drop the same config again to continue it" in text
    pass_time(world, 1000)
    assert dict(read(world).workers) == {"gone": 3}


def list_outcomes(world: World) -> list[dict[str, str]]:
    results = [key for key in world.data.objects if "/results/" in key]
    return [item for key in results for item in json.loads(world.data.objects[key])["items"]]


def test_later_rounds_count_and_no_round_is_cut_by_looking() -> None:
    failed = ItemOutcome(0, ItemState.FAILED, key="k", kind="exit", reason="exit 1")

    def work(world: World, body: dict[str, object]) -> None:
        world.do_lane(
            body, lambda key: failed if key == "in/07" else ItemOutcome(0, ItemState.DONE)
        )

    world = World(work)
    report = world.run(run={"retries": 1})
    assert report.accounts
    assert report.accounts.rounds == 2
    leave(world)
    before = set(world.data.objects)
    counts = read(world).counts
    assert (counts["done"], counts["failed"], counts["pending"]) == (39, 1, 0)
    assert set(world.data.objects) == before
    # Had nobody cut the second round, it is not this that does it.
    for key in [key for key in before if "/rounds/002/" in key or "/results/002/" in key]:
        del world.data.objects[key]
    assert read(world).counts["failed"] == 1
    assert not [key for key in world.data.objects if "/rounds/002/" in key]


def test_a_run_that_is_driven_says_what_its_coordinator_says() -> None:
    world = interrupted()
    progress = {
        "message": "watch …",
        "counts": {"listed": 40, "done": 11, "failed": 2, "pending": 27, "odd": "x"},
        "workers": {"working": 3},
        "items_per_s": 2.0,
        "left_s": 13.5,
        "left_s_range": [10.0, 20.0],
    }
    world.data.write(world.layout.progress, json.dumps(progress).encode(), "")
    status = read(world)
    assert dict(status.counts) == {"listed": 40, "done": 11, "failed": 2, "pending": 27}
    assert render_line(status) == (
        "running: 11 of 40 done (28%), 2 failed, 27 pending; workers: 3 working; 2 items/s, "
        "about 13.5 s left (10.0 s to 20.0 s)"
    )
    members = write_status(status)
    assert (members["state"], members["left_s_range"]) == ("running", [10.0, 20.0])
    leave(world)
    assert read(world).counts["done"] != 11, "what is left says nothing new"


def test_while_the_objects_are_listed_nothing_is_counted_as_none() -> None:
    world = interrupted()
    message = "listing the objects: 12,000 keys, 6,000 keys/s"
    progress = {"message": message, "counts": dict.fromkeys(("listed", "done", "pending"), 0)}
    world.data.write(world.layout.progress, json.dumps(progress).encode(), "")
    status = read(world)
    assert render_line(status) == f"running: {message}"
    text = "\n".join(render_status(status))
    assert "not counted yet" in text
    assert message in text


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"counts": 3, "left_s_range": [1]}'])
def test_a_damaged_progress_costs_nothing(content: bytes) -> None:
    world = interrupted()
    world.data.write(world.layout.progress, content, "")
    assert render_status(read(world))


def test_the_end_of_a_run_is_its_last_word() -> None:
    world = World()
    publish(world, world.run())
    status = read(world)
    assert (status.folder.state, status.source) == (RunState.ENDED, "end.json")
    assert status.counts["done"] == 40
    assert not status.foreign_report
    assert "ended: done" in "\n".join(render_status(status))


def test_a_report_that_is_not_the_last_one_is_not_believed() -> None:
    world = World()
    report = world.run()
    publish(world, report)
    key = world.layout.end
    end = json.loads(world.data.objects[key])
    world.data.objects[key] = json.dumps({**end, "counts": {"done": 1}}).encode()
    assert read(world).counts["done"] == 1
    world.data.write(f"{world.layout.folder}report.json", b"{}", "")
    status = read(world)
    assert (status.counts["done"], status.source) == (40, "the results")
    assert status.foreign_report
    assert "not the one that the run ended with" in "\n".join(render_status(status))


def test_a_stop_shows_until_the_run_has_ended() -> None:
    world = interrupted()
    world.data.write(world.layout.stop, b"{}", "")
    assert read(world).folder.state is RunState.STOPPING


def test_the_newest_run_of_the_service_and_the_folder_is_chosen() -> None:
    world = World()
    publish(world, world.run())
    pass_time(world, 60)
    second = drop_again(world, run={"new": True}).run_id
    pass_time(world, 60)
    other = world.layout.with_run("other-run")
    about = {"service": "another", "data": "data/in/"}
    world.data.write(other.start, json.dumps(about).encode(), "")
    # The report of a drop that changed nothing is no run.
    world.data.write(f"{world.layout.with_run('refused').folder}report.json", b"{}", "")
    assert find_newest(world.data, world.layout, "target", TTL_S).run_id == second
    ids = [run.run_id for run in find_runs(world.data, world.layout, TTL_S)]
    assert ids == ["other-run", second, make.RUN_ID]
    with pytest.raises(ConfigError, match="no run of nobody on data/in/"):
        find_newest(world.data, world.layout, "nobody", TTL_S)


def test_the_runs_are_a_table() -> None:
    world = World()
    publish(world, world.run())
    pass_time(world, 60)
    cleaned = world.layout.with_run("cleaned")
    world.data.write(cleaned.end, world.data.objects[world.layout.end], "")
    world.progress = Progress(run_id="x")
    found = find_runs(world.data, world.layout, TTL_S)
    lines = render_runs([(run, read_counts(world.data, run)) for run in found])
    assert [line.split() for line in lines] == [
        ["run", "began", "(UTC)", "state", "done", "failed", "pending", "service"],
        [make.RUN_ID, "2026-11-22", "10:15", "done", "40", "0", "0", "target"],
        ["cleaned", "folder", "removed", "done", "40", "0", "0"],
    ]


def test_a_run_that_is_none_is_an_error() -> None:
    world = World()
    world.run()
    with pytest.raises(ConfigError, match="there is no run nothing in data"):
        read(world, "nothing")


def test_follow_shows_each_look_and_ends_with_the_code_of_the_ending() -> None:
    world = World()
    report = world.run()
    shown: list[RunStatus] = []
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            publish(world, report)

    reader = StatusReader(world.data, RunLayout(world.locations, make.RUN_ID), TTL_S)
    assert follow(reader, shown.append, live=False, wait=wait) == 0
    assert waits == [10.0, 10.0]
    assert [each.folder.state for each in shown][-1] is RunState.ENDED
    assert find_exit_code("partly done") == 1
    assert find_exit_code("what a later version says") == Ending.BROKEN.exit_code


def test_a_worker_that_ended_is_counted_as_such() -> None:
    world = interrupted()
    leave(world)
    body = next(iter(world.bodies.values()))
    world.beat(body, BeatState.ENDED, why="signal")
    assert dict(read(world).workers) == {"ended": 1, "working": 2}
