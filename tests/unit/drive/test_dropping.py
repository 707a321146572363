# SPDX-License-Identifier: Apache-2.0
"""A run that was dropped is found and followed by its documents in the bucket."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from coordinator.drive.dropping import DROPS, Drop, drop_until_begun, follow_run
from coordinator.model.errors import ClusterError, Ending
from coordinator.model.service import Folder, Locations
from coordinator.report.document import write_report
from coordinator.run.layout import RunLayout
from tests.unit import make
from tests.unit.fakes import FakeBucket

STATE = Folder("data", ".oscar-batch/")
OTHER = "20261123t000000z-0a0a0a"
LAYOUT = RunLayout(Locations(Folder("data", "in/"), STATE), make.RUN_ID)
Answer = Callable[[FakeBucket], None]


def make_drop(data: FakeBucket) -> Drop:
    return Drop(b"{}", data, "in/x.json", data, LAYOUT, ((data, STATE),))


def report(run_id: str, config: str, ending: str = "running") -> Answer:
    """A coordinator that writes a report."""

    def write(data: FakeBucket) -> None:
        content = {"run": run_id, "ending": ending, "origin": {"config": config}}
        data.objects[f"{LAYOUT.with_run(run_id).folder}report.json"] = json.dumps(content).encode()

    return write


def begin(run_id: str) -> Answer:
    def write(data: FakeBucket) -> None:
        data.objects[LAYOUT.with_run(run_id).start] = b"{}"

    return write


class World:
    """A bucket in which coordinators answer drops."""

    def __init__(self, *answers: Answer) -> None:
        self.data = FakeBucket("data")
        self.answers = list(answers)
        self.drops = 0

    def wait(self, _: float) -> None:
        if "in/x.json" in self.data.objects:
            del self.data.objects["in/x.json"]
            self.drops += 1
            if self.answers:
                self.answers.pop(0)(self.data)


def test_the_report_of_a_run_that_goes_on_is_not_its_end() -> None:
    data = FakeBucket("data")
    drop = make_drop(data)
    key = f"{LAYOUT.folder}report.json"
    assert drop.read_report() is None
    data.objects[key] = json.dumps({"ending": "running"}).encode()
    assert drop.read_report() is None
    data.objects[key] = json.dumps({"ending": "done"}).encode()
    assert drop.read_report() == {"ending": "done"}


def test_a_run_is_known_by_its_first_object() -> None:
    world = World(lambda _: None, begin(make.RUN_ID))
    found = drop_until_begun(make_drop(world.data), 5, world.wait)
    assert (found.layout.run_id, world.drops) == (make.RUN_ID, 2)


@pytest.mark.parametrize("before", [(), (begin(OTHER), report(OTHER, "earlier.json"))])
def test_a_run_with_another_id_is_known_by_the_file_that_its_report_names(
    before: tuple[Answer, ...],
) -> None:
    """It is new (a redrive, or a drop that changes nothing), or was open and is continued."""
    world = World(report(OTHER, "x.json"))
    for each in before:
        each(world.data)
    found = drop_until_begun(make_drop(world.data), 5, world.wait)
    assert (found.layout.run_id, world.drops) == (OTHER, 1)


def test_a_report_of_another_drop_or_of_a_run_that_had_ended_is_not_taken() -> None:
    world = World(report(OTHER, "y.json"))
    ended = "20261121t000000z-0b0b0b"
    for each in (begin(ended), report(ended, "x.json", "done")):
        each(world.data)
    world.data.objects[LAYOUT.with_run(ended).end] = b"{}"
    with pytest.raises(ClusterError, match=f"has not begun after {DROPS} drops"):
        drop_until_begun(make_drop(world.data), 2, world.wait)
    assert world.drops == DROPS


def test_the_run_that_is_redriven_is_not_taken_for_its_redrive() -> None:
    world = World(report(OTHER, "x.json"))
    begin(make.RUN_ID)(world.data)
    report(make.RUN_ID, "x.json", "partly done")(world.data)
    world.data.objects[LAYOUT.end] = b"{}"
    drop = replace(make_drop(world.data), redrive=True)
    assert drop_until_begun(drop, 5, world.wait).layout.run_id == OTHER


def test_a_redrive_is_dropped_once_because_every_drop_of_it_is_a_run() -> None:
    world = World()
    drop = replace(make_drop(world.data), redrive=True)
    with pytest.raises(ClusterError, match=r"the redrive of run .* has not begun after 1 drops"):
        drop_until_begun(drop, 2, world.wait)
    assert world.drops == 1


def test_who_follows_a_run_sees_how_far_it_is_until_it_has_ended() -> None:
    data = FakeBucket("data")
    ended = write_report(make.report(Ending.DONE))
    steps = [
        (LAYOUT.progress, {"message": "listing the objects: 8 keys, 8 keys/s"}),
        (LAYOUT.progress, {"message": "3 of 8 items done, 0 failed", "items_per_s": 0.5,
                           "left_s": 10.0, "left_s_range": [5.0, 20.0]}),
        (f"{LAYOUT.folder}report.json", ended),
    ]  # fmt: skip

    def wait(_: float) -> None:
        key, content = steps.pop(0)
        data.objects[key] = json.dumps(content).encode()

    shown: list[str] = []
    found = follow_run(make_drop(data), lambda text: None, shown.append, wait)
    assert found.ending is Ending.DONE
    assert shown == [
        "listing the objects: 8 keys, 8 keys/s",
        "3 of 8 items done, 0 failed; 0.5 items/s, about 10.0 s left (5.0 s to 20.0 s)",
    ]
