# SPDX-License-Identifier: Apache-2.0
"""What must not be the end of a run, and what its end must have waited for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from coordinator.cli.verbs.run import run_config
from coordinator.drive.progress import Progress
from coordinator.model.cluster import Phase
from coordinator.model.errors import Ending, HeldByOther
from coordinator.model.run import Reply, Verdict
from coordinator.model.service import Folder, Service
from coordinator.storage.upload import Written
from tests.unit import make
from tests.unit.crashes import BAD, KEYS, MODES, Gate
from tests.unit.crashes import World as CrashWorld
from tests.unit.test_batch import ITEMS, TARGET, VERIFY, Uploads
from tests.unit.test_batch_continue import ROUNDS, half
from tests.unit.test_batch_pull import World


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), HeldByOther("taken"), RuntimeError()])
def test_a_run_whose_lists_are_not_written_has_not_ended(
    tmp_path: Path, mode: str, error: BaseException
) -> None:
    world = CrashWorld(mode, tmp_path)
    world.gate = world.data.gate = Gate()
    write, broken = world.data.write_lines, True

    def write_lines(key: str, pieces: Iterable[bytes], content_type: str) -> Written:
        if key.endswith("/pending.jsonl") and broken:
            raise error
        return write(key, pieces, content_type)

    world.data.write_lines = write_lines  # type: ignore[method-assign]
    assert run_config(world.path, connect=world.connect).ending.exit_code not in {0, 1}
    assert not [key for key in world.data.objects if key.endswith("/end.json")]
    broken = False
    world.pass_time(1000)
    assert run_config(world.path, connect=world.connect).ending is Ending.DONE
    assert world.runs == {key: 1 + (key == BAD) for key in KEYS}, "nothing is done again"
    assert len([key for key in world.data.objects if key.endswith("/end.json")]) == 1


def test_a_stop_between_two_requests_waits_for_the_workers_that_were_sent() -> None:
    world = World(half)
    sent: list[str] = []

    def answer(job: str) -> Reply:
        sent.append(job)
        if len(sent) == 2:
            world.data.objects[world.layout.stop] = b"{}"
        return Reply(Verdict.ACCEPTED)

    def end() -> None:
        for body in world.bodies.values():
            world.do_lane(body, most=2)

    world.answer, world.at = answer, {45.0: end}
    report = world.run(run=ROUNDS)
    assert (report.ending, len(sent)) == (Ending.STOPPED, 2)
    assert world.seconds >= 45, "it waited for the items in hand"
    assert [worker.state for worker in report.workers] == ["ended", "ended"]


@pytest.mark.parametrize("mode", ["range", "event"])
@pytest.mark.parametrize("named", [True, False])
def test_jobs_that_wait_for_a_node_are_not_sent_again(mode: str, *, named: bool) -> None:
    """The cluster is full for longer than the run waits, and then has room."""
    world = Uploads()
    if mode == "range":
        world.oscar.services = [replace(TARGET, outputs=(Folder("data", "out/"),))]
    world.oscar.named_jobs, world.oscar.phase = named, Phase.PENDING
    world.oscar.answer = lambda service, job: Reply(Verdict.ACCEPTED)
    run = {"verify": VERIFY, "pending_timeout_s": 60}
    report = world.run(run=run)
    sent = list(world.oscar.jobs)
    assert (report.ending, world.progress.over) == (Ending.PARTLY_DONE, False)
    assert "jobs have not started" in report.message
    assert "drop the same config again to continue the run" in report.message
    assert {job.rpartition("-")[2] for job in sent} == {"1"}, "no second round"
    assert world.progress.lease
    world.progress.lease.leave()

    def write(service: Service, job: str) -> Reply:
        write_outputs()
        return Reply(Verdict.ACCEPTED)

    def write_outputs() -> None:
        world.data.objects |= {f"out/{key.removeprefix('in/')}.x": b"" for key in ITEMS}

    world.oscar.answer, world.oscar.phase = write, Phase.SUCCEEDED
    world.progress = Progress(run_id="20261122t101700z-3f9a1d")
    if mode == "range":
        write_outputs()
    report = world.run(run=run)
    assert (report.run_id, report.ending) == (make.RUN_ID, Ending.DONE)
    assert len(set(world.oscar.jobs)) == len(world.oscar.jobs), "nothing is sent twice"
