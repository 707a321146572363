# SPDX-License-Identifier: Apache-2.0
"""A run that is dropped again, left, stopped or retried: what each coordinator does and reports."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from threading import Event
from typing import Any

import pytest

from coordinator.config.credentials import Platform
from coordinator.config.load import load_config
from coordinator.drive.progress import Progress
from coordinator.drive.pull.workers.judge import MOST_POSTS
from coordinator.model.access import ClusterAccess, StorageAccess
from coordinator.model.errors import (
    AlreadyEnded,
    ConfigError,
    Ending,
    HeldByOther,
    StopRequested,
    StorageError,
)
from coordinator.model.pull.documents import (
    BeatState,
    ItemOutcome,
    ItemState,
    LeaseDocument,
    Mark,
)
from coordinator.model.run import Reply, Report, Verdict
from coordinator.model.service import Folder
from coordinator.run.layout import RunLayout
from coordinator.run.pull_documents import decode_document, encode_document
from coordinator.run.store import publish_end
from tests.unit import make
from tests.unit.test_batch import load
from tests.unit.test_batch_pull import KEYS, World

SECOND_ID = "20261122t101700z-3f9a1d"
ROUNDS = {"poll_s": 10, "pending_timeout_s": 60}


def drop_again(world: World, *, run_id: str = SECOND_ID, **sections: Any) -> Report:
    """The same config once more, as another process would run it."""
    world.progress = Progress(run_id=run_id)
    world.progress.asked_id = ""
    return world.run_config(load(**sections))


def leave(world: World) -> None:
    assert world.progress.lease
    world.progress.lease.leave()


def interrupt() -> None:
    raise KeyboardInterrupt


def half(world: World, body: dict[str, Any]) -> None:
    """Does one chunk and works on."""
    world.do_lane(body, most=1)
    world.beat(body, BeatState.WORKING)


def finish_all(world: World) -> None:
    for body in list(world.bodies.values()):
        world.do_lane(body)


# Which run a drop is for.


def test_a_second_drop_while_the_run_lives_changes_nothing_and_says_how_far_it_is() -> None:
    world = World(half, at={20.0: interrupt})
    world.run(run=ROUNDS)
    before, jobs = dict(world.data.objects), list(world.oscar.jobs)
    report = {
        "started_at": "s",
        "finished_at": "f",
        "counts": {"done": 3, "listed": 40, "failed": 1},
    }
    key = f"{world.layout.folder}report.json"
    world.data.objects[key] = json.dumps(report).encode()
    with pytest.raises(HeldByOther, match="3 of 40 items were done and 1 had failed") as caught:
        drop_again(world, run=ROUNDS)
    assert make.RUN_ID in str(caught.value)
    assert caught.value.ending.exit_code == 5
    new = {key for key in set(world.data.objects) - set(before) if SECOND_ID in key}
    assert new == set(), "not even a folder of its own"
    assert world.oscar.jobs == jobs


def test_a_run_whose_coordinator_left_is_continued_and_its_workers_go_on() -> None:
    world = World(half, at={20.0: interrupt})
    first = world.run(run=ROUNDS)
    assert first.ending is Ending.INTERRUPTED
    assert f"to continue run {make.RUN_ID}" in first.message
    leave(world)
    done = first.count_items()["done"]
    world.at = {40.0: lambda: finish_all(world)}
    report = drop_again(world, run=ROUNDS)
    assert (report.run_id, report.ending, report.message) == (make.RUN_ID, Ending.DONE, "40 done")
    assert 0 < done < 40
    assert len(world.bodies) == 3, "no worker is invoked a second time"
    assert any("is continued" in warning for warning in report.warnings)
    leases = [key for key in world.data.objects if "/lease/" in key]
    assert len(leases) == 2


def test_the_report_of_a_continued_run_never_says_less_than_the_one_before() -> None:
    world = World(half, at={20.0: interrupt})
    done = world.run(run=ROUNDS).count_items()["done"]
    leave(world)
    world.at = {40.0: lambda: finish_all(world)}
    world.progress, seen = Progress(run_id=SECOND_ID), list[Report]()

    def publish() -> None:
        if world.progress.lease:
            seen.append(world.progress.make_report(Ending.RUNNING, world.progress.describe()))

    world.progress.publish = publish
    world.run_config(load(run=ROUNDS))
    assert seen
    assert min(report.count_items()["done"] for report in seen) == done


def test_a_run_whose_coordinator_died_is_continued_after_its_lease() -> None:
    world = World(half, at={20.0: interrupt})
    world.run(run=ROUNDS)
    with pytest.raises(HeldByOther):
        drop_again(world, run=ROUNDS)
    world.seconds += 100  # nobody renews the lease
    world.at = {world.seconds + 10: lambda: finish_all(world)}
    world.wait(Event(), 0)
    assert drop_again(world, run=ROUNDS).ending is Ending.DONE


def test_a_run_that_ended_is_followed_by_a_new_one() -> None:
    world = World()
    world.run()
    world.data.objects[world.layout.end] = b"{}"
    report = drop_again(world)
    assert (report.run_id, report.ending) == (SECOND_ID, Ending.DONE)
    numbers = sorted(key for key in world.data.objects if "/active/" in key)
    assert [key.rpartition("/")[2] for key in numbers] == ["000001", "000002"]


def test_run_new_starts_a_second_run_beside_the_first() -> None:
    world = World(half, at={20.0: interrupt})
    world.run(run=ROUNDS)
    world.work = lambda world, body: world.do_lane(body)
    report = drop_again(world, run={**ROUNDS, "new": True})
    assert (report.run_id, report.ending) == (SECOND_ID, Ending.DONE)


def test_another_selection_is_another_batch() -> None:
    world = World(half, at={20.0: interrupt})
    world.run(run=ROUNDS)
    world.work = lambda world, body: world.do_lane(body)
    report = drop_again(world, run=ROUNDS, bucket={"exclude": "00"})
    assert (report.run_id, report.count_items()["done"]) == (SECOND_ID, 39)


def test_run_id_names_the_run_to_continue_and_one_that_ended_is_left_alone() -> None:
    world = World(half, at={20.0: interrupt})
    world.run(run=ROUNDS)
    leave(world)
    world.at = {world.seconds + 10: lambda: finish_all(world)}
    report = drop_again(world, run_id=make.RUN_ID, run={**ROUNDS, "id": make.RUN_ID})
    assert report.ending is Ending.DONE
    world.data.objects[world.layout.end] = b"{}"
    before = dict(world.data.objects)
    with pytest.raises(AlreadyEnded, match=r"run\.redrive"):
        drop_again(world, run_id=make.RUN_ID, run={**ROUNDS, "id": make.RUN_ID})
    assert world.data.objects == before


def test_of_two_that_begin_at_once_one_begins_and_the_other_is_held_off() -> None:
    world = World()
    put = world.data.put_new
    raced: list[str] = []

    def put_new(key: str, content: bytes, content_type: str) -> None:
        if "/active/" in key and not raced:
            raced.append(key)
            folder = f".oscar-batch/{SECOND_ID}/"
            world.data.put_new(f"{folder}start.json", b"{}", "")
            lease = LeaseDocument(SECOND_ID, "the other", "")
            world.data.put_new(f"{folder}lease/0001", encode_document(lease), "")
            world.data.objects[key] = json.dumps({"run": SECOND_ID}).encode()
        put(key, content, content_type)

    world.data.put_new = put_new  # type: ignore[method-assign]
    with pytest.raises(HeldByOther, match=SECOND_ID):
        world.run()
    assert world.oscar.jobs == []


def test_a_named_run_without_a_plan_is_prepared_again_under_the_next_epoch() -> None:
    world = World()
    world.data.broken = {"list in/"}
    with pytest.raises(StorageError):
        world.run()
    world.data.broken = set()
    leave(world)
    report = drop_again(world)
    assert (report.run_id, report.ending) == (make.RUN_ID, Ending.DONE)
    assert report.plan
    assert report.plan.index_key.endswith("/index.0002.txt")
    assert [*world.bodies] == ["0002-00001", "0002-00002", "0002-00003"]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("plan.json", b"{"),
        ("plan.json", b'{"schema": "oscar-batch/plan/9"}'),
        ("posts/0001-00001.json", b'{"schema": "oscar-batch/post/9"}'),
    ],
)
def test_a_damaged_or_newer_document_is_named_and_nothing_is_guessed(
    name: str, damage: bytes
) -> None:
    world = World(half, at={20.0: interrupt})
    world.run(run=ROUNDS)
    leave(world)
    key = f"{world.layout.folder}{name}"
    world.data.objects[key] = damage
    jobs = list(world.oscar.jobs)
    with pytest.raises(StorageError, match=f"{key} cannot be read"):
        drop_again(world, run=ROUNDS)
    assert world.oscar.jobs == jobs


def test_an_unreadable_name_of_the_newest_run_is_named() -> None:
    world = World()
    world.run()
    (key,) = [key for key in world.data.objects if "/active/" in key]
    world.data.objects[key] = b"?"
    with pytest.raises(StorageError, match=f"{key} .* cannot be read"):
        drop_again(world)


# The lease.


def test_a_loser_starts_nothing_more_and_says_so() -> None:
    world = World(half)

    def take() -> None:
        lease = LeaseDocument(make.RUN_ID, "another", "")
        world.data.objects[world.layout.lease(2)] = encode_document(lease)
        for body in list(world.bodies.values()):
            world.beat(body, BeatState.ENDED)

    world.at = {15.0: take}
    with pytest.raises(HeldByOther, match="taken over by another coordinator"):
        world.run(run=ROUNDS)
    assert len(world.oscar.jobs) == 3, "their lanes are the other's now"


def test_who_continues_before_the_first_request_sends_what_is_missing() -> None:
    """The first coordinator died between its second note and its request."""
    world = World(half)
    sent: list[str] = []

    def answer(job: str) -> Reply:
        sent.append(job)
        if len(sent) == 2:
            raise KeyboardInterrupt
        return Reply(Verdict.ACCEPTED)

    world.answer = answer
    world.run(run=ROUNDS)
    leave(world)
    world.work = lambda world, body: world.do_lane(body)
    world.at = {world.seconds + 10: lambda: finish_all(world)}
    report = drop_again(world, run=ROUNDS)
    assert report.ending is Ending.DONE
    assert sent.count(f"target-{make.RUN_ID}-0001-00002") == 2, "asked again under its name"
    assert len(set(sent)) == 3
    assert sent[-1].endswith("-0002-00001"), "the third lane had no worker"


def test_without_named_jobs_an_invocation_that_may_exist_is_waited_for() -> None:
    world = World(half)
    world.oscar.named_jobs = False
    sent: list[str] = []

    def answer(job: str) -> Reply:
        sent.append(job)
        if len(sent) == 2:
            raise KeyboardInterrupt
        return Reply(Verdict.ACCEPTED)

    world.answer = answer
    world.run(run=ROUNDS)
    leave(world)
    world.work = lambda world, body: world.do_lane(body)
    world.at = {world.seconds + 10: lambda: finish_all(world)}
    report = drop_again(world, run=ROUNDS)
    assert report.ending is Ending.DONE
    assert sent.count(f"target-{make.RUN_ID}-0001-00002") == 1


# Rounds.


def flaky(*bad: str, until: int = 99, kind: str = "exit") -> Any:
    """A worker's lane in which some items fail in the first rounds."""

    def work(world: World, body: dict[str, Any]) -> None:
        def fate(key: str) -> ItemOutcome:
            if key in bad and body["round"] < until:
                return ItemOutcome(0, ItemState.FAILED, 1.0, 1, key, kind, f"{kind} of {key}")
            return ItemOutcome(0, ItemState.DONE)

        world.do_lane(body, fate)

    return work


