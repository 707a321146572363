# SPDX-License-Identifier: Apache-2.0
"""The spine: each of its decisions, with storage and OSCAR in memory."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from coordinator.batch import run_batch
from coordinator.config.credentials import Platform
from coordinator.config.load import Config, load_config
from coordinator.drive.clients import Clients
from coordinator.drive.progress import Progress
from coordinator.drive.submission import Clock, Pace
from coordinator.model.access import ClusterAccess, StorageAccess
from coordinator.model.cluster import (
    Allowance,
    Basis,
    Cluster,
    JobList,
    JobTimes,
    Node,
    Phase,
    Quota,
    Resources,
)
from coordinator.model.errors import ClusterError, ConfigError, Ending, StorageError
from coordinator.model.run import Reply, Report, State, Verdict
from coordinator.model.service import Folder, Service, Trigger
from coordinator.report.text import render_summary
from coordinator.run.plan_document import read_plan
from tests.unit import make
from tests.unit.fakes import FakeBucket, FakeOscar

GIB = 2**30
ITEMS = {f"in/{name}": b"x" * size for size, name in enumerate("abcdefgh", start=1)}
TARGET = make.service(outputs=(Folder("data", "out/"),), mount=Folder("data", ""))
CLOCK = Clock(time.monotonic, threading.Event.wait)
FOUND = {"startup_s": 2.0, "seconds_per_item": 3.0, "seconds_per_byte": 0.0, "speeds": []}


def load(**sections: Any) -> Config:
    bucket = {"name": "data", "folder_prefix": "in", **sections.pop("bucket", {})}
    raw = {"bucket": bucket, "service": {"name": "target"}, **sections}
    offered = Platform(
        storages=(StorageAccess("https://minio", "key", "canary"),),
        clusters=(ClusterAccess("https://oscar", "oscar", "canary"),),
    )
    return load_config(json.dumps(raw).encode(), offered)


class World:
    """One run in memory, and what it leaves."""

    def __init__(self, objects: dict[str, bytes] | None = None, service: Service = TARGET) -> None:
        self.data = FakeBucket("data", ITEMS if objects is None else objects)
        self.oscar = FakeOscar(service)
        self.progress = Progress(run_id=make.RUN_ID)
        self.clock = CLOCK

    def run(self, **sections: Any) -> Report:
        return self.run_config(load(**sections))

    def run_config(self, config: Config) -> Report:
        pace = Pace(delays_s=(0.0,))
        clients = Clients(self.oscar, self.data, self.data, None, self.clock, pace)
        return run_batch(config, clients, self.progress)

    def end(self) -> None:
        """Writes the end of the run, as who publishes its report does."""
        self.data.objects[f".oscar-batch/{self.progress.run_id}/end.json"] = b"{}"

    @property
    def index(self) -> list[str]:
        return self.data.objects[f".oscar-batch/{make.RUN_ID}/index.0001.txt"].decode().splitlines()

    @property
    def written(self) -> set[str]:
        folder = f".oscar-batch/{make.RUN_ID}/"
        return {key.removeprefix(folder) for key in self.data.objects if key.startswith(folder)}


def test_a_run_writes_index_and_plan_and_invokes_every_chunk() -> None:
    world = World()
    report = world.run()
    assert (report.ending, report.message) == (
        Ending.SUBMITTED,
        "8 items submitted, none confirmed: 3 of 3 invocations sent",
    )
    assert world.index == sorted(ITEMS)
    posts = {f"posts/chunk-001-000000{number}.json" for number in (1, 2, 3)}
    assert world.written == {"start.json", "lease/0001", "index.0001.txt", "plan.json", *posts}
    ranges = [(body["start"], body["end"]) for body in map(json.loads, world.oscar.bodies)]
    assert sorted(ranges) == [(c.first_line, c.last_line) for c in report.plan.chunks]  # type: ignore[union-attr]
    assert {outcome.state for outcome in report.outcomes} == {State.INVOKED}


SECOND_ID = "20261122t101700z-3f9a1d"


def test_a_copy_of_the_index_that_an_earlier_config_left_is_no_item() -> None:
    world = World()
    world.run(output={"file": "list.txt"})
    world.end()
    world.progress = Progress(run_id=SECOND_ID)
    report = world.run()
    assert report.plan.index.items == 8  # type: ignore[union-attr]
    assert report.plan.index.left_out == {"files of runs": 1}  # type: ignore[union-attr]
    assert any(each.startswith("data/in/list.txt is no item") for each in report.warnings)
    del world.data.objects["in/list.txt"]
    world.end()
    world.progress = Progress(run_id="20261122t101800z-3f9a1e")
    assert not any("list.txt" in each for each in world.run().warnings)


def test_a_file_of_the_usual_name_that_no_note_knows_is_warned_of_by_name() -> None:
    world = World({**ITEMS, "in/index.txt": b"in/a\n"})
    (warning,) = world.run().warnings
    assert warning.startswith("data/in/index.txt may be the index of an earlier config")
    assert "in/index.txt" in world.index
    assert World(dict(ITEMS)).run(output={"file": "index.txt"}).warnings == ()


def test_a_dry_run_claims_nothing() -> None:
    world = World()
    assert world.run(run={"dry_run": True}).ending is Ending.PLANNED
    assert world.written == set()


def test_the_report_names_the_stages_in_their_order() -> None:
    stages = [stage.name for stage in World().run().stages]
    assert stages == ["service", "index", "capacity", "plan", "save", "invoke"]


def test_the_saved_plan_is_the_plan_of_the_report() -> None:
    world = World()
    report = world.run()
    saved = json.loads(world.data.objects[f".oscar-batch/{make.RUN_ID}/plan.json"])
    assert read_plan(saved) == report.plan
    assert saved["index"]["text_bytes"] == sum(len(key) + 1 for key in ITEMS)
    assert len(saved["index"]["sha256"]) == 64


def test_everything_is_written_before_the_first_invocation() -> None:
    world = World()
    at_first: list[set[str]] = []

    def answer(service: Service, job: str) -> Reply:
        at_first.append(world.written)
        return Reply(Verdict.ACCEPTED)

    world.oscar.answer = answer
    world.run(output={"file": "copy.txt"})
    post = "posts/chunk-001-0000001.json"
    assert at_first[0] == {"start.json", "lease/0001", "index.0001.txt", "plan.json", post}
    assert world.data.objects["in/copy.txt"].decode().splitlines() == world.index


def test_a_dry_run_plans_the_same_and_writes_and_starts_nothing() -> None:
    world, real = World(), World()
    report, done = world.run(run={"dry_run": True}), real.run()
    assert (report.ending, world.oscar.bodies) == (Ending.PLANNED, [])
    assert world.data.objects == ITEMS
    assert report.plan
    assert done.plan
    assert report.plan.chunks == done.plan.chunks
    assert report.message == "8 items planned in 3 chunks; nothing was started"
    assert {outcome.state for outcome in report.outcomes} == {State.PENDING}


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_folder_without_any_object_is_refused_with_the_nearest_that_exist(dry_run: bool) -> None:
    world = World({"inn/a": b"x", "in/": b"", "other/a": b"x"})
    with pytest.raises(ConfigError, match=r"data/in/ holds no objects; did you mean inn/\?$"):
        world.run(run={"dry_run": dry_run})
    assert world.oscar.bodies == []


def test_objects_that_are_all_left_out_are_counted_by_rule() -> None:
    world = World({**ITEMS, "in/": b""})
    report = world.run(bucket={"include": "*.jpg", "max_size": 1})
    assert (report.ending, report.ending.exit_code) == (Ending.NOTHING_TO_DO, 0)
    assert report.message == (
        "data/in/ holds no items: 9 objects listed, 1 left out by folder markers, 8 left out by "
        "bucket.include"
    )
    assert report.count_items()["listed"] == 9


@pytest.mark.parametrize("bucket", [{"manifest": "list.txt"}, {"skip_done": {"prefix": "out"}}])
def test_an_empty_selection_is_no_mistake_where_it_may_be_empty(bucket: dict[str, Any]) -> None:
    report = World({"list.txt": b""}).run(bucket=bucket)
    assert (report.ending, report.ending.exit_code) == (Ending.NOTHING_TO_DO, 0)
    assert render_summary(report).count("nothing to do") == 1


def test_without_free_capacity_the_selection_is_known_and_nothing_is_planned() -> None:
    world = World()
    world.oscar.cluster = Cluster((Node("wn-1", Resources(100, GIB)),), Basis.REQUESTS)
    report = world.run()
    assert report.ending is Ending.NO_CAPACITY
    assert "nodes fit none" in report.message
    assert "drop the config again" in report.message
    assert "plan.extra_slots" in report.message
    assert report.count_items()["listed"] == 8
    assert world.written == {"start.json", "lease/0001", "index.0001.txt"}
    assert not world.progress.over, "the next drop continues the run"


def test_a_full_cluster_is_waited_for_as_long_as_the_config_says() -> None:
    world, full = World(), Cluster((Node("wn-1", Resources(100, GIB)),), Basis.REQUESTS)
    now_s, roomy = 0.0, world.oscar.cluster
    world.oscar.cluster = full

    def wait(_: threading.Event, seconds: float) -> bool:
        nonlocal now_s
        now_s += seconds
        world.oscar.cluster = roomy if now_s >= 180 else full
        return False

    world.clock = Clock(lambda: now_s, wait)
    said: list[str] = []
    world.progress.say = said.append
    assert world.run(run={"wait_for_room_s": 300}).ending is Ending.SUBMITTED
    assert now_s == 180
    assert "reading the free capacity of the cluster: nodes fit none of " in said[1]
    assert said[1].endswith("; it waits for at most 5 min 0 s")
    world, now_s = World(), 0.0
    world.clock, world.oscar.cluster = Clock(lambda: now_s, wait), full
    assert world.run(run={"wait_for_room_s": 100}).ending is Ending.NO_CAPACITY
    assert now_s == 100


# What is listed.


def test_items_that_have_their_output_are_skipped_if_the_config_says_so() -> None:
    world = World({**ITEMS, "out/a.json": b"", "out/c.json": b""})
    report = world.run(bucket={"skip_done": {"prefix": "out", "suffix": ".json"}})
    assert world.index == [key for key in sorted(ITEMS) if key not in {"in/a", "in/c"}]
    assert report.count_items()["skipped"] == 2


def test_outputs_may_be_where_the_service_puts_them() -> None:
    world = World(ITEMS, service=replace(TARGET, outputs=(Folder("results", "grey/"),)))
    world.data.others["results"] = FakeBucket(
        "results", {"grey/a": b"", "b": b"", "grey/in/c": b""}
    )
    world.run(bucket={"skip_done": True})
    assert world.index == [key for key in sorted(ITEMS) if key != "in/a"]


def test_outputs_in_no_folder_of_the_service_end_the_run() -> None:
    with pytest.raises(ConfigError, match="no output folders; name the bucket"):
        World(ITEMS, service=replace(TARGET, outputs=())).run(bucket={"skip_done": True})


def test_a_manifest_replaces_the_listing() -> None:
    world = World({**ITEMS, "lists/wanted.txt": b"in/h\nin/b\n"})
    world.run(bucket={"manifest": "lists/wanted.txt"})
    assert world.index == ["in/h", "in/b"]


def test_an_inventory_is_read_through_the_files_that_it_names() -> None:
    inventory = {
        "fileSchema": "Bucket, Key, Size",
        "files": [{"key": "i/1.csv"}, {"key": "i/2.csv"}],
    }
    lists = {
        "i/manifest.json": json.dumps(inventory).encode(),
        "i/1.csv": b'"data","in/c","3"\n',
        "i/2.csv": b'"data","in/a","1"\n',
    }
    world = World({**ITEMS, **lists})
    world.run(bucket={"manifest": "i/manifest.json"})
    assert world.index == ["in/c", "in/a"]


def test_rules_and_the_depth_of_the_listing_reach_the_index() -> None:
    world = World({**ITEMS, "in/sub/z": b"x"})
    report = world.run(bucket={"recursive": False, "exclude": "b", "min_size": 2})
    assert world.index == [f"in/{name}" for name in "cdefgh"]
    assert report.plan
    assert report.plan.index.left_out == {"bucket.exclude": 1, "bucket.min_size": 1}


def test_times_are_listed_where_a_rule_needs_them() -> None:
    world = World()
    report = world.run(bucket={"modified_after": "2027-01-01"})
    assert report.ending is Ending.NOTHING_TO_DO


def test_what_runs_write_is_no_item() -> None:
    earlier = {".oscar-batch/earlier/index.txt": b"x", "copy.txt": b"x", "runs/r/report.json": b"x"}
    world = World({**ITEMS, **earlier})
    world.run(
        bucket={"folder_prefix": ""},
        output={"file": "copy.txt"},
        report={"prefix": "runs"},
    )
    assert world.index == sorted(ITEMS)


def test_chunks_of_a_fixed_size_are_cut_exactly() -> None:
    report = World().run(plan={"chunk_items": 3})
    assert [outcome.chunk.items for outcome in report.outcomes] == [3, 3, 2]


# How many invocations.


def test_capacity_is_bounded_by_quota_config_and_items() -> None:
    world = World()
    world.oscar.services = [replace(TARGET, owner="alice")]
    world.oscar.quota = Quota("alice", Allowance(cpu_millicores=2_000))
    assert len(world.run().outcomes) == 2
    assert world.oscar.owners == ["alice"]
    assert len(World().run(plan={"max_parallel": 1}).outcomes) == 1
    single = World({"in/a": b"x"}).run()
    assert len(single.outcomes) == 1
    assert single.plan.capacity.limited_by == "items"  # type: ignore[union-attr]


def test_headroom_reaches_the_capacity() -> None:
    assert World().run(plan={"headroom": 0}).capacity.slots == 4  # type: ignore[union-attr]
    assert World().run(plan={"headroom": 0.6}).capacity.slots == 1  # type: ignore[union-attr]


def test_extra_slots_are_added_to_what_fits() -> None:
    assert World().run(plan={"extra_slots": 2}).capacity.slots == 5  # type: ignore[union-attr]


# What is known of times.


def save_cost(world: World, **fields: object) -> None:
    document = {"schema": "oscar-batch/cost/1", "service": "target", "run": "earlier", **fields}
    world.data.objects[".oscar-batch/costs/target.json"] = json.dumps(document).encode()


def test_the_times_of_the_last_run_are_used() -> None:
    world = World()
    save_cost(world, **FOUND)
    choice = world.run().plan.choice  # type: ignore[union-attr]
    assert choice
    assert (choice.cost.startup_s, choice.cost.source) == (2.0, "run earlier")


def test_the_times_of_the_config_win() -> None:
    world = World()
    save_cost(world, **FOUND)
    choice = world.run(plan={"startup_s": 7}).plan.choice  # type: ignore[union-attr]
    assert choice
    assert (choice.cost.startup_s, choice.cost.seconds_per_item) == (7.0, 3.0)


def test_a_cost_that_cannot_be_read_ends_no_run() -> None:
    world = World()
    world.data.broken = {"read .oscar-batch/costs/target.json"}
    assert world.run().ending is Ending.SUBMITTED


# What the user is warned of, and what is refused.


def warned(world: World, **sections: Any) -> str:
    return "\n".join(world.run(**sections).warnings)


def test_a_service_whose_outputs_would_be_listed_is_warned_of() -> None:
    world = World(service=replace(TARGET, outputs=(Folder("data", "in/out/"),)))
    assert "a later run will list them as items" in warned(world)


def test_a_certificate_that_is_not_verified_is_warned_of() -> None:
    own = {"url": "https://minio", "access_key": "key", "secret_key": "of the config's own"}
    assert "of MinIO is not verified" in warned(World(), MinIO={**own, "verify": False})


def test_warnings_of_the_capacity_reach_the_report() -> None:
    world = World()
    world.oscar.cluster = replace(world.oscar.cluster, basis=Basis.USAGE)
    assert "more invocations may be planned" in warned(world)


def test_keys_that_the_mount_shows_differently_are_warned_of() -> None:
    report = World({"in/a": b"x", "in/t\tb": b"x"}).run()
    assert any(warning.startswith("1 of the keys contain") for warning in report.warnings)
    assert report.plan.index.items == 2  # type: ignore[union-attr]


def test_oversized_items_are_warned_of_and_listed() -> None:
    world = World(service=replace(TARGET, needs=Resources(1_000, 7)))
    report = world.run()
    assert "larger than the 7 bytes of memory" in "\n".join(report.warnings)
    assert [item.key for item in report.plan.oversized] == ["in/h"]  # type: ignore[union-attr]


def test_a_submission_that_takes_long_is_warned_of() -> None:
    world = World({f"in/{n}": b"x" for n in range(3_000)})
    assert "h to submit" in warned(world, plan={"chunk_items": 1}, run={"dry_run": True})


def test_a_run_that_would_trigger_the_service_is_refused_before_anything_is_written() -> None:
    world = World(service=make.service(inputs=(Folder("data", ""),)))
    with pytest.raises(ConfigError, match="would start jobs"):
        world.run()
    assert world.data.objects == ITEMS


PAYLOAD = '{"from": {{ start }}, "to": {{ end }}}'


def test_a_template_replaces_the_bodies() -> None:
    world = World()
    world.run(service={"name": "target", "payload": PAYLOAD})
    ranges = sorted((b["from"], b["to"]) for b in map(json.loads, world.oscar.bodies))
    assert (ranges[0][0], ranges[-1][1]) == (1, 8)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_template_that_fails_on_the_plan_is_refused_before_anything_starts(dry_run: bool) -> None:
    world = World()
    service = {"name": "target", "payload": '{"x": {{ 1 / (1 - items // 250 - 1) }}}'}
    with pytest.raises(ConfigError, match=r"service\.payload: line 1: division by zero"):
        world.run(service=service, run={"dry_run": dry_run})
    assert world.oscar.bodies == []


def test_a_run_that_would_trigger_any_service_of_the_cluster_is_refused() -> None:
    world = World()
    world.oscar.triggers = (Trigger(Folder("data", ".oscar-batch/"), "service other"),)
    with pytest.raises(ConfigError, match="an input folder of service other"):
        world.run()
    assert world.data.objects == ITEMS


def test_services_that_cannot_be_listed_are_warned_of_first() -> None:
    world = World(service=replace(TARGET, outputs=(Folder("data", "in/out/"),)))
    world.oscar.triggers = ClusterError("could not list the services: OSCAR answered HTTP 500")
    report = world.run()
    assert report.ending is Ending.SUBMITTED
    assert report.warnings[0].startswith("could not list the services: OSCAR answered HTTP 500; ")


def test_a_coordinator_is_no_target_in_a_dry_run_either() -> None:
    with pytest.raises(ConfigError, match="target is a coordinator"):
        World(service=replace(TARGET, is_coordinator=True)).run(run={"dry_run": True})


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_bucket_of_others_is_refused_before_it_is_read(dry_run: bool) -> None:
    world = World()
    world.data.broken = {"list", "read"}
    config = replace(load(bucket={"name": "private"}), allowed_buckets=(), dry_run=dry_run)
    with pytest.raises(ConfigError, match=r"bucket\.name: private is no bucket of service target"):
        world.run_config(config)


UNSUITED = make.service(outputs=(Folder("data", "out/"),))


def test_a_service_that_cannot_take_ranges_is_refused_before_anything_is_written() -> None:
    world = World(service=UNSUITED)
    with pytest.raises(ConfigError, match="neither mounts bucket data nor has the worker kit"):
        world.run()
    assert (world.data.objects, world.oscar.bodies) == (ITEMS, [])


def test_a_dry_run_on_an_unsuited_service_lists_and_names_that_first() -> None:
    report = World(service=UNSUITED).run(run={"dry_run": True})
    assert report.warnings[0].startswith("a run would be refused: service.name: target neither")
    assert (report.ending, report.plan.index.items) == (Ending.PLANNED, 8)  # type: ignore[union-attr]


def test_the_mode_that_the_config_says_is_used() -> None:
    world = World(service=replace(TARGET, inputs=(Folder("data", "in/"),)))
    with pytest.raises(ConfigError, match=r"^service\.mode: target mounts"):
        world.run()
    assert world.run(service={"name": "target", "mode": "range"}).ending is Ending.SUBMITTED
    assert world.progress.setting["mode"] == "range, because target mounts data/"


# What the answers mean.


def test_a_refused_chunk_makes_the_run_partly_submitted() -> None:
    world = World()
    refused = Reply(Verdict.REFUSED, "HTTP 403: no")
    world.oscar.answer = lambda _, job: refused if "-2-1" in job else Reply(Verdict.ACCEPTED)
    report = world.run()
    assert (report.ending, report.ending.exit_code) == (Ending.PARTLY_SUBMITTED, 1)
    assert report.message == "2 of 3 invocations sent; chunk 2: HTTP 403: no"
    assert [outcome.state for outcome in report.outcomes] == ["invoked", "failed", "invoked"]


LOST = Reply(Verdict.UNCERTAIN, "the connection broke")


def test_where_jobs_have_no_names_the_report_says_first_which_chunks_are_unproven() -> None:
    world = World()
    world.oscar.named_jobs = False
    world.oscar.answer = lambda _, job: LOST if "-2-1" in job else Reply(Verdict.ACCEPTED)
    report = world.run()
    assert (report.ending, report.ending.exit_code) == (Ending.PARTLY_SUBMITTED, 1)
    assert report.message.startswith(
        "unproven: chunk 2, whose jobs may not exist (the connection broke); "
    )
    assert len(world.oscar.jobs) == 3


def test_where_jobs_have_names_a_lost_answer_is_asked_for_again() -> None:
    world, lost = World(), [LOST]
    world.oscar.answer = lambda _, job: lost.pop() if lost else Reply(Verdict.ACCEPTED)
    report = world.run()
    assert report.ending is Ending.SUBMITTED
    assert report.outcomes[0].attempts == 2
    assert len(set(world.oscar.jobs)) == 3


def test_a_run_of_which_nothing_is_proven_is_no_success() -> None:
    world = World()
    world.oscar.named_jobs = False
    world.oscar.answer = lambda *_: LOST
    report = world.run()
    assert (report.ending, report.ending.exit_code) == (Ending.UNPROVEN, 3)
    assert "chunks 1, 2, 3" in report.message


def test_an_interrupted_submission_is_no_success() -> None:
    world = World()

    def answer(_service: Service, job: str) -> Reply:
        if "-1-1" in job:
            return Reply(Verdict.ACCEPTED)
        raise KeyboardInterrupt

    world.oscar.answer = answer
    report = world.run(plan={"chunk_items": 1})
    assert (report.ending, report.ending.exit_code) == (Ending.INTERRUPTED, 130)
    assert report.outcomes[0].state is State.INVOKED
    assert State.PENDING in {outcome.state for outcome in report.outcomes}


def test_a_busy_manager_is_asked_again() -> None:
    world = World()
    replies = [Reply(Verdict.BUSY)]
    world.oscar.answer = lambda *_: replies.pop() if replies else Reply(Verdict.ACCEPTED)
    assert world.run().outcomes[0].attempts == 2


def test_a_stale_token_is_read_again_once() -> None:
    world = World()
    world.oscar.services = [replace(TARGET, token="old"), replace(TARGET, token="new")]
    stale = Reply(Verdict.STALE_TOKEN, "HTTP 401")
    world.oscar.answer = lambda s, _: Reply(Verdict.ACCEPTED) if s.token == "new" else stale
    report = world.run()
    assert report.ending is Ending.SUBMITTED
    assert len(world.oscar.jobs) == len(set(world.oscar.jobs)) + 1


def test_a_token_that_stays_stale_is_a_refusal() -> None:
    world = World()
    world.oscar.answer = lambda *_: Reply(Verdict.STALE_TOKEN, "HTTP 401")
    report = world.run()
    assert (report.ending, len(world.oscar.jobs)) == (Ending.PARTLY_SUBMITTED, 2)


def test_a_service_that_is_gone_when_its_token_is_read_again_is_a_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    read: Callable[[str], Service] = world.oscar.read_service
    times = 0

    def read_once(name: str) -> Service:
        nonlocal times
        times += 1
        if times > 1:
            raise ClusterError("the service is gone")
        return read(name)

    monkeypatch.setattr(world.oscar, "read_service", read_once)
    world.oscar.answer = lambda *_: Reply(Verdict.STALE_TOKEN, "HTTP 401")
    report = world.run()
    assert report.outcomes[0].detail == "HTTP 401; the service is gone"


def test_outcomes_are_known_to_the_progress_as_they_happen() -> None:
    world = World()
    seen: list[int] = []

    def answer(_service: Service, _job: str) -> Reply:
        known = list(world.progress.sent.values())
        seen.append(sum(outcome.state is State.INVOKED for outcome in known))
        return Reply(Verdict.ACCEPTED)

    world.oscar.answer = answer
    world.run(plan={"chunk_items": 1})
    assert seen[0] == 0
    assert seen[-1] > 0


def test_a_request_that_is_not_answered_yet_is_uncertain_to_the_progress() -> None:
    world, during = World(), []

    def answer(_service: Service, _job: str) -> Reply:
        during.append([each.state for each in world.progress.make_interrupted_report().outcomes])
        return Reply(Verdict.ACCEPTED)

    world.oscar.answer = answer
    world.run()
    assert during[0] == [State.UNCERTAIN, State.PENDING, State.PENDING]


def test_an_error_of_the_storage_ends_the_run_and_the_progress_keeps_what_was_known() -> None:
    world = World()
    world.data.broken = {"list in/"}
    with pytest.raises(StorageError, match="could not list"):
        world.run()
    assert world.progress.lease
    assert world.oscar.bodies == []


class Uploads(World):
    """A service for uploads, whose jobs write their output at once."""

    def __init__(self, *, broken: frozenset[str] = frozenset()) -> None:
        service = make.service(inputs=(Folder("in", "a/"),), outputs=(Folder("data", "out/"),))
        super().__init__(service=service)
        self.now_s = 0.0
        self.clock = Clock(lambda: self.now_s, self._wait)
        self.broken = broken
        self.sent: list[int] = []
        """How many invocations were sent before each look."""
        self.oscar.answer = self._answer

    def _wait(self, _: threading.Event, seconds: float) -> bool:
        self.now_s += seconds
        self.sent += [len(self.oscar.bodies)] if seconds else []
        return False

    @property
    def items(self) -> list[str]:
        return [json.loads(body)["Key"].removeprefix("data/") for body in self.oscar.bodies]

    def _answer(self, service: Service, job: str) -> Reply:
        number = int(job.rsplit("-", 2)[1])
        key = sorted(ITEMS)[number - 1].removeprefix("in/")
        if key not in self.broken:
            self.data.objects[f"out/{key}.x"] = b"x"
        return Reply(Verdict.ACCEPTED)


VERIFY = {"prefix": "out/", "suffix": ".x"}


def test_a_service_for_uploads_gets_an_event_for_every_item_the_largest_first() -> None:
    world = Uploads()
    report = world.run(run={"verify": VERIFY})
    assert report.setting["mode"].startswith("event, because target has an input folder")
    assert (report.ending, report.message) == (Ending.DONE, "8 done")
    assert sorted(world.items) == sorted(ITEMS)
    assert world.items[0] == "in/h"
    assert world.sent == [report.capacity.slots + 1, 8]  # type: ignore[union-attr]
    assert {outcome.state for outcome in report.outcomes} == {State.SETTLED}
    assert {"done.txt", "failed.jsonl", "pending.jsonl", "plan.json"} <= world.written
    assert world.oscar.lists == 0


def test_an_item_without_its_output_is_failed_and_named() -> None:
    world = Uploads(broken=frozenset("c"))
    report = world.run(run={"verify": {**VERIFY, "bucket": "data"}})
    assert (report.ending, report.count_items()["failed"]) == (Ending.PARTLY_DONE, 1)
    (failure,) = report.accounts.failures  # type: ignore[union-attr]
    assert failure.key == "in/c"
    folder = f".oscar-batch/{make.RUN_ID}/"
    assert json.loads(world.data.objects[f"{folder}failed.jsonl"])["key"] == "in/c"
    assert world.data.objects[f"{folder}done.txt"].count(b"\n") == 7


def test_without_verify_nothing_is_called_done() -> None:
    report = Uploads().run()
    assert report.ending is Ending.SUBMITTED
    assert report.message.startswith("unconfirmed: ")
    assert (report.count_items()["done"], report.accounts.unconfirmed) == (0, 8)  # type: ignore[union-attr]


def watch(world: World, **sections: Any) -> list[Report]:
    """Runs it; the reports that could be seen while it was at work."""
    seen: list[Report] = []

    def publish() -> None:
        progress = world.progress
        seen.append(progress.make_report(Ending.RUNNING, progress.describe()))

    world.progress.publish = publish
    world.run(**sections)
    return seen


def test_a_run_in_event_mode_is_seen_while_it_works() -> None:
    seen = watch(Uploads(broken=frozenset("b")), run={"verify": VERIFY, "retries": 0})
    texts = [report.message for report in seen]
    assert "listing the objects: 8 keys, 8,000 keys/s" in texts
    assert "0 of 8 items done, 0 failed; 4 of 4 invocations sent" in texts
    working = [report for report in seen if report.count_items()["done"]]
    (first, *_), last = working, seen[-1]
    assert first.message == "4 of 8 items done, 0 failed; 4 jobs in flight"
    assert {outcome.state for outcome in first.outcomes} == {State.SETTLED, State.PENDING}
    assert last.message.startswith("7 of 8 items done, 1 failed; 1 job in flight")
    assert [(each.key, each.reason) for each in last.accounts.failures] == [  # type: ignore[union-attr]
        ("in/b", "its job ended without the output that run.verify names")
    ]
    spans = last.history.spans  # type: ignore[union-attr]
    assert {span.worker for span in spans} == {f"lane {number:03}" for number in range(1, 5)}
    assert sorted(span.chunk for span in spans) == list(range(1, 9))
    assert (sum(span.done for span in spans), sum(span.failed for span in spans)) == (7, 1)


def test_a_run_in_range_mode_is_seen_while_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Uploads()
    world.oscar.services = [replace(TARGET, outputs=(Folder("data", "out/"),))]
    world.oscar.answer = lambda service, job: Reply(Verdict.ACCEPTED)
    world.oscar.phase = Phase.RUNNING
    waits = 0

    def wait(_: threading.Event, seconds: float) -> bool:
        nonlocal waits
        waits, world.now_s = waits + 1, world.now_s + seconds
        if waits == 10:
            world.data.objects |= {f"out/{key}.x": b"" for key in "abc"}
        if waits == 40:
            world.oscar.phase = Phase.SUCCEEDED
        return False

    world.clock = Clock(lambda: world.now_s, wait)
    list_jobs = world.oscar.list_jobs

    def list_with_times(name: str) -> JobList:
        found = list_jobs(name)
        times = JobTimes("2026-11-22T10:15:00Z", "2026-11-22T10:16:30Z")
        return replace(found, times=dict.fromkeys(found.phases, times))

    monkeypatch.setattr(world.oscar, "list_jobs", list_with_times)
    seen = watch(world, run={"verify": VERIFY, "retries": 1})
    texts = [report.message for report in seen]
    assert "starting the work: 3 of 3 invocations sent" in texts
    assert "3 of 8 items done, 0 failed; 3 jobs in flight" in texts
    last = seen[-1]
    assert "; round 2, " in last.message
    spans = {span.worker: (span.done, span.failed) for span in last.history.spans}  # type: ignore[union-attr]
    assert sum(done for name, (done, _) in spans.items() if "round" not in name) == 3
    assert sum(failed for name, (_, failed) in spans.items() if "round 2" in name) == 5
    times = {(each.started_at, each.finished_at) for each in last.history.spans}  # type: ignore[union-attr]
    began = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
    assert times == {(began, began + timedelta(seconds=90))}, "as OSCAR lists them"


def test_a_refused_event_ends_the_run_with_the_reason() -> None:
    world = Uploads()
    world.oscar.answer = lambda service, job: Reply(Verdict.REFUSED, "HTTP 403")
    report = world.run(run={"verify": VERIFY})
    assert report.ending is Ending.PARTLY_DONE
    assert report.message == "0 of 8 items done, 8 pending; OSCAR refused an invocation: HTTP 403"


def test_an_interrupted_event_run_says_what_is_known() -> None:
    world = Uploads()

    def interrupt(_: threading.Event, seconds: float) -> bool:
        raise KeyboardInterrupt

    world.clock = Clock(lambda: 0.0, interrupt)
    report = world.run(run={"verify": VERIFY})
    assert report.ending is Ending.INTERRUPTED
    assert report.accounts is not None


def test_an_interrupted_event_run_names_what_failed_so_far() -> None:
    world = Uploads(broken=frozenset("h"))

    def interrupt(_: threading.Event, seconds: float) -> bool:
        world.now_s += seconds
        if world.now_s > 10:
            raise KeyboardInterrupt
        return False

    world.clock = Clock(lambda: world.now_s, interrupt)
    report = world.run(run={"verify": VERIFY, "poll_s": 1, "retries": 9})
    assert report.ending is Ending.INTERRUPTED
    assert [each.key for each in report.accounts.failures] == ["in/h"]  # type: ignore[union-attr]


@pytest.mark.parametrize("mode", ["range", "event"])
def test_a_stop_ends_ranges_and_events_and_their_unfinished_jobs(mode: str) -> None:
    world = Uploads(broken=frozenset("gh"))
    world.oscar.services = [replace(world.oscar.services[0], mount=Folder("data", ""))]
    world.oscar.phase = Phase.RUNNING
    sent = 0

    def answer(service: Service, job: str) -> Reply:
        nonlocal sent
        sent += 1
        if sent == 2:
            world.data.objects[f".oscar-batch/{make.RUN_ID}/stop"] = b"{}"
        return Reply(Verdict.ACCEPTED)

    world.oscar.answer = answer
    world.data.objects["out/a.x"] = b""
    service = {"name": "target", "mode": mode}
    report = world.run(service=service, run={"verify": VERIFY}, plan={"chunk_items": 1})
    assert report.ending is Ending.STOPPED
    assert report.count_items()["done"] == 1
    assert len(world.oscar.deleted) == sent <= 3
    assert world.progress.over


def test_ranges_with_verify_are_followed_and_proven() -> None:
    world = Uploads()
    world.oscar.services = [replace(TARGET, outputs=(Folder("data", "out/"),))]
    world.oscar.answer = lambda service, job: Reply(Verdict.ACCEPTED)
    world.data.objects |= {f"out/{key}.x": b"" for key in "abcdefg"}
    world.oscar.phase = Phase.FAILED  # as OSCAR 4 says of jobs with a mount
    report = world.run(run={"verify": VERIFY})
    assert (report.ending, report.count_items()["done"]) == (Ending.PARTLY_DONE, 7)
    (failure,) = report.accounts.failures  # type: ignore[union-attr]
    assert failure.key == "in/h"
    assert failure.reason.startswith("its job ended without the output that run.verify names")
    assert world.oscar.lists == 3, "once in each round"
