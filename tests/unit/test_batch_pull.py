# SPDX-License-Identifier: Apache-2.0
"""The spine in pull mode: workers that a test plays, and what the run says of their items."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from threading import Event
from typing import Any

import pytest

from coordinator.batch import run_batch
from coordinator.config.load import Config
from coordinator.drive.clients import Clients
from coordinator.drive.progress import Progress
from coordinator.drive.submission import Clock, Pace
from coordinator.model.errors import ConfigError, Conflict, Ending, StorageError
from coordinator.model.items import Chunk
from coordinator.model.pull.documents import (
    Beat,
    BeatState,
    ChunkResult,
    Claim,
    End,
    ItemOutcome,
    ItemState,
    Post,
)
from coordinator.model.pull.lanes import Lanes, Table, Timing
from coordinator.model.run import Reply, Report, State, Verdict
from coordinator.model.service import Folder, Service
from coordinator.run.chunk_table import read_table
from coordinator.run.layout import ResultKey, RunLayout
from coordinator.run.plan_document import read_plan
from coordinator.run.pull_documents import decode_document, encode_document
from coordinator.run.store import publish_end, render_files
from tests.unit import make
from tests.unit.fakes import NOW, FakeBucket, FakeOscar
from tests.unit.test_batch import load

KEYS = [f"in/{number:02}" for number in range(40)]
ITEMS = {key: b"x" * (1 + number) for number, key in enumerate(KEYS)}
KIT = replace(make.service(outputs=(Folder("data", "out/"),)), has_kit=True)
Work = Callable[["World", dict[str, Any]], object]
Fate = Callable[[str], ItemOutcome]


@dataclass
class World:
    """One run in memory on a clock of its own, and workers that `work` plays."""

    work: Work = lambda world, body: world.do_lane(body)
    service: Service = KIT
    data: FakeBucket = field(default_factory=lambda: FakeBucket("data", ITEMS))
    seconds: float = 0.0
    at: dict[float, Callable[[], object]] = field(default_factory=dict)
    """What happens at a time, while the run waits."""
    answer: Callable[[str], Reply] = lambda job: Reply(Verdict.ACCEPTED)
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By the name of the worker."""

    def __post_init__(self) -> None:
        self.oscar = FakeOscar(self.service)
        self.progress = Progress(run_id=make.RUN_ID)

        def answer(_service: Service, job: str) -> Reply:
            body = json.loads(self.oscar.bodies[-1])
            if "worker" in body:
                self.bodies[body["worker"]] = body
            reply = self.answer(job)
            if reply.verdict is Verdict.ACCEPTED:
                self.work(self, body)
            return reply

        self.oscar.answer = answer

    def run(self, **sections: Any) -> Report:
        return self.run_config(load(**sections))

    def run_config(self, config: Config, timing: Timing | None = None) -> Report:
        return run_batch(config, self.connect(config, timing), self.progress)

    def connect(self, config: Config, timing: Timing | None = None) -> Clients:
        pace = Pace(workers=1, delays_s=(0.0,))
        clock = Clock(lambda: self.seconds, self.wait)
        self.locations = config.locations
        return Clients(
            self.oscar, self.data, self.data, None, clock, pace, timing or Timing(), self.open
        )

    @property
    def layout(self) -> RunLayout:
        """The keys of the run that is at work."""
        return RunLayout(self.locations, self.progress.run_id)

    def open(self, access: object, name: str) -> FakeBucket:
        """The workers' store: the same as the run's."""
        return self.data

    def wait(self, event: Event, delay_s: float) -> bool:
        self.seconds += delay_s
        self.data.now = NOW + timedelta(seconds=self.seconds)
        for time in [time for time in self.at if time <= self.seconds]:
            self.at.pop(time)()
        return event.is_set()

    # What a worker does.

    def chunks(self, body: dict[str, Any]) -> Iterator[tuple[ResultKey, Chunk, list[str]]]:
        """Every chunk of the table of a worker's round with its keys."""
        content = self.data.objects[self.layout.table(body["round"])]
        _, counts, chunks = read_table(content, Table(**body["table"]))
        text = self.data.objects[body["index"].partition("/")[2]]
        for chunk in chunks:
            part = text[chunk.offset : chunk.offset + chunk.length_bytes].decode()
            key = ResultKey(*Lanes(counts, Table(0, 0)).locate(chunk.number))
            yield key, chunk, part.splitlines()

    def do_lane(self, body: dict[str, Any], fate: Fate | None = None, *, most: int = 10**9) -> None:
        """Finishes the first chunks of a worker's lane, and ends."""
        mine = [found for found in self.chunks(body) if found[0].lane == body["lane"]]
        for key, chunk, keys in mine[:most]:
            self.finish(body, key, chunk, keys, fate)
        self.beat(body, BeatState.ENDED, why="no work left")

    def finish(
        self,
        body: dict[str, Any],
        key: ResultKey,
        chunk: Chunk,
        keys: list[str],
        fate: Fate | None = None,
    ) -> None:
        made = fate or (lambda key: ItemOutcome(0, ItemState.DONE))
        items = tuple(
            replace(made(item), line=line) for line, item in enumerate(keys, chunk.first_line)
        )
        number, process = body["round"], f"{body['worker']}-aa"
        result = ChunkResult(process, number, key.lane, key.chunk, 1, "", "", items=items)
        claim = self.layout.claim(number, key.lane, key.chunk, 1)
        self.data.write(claim, encode_document(Claim(process, 1, "")), "")
        with suppress(Conflict):
            self.data.put_new(self.layout.result(number, key), encode_document(result), "")

    def beat(self, body: dict[str, Any], state: BeatState, **members: Any) -> None:
        process = f"{body['worker']}-aa"
        beat = Beat(process, state, node="wn-1", **members)
        self.data.write(self.layout.beat(process), encode_document(beat), "")

    def lines(self, key: str) -> list[str]:
        return self.data.objects[key].decode().splitlines()

    def posts(self) -> list[Post]:
        folder = f".oscar-batch/{make.RUN_ID}/posts/"
        keys = sorted(key for key in self.data.objects if key.startswith(folder))
        return [decode_document(Post, self.data.objects[key]) for key in keys]