def test_what_counts_of_a_round_is_written_before_the_next_round_starts() -> None:
    """Where a chunk may have several results, each coordinator must choose the same items."""
    work, counted = flaky("in/07", until=2), []

    def note(world: World, body: dict[str, Any]) -> None:
        if body["round"] == 2:
            counted.append(world.lines(world.layout.counted(1)))
        work(world, body)

    world = World(note)
    world.data.exclusive = False
    world.run()
    first = [
        chunk
        for body in world.bodies.values()
        if body["round"] == 1
        for chunk in world.chunks(body)
    ]
    assert counted
    rows = [json.loads(line) for line in counted[0]]
    assert {(row["lane"], row["chunk"], row["attempt"]) for row in rows} == {
        (key.lane, key.chunk, None) for key, _, _ in first
    }


def test_items_that_fail_are_retried_alone_and_may_be_done_then() -> None:
    world = World(flaky("in/07", "in/31", until=2))
    report = world.run()
    assert (report.ending, report.message) == (Ending.DONE, "40 done")
    later = [body for body in world.bodies.values() if body["round"] == 2]
    assert 1 <= len(later) <= 2
    index = world.data.objects[later[0]["index"].partition("/")[2]].decode()
    assert index == "in/07\nin/31\n"
    assert report.accounts
    assert (report.accounts.rounds, report.accounts.failures) == (2, ())
    assert world.lines(world.layout.done) == KEYS
    assert {each.detail for each in report.outcomes if "failed" in each.detail} <= {
        each.detail for each in report.outcomes if "0 failed" in each.detail
    }


