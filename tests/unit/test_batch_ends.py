# SPDX-License-Identifier: Apache-2.0
"""What must not be the end of a run, and what its end must have waited for."""

from __future__ import annotations

import threading
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
from coordinator.run.layout import RunLayout
from coordinator.storage.upload import Written
from tests.unit import make
from tests.unit.crashes import BAD, KEYS, MODES, Gate
from tests.unit.crashes import World as CrashWorld
from tests.unit.test_batch import ITEMS, TARGET, VERIFY, Uploads, load
from tests.unit.test_batch_continue import (
    ROUNDS,
    SECOND_ID,
    drop_again,
    flaky,
    half,
    leave,
)
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
    world.progress = Progress(run_id=SECOND_ID)
    if mode == "range":
        write_outputs()
    report = world.run(run=run)
    assert (report.run_id, report.ending) == (make.RUN_ID, Ending.DONE)
    assert len(set(world.oscar.jobs)) == len(world.oscar.jobs), "nothing is sent twice"


@pytest.mark.parametrize("mode", ["range", "event"])
@pytest.mark.parametrize("limit", [True, False])
def test_a_run_whose_jobs_go_on_ends_at_a_limit_or_at_a_stop(mode: str, *, limit: bool) -> None:
    """Only a limit can be raised."""
    world = Uploads()
    if mode == "range":
        world.oscar.services = [replace(TARGET, outputs=(Folder("data", "out/"),))]
    world.oscar.phase = Phase.RUNNING

    def answer(service: Service, job: str) -> Reply:
        if not limit:
            layout = RunLayout(load().locations, world.progress.run_id)
            world.data.objects[layout.stop] = b"{}"
        return Reply(Verdict.ACCEPTED)

    world.oscar.answer = answer
    report = world.run(run={"verify": VERIFY, "run_timeout_s": 100})
    assert (report.ending, world.progress.over) == (Ending.STOPPED, True)
    assert report.message.startswith("run.run_timeout_s has passed") is limit
    assert ("raise that limit" in report.message) is limit
    assert "run.redrive: true" in report.message


class _Grace(Uploads):
    """A deleted job works on for 30 s, and stores its output then."""

    deleted_s: float | None = None

    def _wait(self, event: threading.Event, seconds: float) -> bool:
        if self.oscar.deleted and self.deleted_s is None:
            self.deleted_s = self.now_s
        super()._wait(event, seconds)
        if self.deleted_s is not None and self.now_s >= self.deleted_s + 30:
            self.data.objects |= {f"out/{key.removeprefix('in/')}.x": b"" for key in ITEMS}
        return False


def test_what_a_deleted_job_still_stores_is_counted() -> None:
    world = _Grace()
    world.oscar.services = [replace(TARGET, outputs=(Folder("data", "out/"),))]
    world.oscar.phase = Phase.RUNNING
    world.oscar.answer = lambda service, job: Reply(Verdict.ACCEPTED)
    report = world.run(run={"verify": VERIFY, "run_timeout_s": 100})
    assert world.oscar.deleted
    assert (report.ending, report.count_items()["done"]) == (Ending.STOPPED, len(ITEMS))


@pytest.mark.parametrize("mode", ["range", "event"])
def test_a_request_that_is_repeated_is_noted_as_open_again(mode: str) -> None:
    """OSCAR was busy, and the coordinator died after the second request and before its answer."""
    world = Uploads()
    if mode == "range":
        world.oscar.services = [replace(TARGET, outputs=(Folder("data", "out/"),))]
    world.oscar.named_jobs = False
    started: list[str] = []

    def answer(service: Service, job: str) -> Reply:
        if len(world.oscar.jobs) == 1:
            return Reply(Verdict.BUSY, "HTTP 503")
        started.append(job)
        if len(started) == 1:
            raise KeyboardInterrupt
        return Reply(Verdict.ACCEPTED)

    world.oscar.answer = answer
    world.run(run={"verify": VERIFY})
    assert len(started) == 1
    assert world.progress.lease
    world.progress.lease.leave()
    world.data.objects |= {f"out/{key.removeprefix('in/')}.x": b"" for key in ITEMS}
    world.progress = Progress(run_id=SECOND_ID)
    report = world.run(run={"verify": VERIFY})
    assert report.run_id == make.RUN_ID
    assert started.count(started[0]) == 1, "its job may exist"


def test_a_lost_answer_stays_noted_when_the_next_request_is_refused() -> None:
    world = World(half)
    replies = [Reply(Verdict.UNCERTAIN, "no answer"), Reply(Verdict.BUSY, "HTTP 503")]
    world.answer = lambda job: replies.pop(0) if replies else Reply(Verdict.BUSY)
    world.run(run={**ROUNDS, "watch": False}, plan={"max_parallel": 1})
    assert [post.verdict for post in world.posts()] == ["uncertain"]


@pytest.mark.parametrize("lanes", [1, 3])
def test_workers_that_oscar_refused_are_sent_by_who_continues_the_run(lanes: int) -> None:
    world = World(answer=lambda job: Reply(Verdict.REFUSED, "HTTP 403"))
    report = world.run(run=ROUNDS, plan={"max_parallel": lanes})
    assert (report.ending, world.progress.over) == (Ending.PARTLY_SUBMITTED, False)
    leave(world)
    world.answer = lambda job: Reply(Verdict.ACCEPTED)
    report = drop_again(world, run=ROUNDS, plan={"max_parallel": lanes})
    assert (report.run_id, report.ending) == (make.RUN_ID, Ending.DONE)


def test_a_later_round_that_is_refused_does_not_hide_what_is_done() -> None:
    world = World(flaky("in/07"))
    accepted, refused = Reply(Verdict.ACCEPTED), Reply(Verdict.REFUSED, "HTTP 403")
    world.answer = lambda job: accepted if len(world.oscar.jobs) <= 3 else refused
    report = world.run(run=ROUNDS)
    assert (report.ending, report.count_items()["done"]) == (Ending.PARTLY_DONE, 39)
    assert "worker 0001-00004: HTTP 403; drop the same config again" in report.message
    assert not world.progress.over
    leave(world)
    world.answer, world.work = lambda job: accepted, lambda world, body: world.do_lane(body)
    report = drop_again(world, run=ROUNDS)
    assert (report.ending, report.message) == (Ending.DONE, "40 done")