def test_every_item_is_done_and_the_report_is_confirmed() -> None:
    world = World()
    report = world.run()
    assert (report.ending, report.ending.exit_code) == (Ending.DONE, 0)
    assert report.message == "40 done"
    assert report.count_items() == {
        "listed": 40, "done": 40, "failed": 0, "pending": 0, "skipped": 0, "left_out": 0,
    }  # fmt: skip
    assert {outcome.state for outcome in report.outcomes} == {State.SETTLED}
    assert [worker.state for worker in report.workers] == ["ended"] * 3
    assert {worker.node for worker in report.workers} == {"wn-1"}
    assert world.lines(world.layout.done) == KEYS
    assert world.lines(world.layout.failed) == world.lines(world.layout.pending) == []
    assert report.setting["mode"] == "pull, because the script of target has the worker kit"


def test_the_stages_end_with_a_watch() -> None:
    assert [stage.name for stage in World().run().stages][-3:] == ["plan", "save", "watch"]


def test_one_worker_a_slot_is_invoked_and_its_body_holds_no_credential() -> None:
    world = World()
    report = world.run(bucket={"skip_done": {"prefix": "out", "strip": ".a", "suffix": ".json"}})
    folder = f".oscar-batch/{make.RUN_ID}/"
    assert report.plan
    assert report.plan.lanes
    assert [*world.bodies] == ["0001-00001", "0001-00002", "0001-00003"]
    assert world.bodies["0001-00002"] == {
        "schema": "oscar-batch/worker/1",
        "run": make.RUN_ID,
        "worker": "0001-00002",
        "round": 1,
        "lane": 2,
        "state": f"data/{folder}",
        "data": "data/in/",
        "index": f"data/{folder}index.0001.txt",
        "table": {
            "header_bytes": report.plan.lanes.table.header_bytes,
            "row_bytes": report.plan.lanes.table.row_bytes,
        },
        "exclusive": True,
        "item_timeout_s": 86_400,
        "proof": {"strip": ".a", "suffix": ".json"},
        "timing": {
            "beat_s": 30,
            "lost_after_s": 120,
            "look_gap_s": 45,
            "mark_after_s": 60,
            "storage_patience_s": 600,
            "lease_ttl_s": 90,
        },
    }
    for secret in (b"canary", KIT.token.encode()):
        assert not any(secret in body for body in world.oscar.bodies)
    assert world.oscar.jobs[0] == f"target-{make.RUN_ID}-0001-00001"