@pytest.mark.parametrize(
    ("kind", "rounds"),
    [("exit", 3), ("killed its worker", 1), ("missing", 1), ("vanished", 2), ("input", 3)],
)
def test_how_often_a_failure_is_retried_depends_on_its_kind(kind: str, rounds: int) -> None:
    world = World(flaky("in/07", kind=kind))
    report = world.run()
    assert report.ending is Ending.PARTLY_DONE
    assert max(body["round"] for body in world.bodies.values()) == rounds
    (line,) = world.lines(world.layout.failed)
    assert json.loads(line)["attempts"] == rounds
    table = world.lines(world.layout.failed_table)
    assert table[0].startswith("key,reason,attempts")
    assert table[1].startswith("in/07,")


def test_no_retries_if_the_config_says_so() -> None:
    world = World(flaky("in/07"))
    world.run(run={"retries": 0})
    assert {body["round"] for body in world.bodies.values()} == {1}


def test_a_run_is_continued_in_the_round_it_was_left_in() -> None:
    stuck = flaky("in/07", "in/08", until=2)

    def work(world: World, body: dict[str, Any]) -> None:
        if body["round"] == 2:
            world.beat(body, BeatState.WORKING)
        else:
            stuck(world, body)

    world = World(work, at={25.0: interrupt})
    first = world.run(run=ROUNDS)
    assert first.ending is Ending.INTERRUPTED
    assert first.count_items()["pending"] == 2
    leave(world)
    tables = [key for key in world.data.objects if key.endswith("chunks.jsonl")]
    assert len(tables) == 2
    bodies = len(world.bodies)

    def finish() -> None:
        for body in list(world.bodies.values()):
            if body["round"] == 2:
                world.do_lane(body)

    world.at = {world.seconds + 10: finish}
    report = drop_again(world, run={**ROUNDS, "retries": 0})
    assert (report.ending, report.message) == (Ending.DONE, "40 done")
    assert len(world.bodies) == bodies


def test_few_failures_are_tolerated_if_the_config_says_so() -> None:
    world = World(flaky("in/07"))
    report = world.run(run={"tolerated_failures": "5%"})
    assert (report.ending, report.ending.exit_code) == (Ending.TOLERATED, 0)
    assert report.message == "39 of 40 items done, 1 failed; in/07: exit of in/07"


def test_too_many_failures_stop_the_run() -> None:
    def work(world: World, body: dict[str, Any]) -> None:
        if body["lane"] == 1:
            flaky(*KEYS)(world, body)
        else:
            world.beat(body, BeatState.WORKING)

    world = World(work)

    def end() -> None:
        for body in world.bodies.values():
            world.beat(body, BeatState.ENDED, why="stopped")

    world.at = {50.0: end}
    report = world.run(run={**ROUNDS, "tolerated_failures": 3})
    assert (report.ending, report.ending.exit_code) == (Ending.STOPPED, 1)
    assert "more items failed than run.tolerated_failures allows" in report.message
    assert world.layout.stop in world.data.objects
    counts = report.count_items()
    assert counts["listed"] == counts["failed"] + counts["pending"] == 40
    assert len(world.lines(world.layout.pending)) == counts["pending"] > 0


# Stopping.


def test_a_stop_ends_the_run_when_its_workers_have_ended() -> None:
    world = World(half)

    def stop() -> None:
        world.data.objects[world.layout.stop] = b"{}"

    def end() -> None:
        for body in world.bodies.values():
            world.do_lane(body, most=2)

    world.at = {15.0: stop, 45.0: end}
    said: list[str] = []
    world.progress.say = said.append
    report = world.run(run=ROUNDS)
    assert "; somebody asked for the end of the run: the items in hand end; workers: " in said[-1]
    assert "left (" not in said[-1]
    assert (report.ending, report.ending.exit_code) == (Ending.STOPPED, 1)
    assert report.count_items()["done"] > 0
    assert world.seconds == 50, "it waited for the items in hand"
    assert world.oscar.deleted == []
    assert f"run.redrive: true with run.id: {make.RUN_ID}" in report.message
    assert world.progress.over