def test_all_is_written_before_the_first_worker_and_posts_around_each() -> None:
    at_first: list[set[str]] = []

    def work(world: World, body: dict[str, Any]) -> None:
        written = set(world.data.objects) - set(ITEMS)
        at_first.append({key for key in written if "/active/" not in key})
        world.do_lane(body)

    world = World(work)
    world.run()
    folder = f".oscar-batch/{make.RUN_ID}/"
    assert at_first[0] == {
        f"{folder}{name}"
        for name in (
            "start.json",
            "lease/0001",
            "index.0001.txt",
            "plan.json",
            "rounds/001/chunks.jsonl",
            "posts/0001-00001.json",
        )
    }
    assert [(post.worker, post.lane, post.verdict) for post in world.posts()] == [
        ("0001-00001", 1, "accepted"),
        ("0001-00002", 2, "accepted"),
        ("0001-00003", 3, "accepted"),
    ]


def test_the_plan_is_read_back_as_the_report_has_it() -> None:
    world = World()
    report = world.run()
    assert read_plan(json.loads(world.data.objects[world.layout.plan])) == report.plan
    dry = World().run(run={"dry_run": True})
    assert dry.plan
    assert report.plan
    assert dry.plan.chunks == report.plan.chunks
    assert "one worker per slot" in str(dry.plan.choice)


def test_a_failed_item_is_named_with_its_reason_and_the_run_is_no_success() -> None:
    def fate(key: str) -> ItemOutcome:
        if key != "in/07":
            return ItemOutcome(0, ItemState.DONE)
        return ItemOutcome(0, ItemState.FAILED, 1.5, 2, key, "exit", "exit code 3", "no such fish")

    world = World(lambda world, body: world.do_lane(body, fate))
    report = world.run()
    assert (report.ending, report.ending.exit_code) == (Ending.PARTLY_DONE, 1)
    assert report.message == "39 of 40 items done, 1 failed; in/07: exit code 3"
    (line,) = world.lines(world.layout.failed)
    assert json.loads(line) == {
        "key": "in/07",
        "reason": "exit code 3",
        "kind": "exit",
        "attempts": 4,
        "line": 8,
        "seconds": 1.5,
        "stderr": "no such fish",
    }
    assert world.lines(world.layout.done) == [key for key in KEYS if key != "in/07"]


def test_the_last_object_of_a_run_has_the_final_counts() -> None:
    world = World()
    report = world.run()
    files = render_files(report)
    publish_end(world.data, world.layout, report, files)
    content = world.data.objects[world.layout.end]
    end = decode_document(End, content)
    assert (end.run, end.ending, end.counts) == (make.RUN_ID, "done", report.count_items())
    assert end.files["report.json"] == sha256(files["report.json"][0]).hexdigest()
    publish_end(world.data, world.layout, replace(report, message="late"), files)
    assert world.data.objects[world.layout.end] == content, "the first one stays"


def test_the_run_waits_for_workers_that_work() -> None:
    world = World(lambda world, body: world.beat(body, BeatState.WORKING))

    def finish() -> None:
        for body in world.bodies.values():
            world.do_lane(body)

    world.at = {100.0: finish}
    assert world.run(run={"poll_s": 10}).ending is Ending.DONE
    assert world.seconds == 100