def test_jobs_that_have_not_started_are_deleted_at_a_stop() -> None:
    def work(world: World, body: dict[str, Any]) -> None:
        if body["lane"] == 1:
            half(world, body)

    world = World(work)

    def stop() -> None:
        world.data.objects[world.layout.stop] = b"{}"
        world.beat(world.bodies["0001-00001"], BeatState.ENDED)

    world.at = {15.0: stop}
    assert world.run(run=ROUNDS).ending is Ending.STOPPED
    assert world.oscar.deleted == [
        f"target-{make.RUN_ID}-0001-00002",
        f"target-{make.RUN_ID}-0001-00003",
    ]


def test_a_stop_while_the_run_had_no_coordinator_is_obeyed_by_the_next() -> None:
    """Also where an invocation would have to be asked again under its name."""
    world = World(half)
    sent: list[str] = []

    def answer(job: str) -> Reply:
        sent.append(job)
        if len(sent) == 2:
            raise KeyboardInterrupt
        return Reply(Verdict.ACCEPTED)

    world.answer = answer
    world.run(run=ROUNDS)
    leave(world)
    world.data.objects[world.layout.stop] = b"{}"
    world.beat(world.bodies["0001-00001"], BeatState.ENDED, why="stopped")
    report = drop_again(world, run=ROUNDS)
    assert (report.ending, len(sent)) == (Ending.STOPPED, 2)
    counts = report.count_items()
    assert counts["done"] + counts["pending"] == 40


def test_what_the_marks_say_is_settled_is_sealed_as_it_is() -> None:
    world = World(lambda world, body: world.beat(body, BeatState.WORKING))

    def stop() -> None:
        body = world.bodies["0001-00001"]
        key, chunk, _ = next(each for each in world.chunks(body) if each[0].lane == 1)
        done = ItemOutcome(chunk.first_line, ItemState.DONE)
        failed = replace(done, state=ItemState.FAILED, key="k", reason="late", kind="exit")
        for attempt, item in ((1, done), (2, failed)):
            mark = Mark("p", attempt, None, (item,))
            name = world.layout.mark(1, key.lane, key.chunk, attempt)
            world.data.objects[name] = encode_document(mark)
        world.data.objects[world.layout.stop] = b"{}"
        for each in world.bodies.values():
            world.beat(each, BeatState.ENDED)

    world.at = {15.0: stop}
    report = world.run(run=ROUNDS)
    assert report.count_items()["done"] == 1, "the lower attempt wins"
    assert report.count_items()["failed"] == 0


def test_a_run_that_takes_too_long_is_stopped() -> None:
    world = World(half)

    def end() -> None:
        for body in world.bodies.values():
            world.beat(body, BeatState.ENDED)

    world.at = {120.0: end}
    report = world.run(run={**ROUNDS, "run_timeout_s": 100})
    assert report.ending is Ending.STOPPED
    assert report.message.startswith("run.run_timeout_s has passed")
    assert "; raise that limit, and run.redrive: true" in report.message


def test_a_chunk_that_takes_too_long_is_given_up_and_its_items_are_retried() -> None:
    def work(world: World, body: dict[str, Any]) -> None:
        if body["round"] == 1 and body["lane"] == 2:
            key, _, _ = next(each for each in world.chunks(body) if each[0].lane == 2)
            claim = world.layout.claim(1, key.lane, key.chunk, 1)
            world.data.write(claim, b"{}", "")
            world.at[100.0] = lambda: world.do_lane(body)
            world.beat(body, BeatState.WORKING)
        else:
            world.do_lane(body)

    world = World(work)
    report = world.run(run={**ROUNDS, "chunk_timeout_s": 30})
    assert (report.ending, report.message) == (Ending.DONE, "40 done")
    assert max(body["round"] for body in world.bodies.values()) == 2


# Recovery.


def test_when_all_workers_are_lost_their_lanes_get_new_ones() -> None:
    def work(world: World, body: dict[str, Any]) -> None:
        if len(world.bodies) <= 3:
            half(world, body)
        else:
            world.do_lane(body)

    world = World(work)
    report = world.run(run=ROUNDS)
    assert report.ending is Ending.DONE
    assert len(world.bodies) == 6


def test_where_each_keeps_to_its_lane_a_run_whose_workers_achieve_nothing_ends() -> None:
    world = World(lambda world, body: world.beat(body, BeatState.ENDED))
    world.data.exclusive = False
    report = world.run(run=ROUNDS)
    assert (report.ending, report.count_items()["pending"]) == (Ending.PARTLY_DONE, 40)
    assert len(world.bodies) == 3 * MOST_POSTS


def test_a_cluster_that_grows_gets_more_workers_while_there_is_work() -> None:
    world = World(half)
    world.at[75.0] = lambda: finish_all(world)
    report = world.run(run=ROUNDS)
    assert report.ending is Ending.DONE
    assert len(world.bodies) == 6, "after a minute, three free slots"
    world = World(half)
    world.at = {float(each): (lambda: finish_all(world)) for each in range(150, 200, 10)}
    world.run(run=ROUNDS, plan={"max_parallel": 3})
    assert len(world.bodies) == 3


def test_a_cluster_that_stays_full_leaves_the_run_to_be_continued() -> None:
    world = World(half)
    full = replace(world.oscar.cluster, nodes=())

    def die() -> None:
        world.oscar.cluster = full
        for body in world.bodies.values():
            world.beat(body, BeatState.ENDED)

    world.at = {15.0: die}
    report = world.run(run=ROUNDS)
    assert (report.ending, world.progress.over) == (Ending.NO_CAPACITY, False)
    assert world.layout.stop not in world.data.objects


# Redrive, and a config that names only a run.


def test_a_redrive_processes_what_failed_in_a_run_that_ended() -> None:
    world = World(flaky("in/07", "in/09"))
    world.run(run={"retries": 0})
    end = world.layout.end
    with pytest.raises(ConfigError, match="has not ended"):
        drop_again(world, run={"id": make.RUN_ID, "redrive": True})
    world.data.objects[end] = b"{}"
    world.work = lambda world, body: world.do_lane(body)
    report = drop_again(world, run={"id": make.RUN_ID, "redrive": True})
    assert (report.run_id, report.message) == (SECOND_ID, "2 done")
    assert report.plan
    assert report.plan.redrive_of == make.RUN_ID
    with pytest.raises(ConfigError, match="there is no run"):
        drop_again(world, run={"id": "20261122t101900z-3f9a1d", "redrive": True})


def test_a_redrive_is_a_new_run_also_beside_an_unfinished_one() -> None:
    """The unfinished run is of the same work; it is neither continued nor changed."""
    world = World(flaky("in/07", "in/09"))
    publish_end(
        world.data, RunLayout(load().locations, make.RUN_ID), world.run(run={"retries": 0}), {}
    )
    world.work, world.at = half, {world.seconds + 20.0: interrupt}
    newer = "20261122t101600z-3f9a1e"
    drop_again(world, run_id=newer, run=ROUNDS)
    leave(world)
    assert world.layout.run_id == newer
    before = {key: content for key, content in world.data.objects.items() if newer in key}
    world.work = lambda world, body: world.do_lane(body)
    report = drop_again(world, run={"id": make.RUN_ID, "redrive": True})
    assert (report.run_id, report.message) == (SECOND_ID, "2 done")
    assert {key: world.data.objects[key] for key in before} == before


@pytest.mark.parametrize("gone", [("failed.jsonl",), ("pending.jsonl", "failed.jsonl")])
def test_a_redrive_of_a_run_without_its_lists_is_refused(gone: tuple[str, ...]) -> None:
    """They are missing where nobody followed the jobs, or while the folder is removed."""
    world = World(flaky("in/07", "in/09"))
    report = world.run(run={"retries": 0})
    publish_end(world.data, world.layout, report, {})
    folder = world.layout.folder
    for name in gone:
        del world.data.objects[f"{folder}{name}"]
    with pytest.raises(ConfigError, match=r"failed\.jsonl, which would name them, is missing"):
        drop_again(world, run={"id": make.RUN_ID, "redrive": True})
    assert not [key for key in world.data.objects if SECOND_ID in key]


def test_a_redrive_of_a_run_that_left_nothing_has_nothing_to_do() -> None:
    world = World()
    publish_end(world.data, RunLayout(load().locations, make.RUN_ID), world.run(), {})
    report = drop_again(world, run={"id": make.RUN_ID, "redrive": True})
    assert report.ending is Ending.NOTHING_TO_DO