def test_when_no_worker_is_left_the_open_items_are_pending_and_named() -> None:
    def work(world: World, body: dict[str, Any]) -> None:
        world.do_lane(body, most=2 if len(world.bodies) <= 3 else 0)

    world = World(work)
    report = world.run()
    counts = report.count_items()
    assert (report.ending, report.ending.exit_code) == (Ending.PARTLY_DONE, 1)
    assert report.accounts
    assert report.accounts.open_chunks == 0, "what nobody does is sealed"
    assert 16 <= len(world.bodies) - 3 < 20
    assert world.layout.stop in world.data.objects, "nobody cuts another round"
    pending = [json.loads(line)["key"] for line in world.lines(world.layout.pending)]
    assert len(pending) == counts["pending"] > 0
    assert sorted(world.lines(world.layout.done) + pending) == KEYS
    assert {outcome.state for outcome in report.outcomes} == {State.SETTLED}


def test_workers_that_give_no_sign_of_life_are_not_waited_for_forever() -> None:
    world = World(lambda world, body: None)
    report = world.run(run={"pending_timeout_s": 60, "poll_s": 10})
    assert (report.ending, report.ending.exit_code) == (Ending.NO_CAPACITY, 4)
    assert {worker.state for worker in report.workers} == {"never seen"}
    assert not world.progress.over, "the same config continues it"
    assert "drop the same config again" in report.message


def test_a_worker_whose_beats_stop_is_gone() -> None:
    world = World(lambda world, body: world.beat(body, BeatState.WORKING))
    gone: list[float] = []

    def look() -> None:
        if world.progress.workers and world.progress.workers[0].state == "gone":
            gone.append(world.seconds)

    world.at = {float(each): look for each in range(5, 200, 5)}
    report = world.run(run={"poll_s": 15})
    assert {worker.state for worker in report.workers} == {"gone"}
    assert min(gone) == 150, "judged in the look at 135 s"


def test_a_lost_answer_without_a_beat_is_posted_again_as_a_new_worker() -> None:
    """Where OSCAR does not give jobs the names that are asked for."""
    world = World()
    world.oscar.named_jobs = False
    lost = Reply(Verdict.UNCERTAIN, "the connection broke")
    world.answer = lambda job: lost if job.endswith("1-00002") else Reply(Verdict.ACCEPTED)
    report = world.run(run={"pending_timeout_s": 60})
    assert report.ending is Ending.DONE
    assert [*world.bodies] == ["0001-00001", "0001-00002", "0001-00003", "0001-00004"]
    assert world.bodies["0001-00004"]["lane"] == 2
    assert [worker.invocation for worker in report.workers] == [
        "invoked",
        "uncertain",
        "invoked",
        "invoked",
    ]
    assert [post.verdict for post in world.posts()][1] == "uncertain"


def test_a_refused_worker_leaves_its_lane_to_the_others() -> None:
    def work(world: World, body: dict[str, Any]) -> None:
        if body["lane"] == 3:
            for each in world.bodies.values():
                world.do_lane(each)

    world = World(work)
    refused = Reply(Verdict.REFUSED, "HTTP 500: quota")
    world.answer = lambda job: refused if job.endswith("1-00002") else Reply(Verdict.ACCEPTED)
    report = world.run()
    assert report.ending is Ending.DONE
    assert report.workers[1].invocation == "failed"


def test_when_the_first_worker_is_refused_nothing_is_followed() -> None:
    world = World()
    world.answer = lambda job: Reply(Verdict.REFUSED, "HTTP 403: no")
    report = world.run()
    assert (report.ending, report.accounts) == (Ending.PARTLY_SUBMITTED, None)
    assert "worker 0001-00001: HTTP 403: no" in report.message


def test_a_run_that_is_not_watched_ends_with_the_invocations_and_confirms_nothing() -> None:
    report = World().run(run={"watch": False})
    assert (report.ending, report.accounts) == (Ending.SUBMITTED, None)
    assert report.message == "40 items submitted, none confirmed: 3 of 3 invocations sent"
    assert report.count_items()["pending"] == 40


def test_ctrl_c_leaves_the_workers_alone_and_a_true_report() -> None:
    def work(world: World, body: dict[str, Any]) -> None:
        world.do_lane(body, most=1)
        world.beat(body, BeatState.WORKING)

    def interrupt() -> None:
        raise KeyboardInterrupt

    world = World(work, at={20.0: interrupt})
    report = world.run()
    assert (report.ending, report.ending.exit_code) == (Ending.INTERRUPTED, 130)
    assert report.accounts
    assert report.count_items()["done"] == report.accounts.done > 0
    assert "the workers go on" in report.message


def test_a_damaged_result_is_named_and_its_items_are_pending() -> None:
    world = World()
    key = ResultKey(2, 1)

    def work(world: World, body: dict[str, Any]) -> None:
        world.do_lane(body)
        if body["round"] == 1:
            world.data.objects[world.layout.result(1, key)] = b'{"schema": "oscar-batch/result/9"}'

    world.work = work
    report = world.run(run={"retries": 0})
    assert report.ending is Ending.PARTLY_DONE
    assert report.count_items()["pending"] > 0
    (warning,) = [each for each in report.warnings if "cannot be read" in each]
    assert world.layout.result(1, key) in warning
    assert "result/9" in warning


def test_a_storage_that_is_away_is_waited_for_and_nobody_is_judged_by_it() -> None:
    world = World(lambda world, body: world.beat(body, BeatState.WORKING))

    def away() -> None:
        world.data.broken = {"read", "list"}

    def back() -> None:
        world.data.broken = set()

    def finish() -> None:
        for body in world.bodies.values():
            world.do_lane(body)

    # The beats are older than two minutes when it is back, and not because workers died.
    world.at = {15.0: away, 150.0: back, 225.0: finish}
    report = world.run(run={"poll_s": 15})
    assert report.ending is Ending.DONE


def test_a_storage_that_stays_away_ends_the_run() -> None:
    world = World(lambda world, body: world.beat(body, BeatState.WORKING))

    def away() -> None:
        world.data.broken = {"read", "list"}

    world.at = {15.0: away}
    with pytest.raises(StorageError):
        world.run(run={"poll_s": 15})
    assert 600 <= world.seconds < 660
    assert world.progress.accounts


def test_without_conditional_writes_lanes_of_lost_workers_go_to_new_ones() -> None:
    def work(world: World, body: dict[str, Any]) -> None:
        late = body["worker"] == "0001-00004"
        world.do_lane(body, most=10**9 if body["lane"] != 2 or late else 1)

    world = World(work)
    world.data.exclusive = False
    report = world.run()
    assert report.ending is Ending.DONE
    assert report.message == "40 done; without stealing"
    assert any(warning.startswith("without stealing: ") for warning in report.warnings)
    assert {body["exclusive"] for body in world.bodies.values()} == {False}
    assert world.bodies["0001-00004"]["lane"] == 2
    counted = [json.loads(line) for line in world.lines(world.layout.counted(1))]
    assert len(counted) == len(report.outcomes)
    assert {"lane": 2, "chunk": 1, "attempt": None} in counted


def test_workers_on_another_store_are_refused_before_anything_starts() -> None:
    world = World()
    elsewhere = FakeBucket("data")
    world.open = lambda access, name: elsewhere  # type: ignore[method-assign]
    with pytest.raises(ConfigError, match=r"http://minio.minio:9000, .* does not show"):
        world.run()
    assert world.oscar.bodies == []


def test_a_store_that_cannot_be_asked_from_here_is_not_refused() -> None:
    world = World()
    away = FakeBucket("data")
    away.broken = {"read"}
    world.open = lambda access, name: away  # type: ignore[method-assign]
    assert world.run().ending is Ending.DONE


def test_chunks_of_the_size_that_the_config_sets() -> None:
    report = World().run(plan={"chunk_items": 3})
    assert sorted({outcome.chunk.items for outcome in report.outcomes}) == [1, 3]
    assert report.ending is Ending.DONE


def test_ranges_are_still_there_for_a_service_with_the_kit_that_asks_for_them() -> None:
    world = World(lambda world, body: None)
    report = world.run(service={"name": "target", "mode": "range"})
    assert report.ending is Ending.SUBMITTED
    assert {"start", "end"} <= set(json.loads(world.oscar.bodies[0]))