def test_a_redrive_does_not_take_items_of_another_folder() -> None:
    world = World(flaky("in/07"))
    publish_end(
        world.data, RunLayout(load().locations, make.RUN_ID), world.run(run={"retries": 0}), {}
    )
    with pytest.raises(ConfigError, match=r"the items of run .* are in data/in/, not in data/in/0"):
        drop_again(
            world, run={"id": make.RUN_ID, "redrive": True}, bucket={"folder_prefix": "in/0"}
        )


@pytest.mark.parametrize("planned", [True, False])
@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"service": {"name": "another"}}, "service target"),
        ({"bucket": {"folder_prefix": "other/"}}, "data data/in/"),
    ],
)
def test_a_config_of_other_work_does_not_continue_the_run_that_it_names(
    sections: dict[str, Any], said: str, *, planned: bool
) -> None:
    world = World(half, at={20.0: interrupt})
    world.run(run=ROUNDS)
    leave(world)
    if not planned:
        del world.data.objects[world.layout.plan]
    before, jobs = dict(world.data.objects), len(world.oscar.jobs)
    run = {**ROUNDS, "id": make.RUN_ID}
    with pytest.raises(ConfigError, match=f"is of {said}, and this config names another"):
        drop_again(world, run_id=make.RUN_ID, run=run, **sections)
    assert (world.data.objects, len(world.oscar.jobs)) == (before, jobs)
    world.data.objects[world.layout.stop] = b"{}"
    world.seconds += 1000
    world.wait(Event(), 0)
    with suppress(StopRequested):  # which is the end of a run without a plan
        drop_again(world, run_id=make.RUN_ID, run=run, **sections)
    assert len(world.oscar.jobs) == jobs, "it is brought to its end, whoever does that"


def test_the_lease_says_who_and_that_he_left() -> None:
    world = World()
    world.run()
    key = world.layout.lease(1)
    document = decode_document(LeaseDocument, world.data.objects[key])
    assert (document.run, document.left) == (make.RUN_ID, False)
    leave(world)
    assert decode_document(LeaseDocument, world.data.objects[key]).left


def test_a_config_that_names_only_a_run_continues_it_with_what_its_plan_says() -> None:
    """As a worker drops it where no coordinator lives."""
    world = World(half, at={20.0: interrupt})
    world.run(run=ROUNDS)
    leave(world)
    world.at = {world.seconds + 10: lambda: finish_all(world)}
    raw = {"state": {"bucket": "data", "prefix": ".oscar-batch/"}, "run": {"id": make.RUN_ID}}
    offered = Platform(
        storages=(StorageAccess("https://minio", "key", "canary"),),
        clusters=(ClusterAccess("https://oscar", "oscar", "canary"),),
        allowed_buckets=("data",),
        own_clusters=("https://oscar",),
    )
    config = load_config(json.dumps(raw).encode(), offered)
    world.progress = Progress(run_id=make.RUN_ID)
    report = world.run_config(config)
    assert (report.run_id, report.ending, report.message) == (make.RUN_ID, Ending.DONE, "40 done")
    assert len(world.bodies) == 3
    unknown = {**raw, "run": {"id": SECOND_ID}}
    world.progress = Progress(run_id=SECOND_ID)
    with pytest.raises(ConfigError, match="has no plan"):
        world.run_config(load_config(json.dumps(unknown).encode(), offered))


def test_a_config_with_more_than_a_run_needs_all_its_keys() -> None:
    raw = {"state": {"bucket": "data"}, "run": {"id": make.RUN_ID, "retries": 1}}
    with pytest.raises(ConfigError, match=r"bucket\.name: is missing"):
        load_config(json.dumps(raw).encode(), Platform())


def test_workers_can_wake_a_coordinator_where_its_own_credentials_suffice() -> None:
    world = World()
    config = load()
    inputs = (Folder("oscar-batch", "in/"),)
    locations = replace(config.locations, own_inputs=inputs)
    world.run_config(replace(config, locations=locations, allowed_buckets=("data",)))
    wake = f"oscar-batch/in/{make.RUN_ID}.wake.json"
    assert {body["wake"] for body in world.bodies.values()} == {wake}
    world = World()
    world.run_config(replace(config, locations=locations))
    assert not any("wake" in body for body in world.bodies.values())
