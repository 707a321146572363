# SPDX-License-Identifier: Apache-2.0
"""A coordinator that is killed at any effect outside its process, and what goes on without it.

Every effect passes one of the methods in `EFFECTS`; a test holds that the clients have no others.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from coordinator.cli.verbs.run import run_config
from coordinator.config.load import Config
from coordinator.drive.clients import Clients
from coordinator.drive.submission import Clock, Pace
from coordinator.model.cluster import JobList, Phase
from coordinator.model.pull.documents import Beat, BeatState, ChunkResult, ItemOutcome, ItemState
from coordinator.model.pull.lanes import Lanes, Table
from coordinator.model.run import Reply, Report, Verdict
from coordinator.model.service import Folder, Service
from coordinator.oscar.client import OscarClient
from coordinator.run.chunk_table import read_table
from coordinator.run.pull_documents import encode_document
from coordinator.storage.bucket import Bucket
from coordinator.storage.upload import Written
from tests.unit import make
from tests.unit.fakes import NOW, FakeBucket, FakeOscar

EFFECTS = {
    Bucket: {"write", "put_new", "honours_condition", "write_lines", "copy_from", "delete"},
    OscarClient: {"invoke", "delete_job", "apply"},
}
READS = {
    Bucket: {
        "beside", "list_objects", "list_folders", "read_pieces", "read_small", "exists",
        "read_range", "read_stamp", "read_clock", "shows", "read_notifications",
    },
    OscarClient: {
        "read_service", "list_services", "read_triggers", "read_quota", "read_cluster",
        "read_storage", "names_jobs", "read_release", "locate_logs", "read_secret_names",
        "list_jobs", "read_log",
    },
}  # fmt: skip
KEYS = [f"in/{number:02}" for number in range(9)]
BAD = "in/03"
"""Fails in the first round, and is done in the second."""
TAKES_S, BEAT_S = 150.0, 30.0
"""What is started takes so long, whoever lives meanwhile: longer than a lease is waited for."""
MODES = ("pull", "range", "event")
CONFIG: dict[str, Any] = {
    "MinIO": {"url": "https://minio", "access_key": "reader", "secret_key": "canary-minio"},
    "oscar_cluster": {"url": "https://oscar", "auth_token": {"token": "canary-oscar"}},
    "bucket": {"name": "data", "folder_prefix": "in"},
    "service": {"name": "target"},
    "plan": {"max_parallel": 3},
    "output": {"file": "copy.txt"},
}
VERIFY = {"prefix": "out/", "suffix": ".x"}


class Killed(BaseException):
    """As by SIGKILL: nothing of the coordinator runs after it."""


@dataclass
class Gate:
    """Counts the effects of a coordinator, and kills it at one of them."""

    kill_at: int | None = None
    after: bool = False
    steps: list[str] = field(default_factory=list)
    closed: bool = False
    dead: bool = False

    @contextmanager
    def pass_effect(self, name: str) -> Iterator[None]:
        if not self.closed:  # what workers do is not the coordinator's effect
            yield
            return
        self._die(False, name)
        self.steps.append(name)
        yield
        self._die(True, name)

    def _die(self, after: bool, name: str) -> None:
        number = len(self.steps) - after
        self.dead |= self.kill_at == number and self.after == after
        if self.dead:
            raise Killed(name)


class GatedBucket(FakeBucket):
    """Its writes pass the gate."""

    gate: Gate

    def write(self, key: str, content: bytes, content_type: str) -> None:
        with self.gate.pass_effect(name_step("write", key)):
            super().write(key, content, content_type)

    def put_new(self, key: str, content: bytes, content_type: str) -> None:
        with self.gate.pass_effect(name_step("create", key)):
            super().put_new(key, content, content_type)

    def honours_condition(self, key: str) -> bool:
        with self.gate.pass_effect(name_step("probe", key)):
            return super().honours_condition(key)

    def write_lines(self, key: str, pieces: Iterable[bytes], content_type: str) -> Written:
        text = b"".join(pieces)
        with self.gate.pass_effect(name_step("write", key)):
            closed, self.gate.closed = self.gate.closed, False
            try:
                return super().write_lines(key, [text], content_type)
            finally:
                self.gate.closed = closed

    def delete(self, keys: Sequence[str]) -> None:
        with self.gate.pass_effect("delete old runs"):
            super().delete(keys)

    def copy_from(self, source: Bucket, key: str, target: str) -> None:
        with self.gate.pass_effect("copy the index"):
            super().copy_from(source, key, target)


def name_step(verb: str, key: str) -> str:
    """The step of an effect: its verb and the kind of the object."""
    kind = re.sub(r"^\.oscar-batch/(\d{8}t\d{6}z-[0-9a-f]{6}/)?", "", key)
    kind = re.sub(r"^(active|copies|posts)/.*", r"\1", kind)
    return f"{verb} {re.sub(r'[0-9]+', 'N', kind)}"


class World(FakeOscar):
    """Storage, cluster and time, which go on when a coordinator dies."""

    def __init__(self, mode: str, folder: Path, *, named: bool = True) -> None:
        verified = mode != "pull"
        service = make.service(
            inputs=(Folder("uploads", "a/"),) if mode == "event" else (),
            outputs=(Folder("data", "out/"),),
            mount=Folder("data", "") if mode == "range" else None,
        )
        super().__init__(replace(service, has_kit=mode == "pull"))
        self.named_jobs, self.seconds = named, 0.0
        self.data = GatedBucket("data", dict.fromkeys(KEYS, b"x"))
        self.path = folder / "config.json"
        run = {"verify": VERIFY} if verified else {}
        self.path.write_text(json.dumps({**CONFIG, "run": {"poll_s": 10, **run}}))
        self.runs: Counter[str] = Counter()
        """How often each item was processed."""
        self.started: Counter[tuple[int, int]] = Counter()
        """How often the work of a round and a lane, chunk or line was started."""
        self.ends: dict[str, float] = {}
        """When each job ends."""
        self.later: list[tuple[float, Callable[[], None]]] = []

    # The coordinator.

    def drop(self, gate: Gate) -> Report | None:
        """The report of one coordinator; None if it was killed."""
        self.gate = self.data.gate = gate
        gate.closed = True
        try:
            report = run_config(self.path, connect=self.connect)
        except Killed:
            return None
        finally:
            gate.closed = False
        return report

    def connect(self, config: Config) -> Clients:
        clock = Clock(lambda: self.seconds, self.wait)
        pace = Pace(workers=1, delays_s=(0.0,))
        return Clients(
            self, self.data, self.data, None, clock, pace, open_bucket=lambda *_: self.data
        )

    def wait(self, event: threading.Event, seconds: float) -> bool:
        with self.without_gate():
            self.pass_time(seconds)
        return event.is_set()

    def pass_time(self, seconds: float) -> None:
        self.seconds += seconds
        self.data.now = NOW + timedelta(seconds=self.seconds)
        due = sorted((each for each in self.later if each[0] <= self.seconds), key=lambda e: e[0])
        self.later = [each for each in self.later if each[0] > self.seconds]
        for _, work in due:
            work()

    @contextmanager
    def without_gate(self) -> Iterator[None]:
        closed, self.gate.closed = self.gate.closed, False
        try:
            yield
        finally:
            self.gate.closed = closed

    # The cluster.

    def invoke(self, service: Service, body: bytes, *, job: str) -> Reply:
        with self.gate.pass_effect("POST /job"), self.without_gate():
            name = job if self.named_jobs else f"{job}#{len(self.ends)}"
            if name not in self.ends:
                self.ends[name] = self.seconds + TAKES_S
                self._start(json.loads(body), job)
        return Reply(Verdict.ACCEPTED)

    def delete_job(self, name: str, job: str) -> None:
        with self.gate.pass_effect("DELETE job"):
            self.deleted.append(job)

    def list_jobs(self, name: str) -> JobList:
        running = {job for job, end in self.ends.items() if end > self.seconds}
        phases = {job: Phase.RUNNING if job in running else Phase.SUCCEEDED for job in self.ends}
        return JobList(phases, 1)

    def _start(self, body: dict[str, Any], job: str) -> None:
        if "worker" in body:
            self.started[body["round"], body["lane"]] += 1
            self._beat(body, BeatState.WORKING)
            self._finish_chunks(body, most=1)
            for seconds in range(int(BEAT_S), int(TAKES_S), int(BEAT_S)):
                moment = self.seconds + seconds
                self.later.append((moment, lambda: self._beat(body, BeatState.WORKING)))
            work = self._end_worker
        elif "start" in body:
            self.started[body["attempt"], body["chunk"]] += 1
            work = self._write_range
        else:
            line, number = job.rsplit("-", 2)[1:]
            self.started[int(number), int(line)] += 1
            body = {"key": body["Key"].removeprefix("data/"), "attempt": int(number)}
            work = self._write_event
        self.later.append((self.seconds + TAKES_S, lambda: work(body)))

    # Its workers.

    def _write_range(self, body: dict[str, Any]) -> None:
        lines = self.data.objects[body["index"]].decode().splitlines()
        for key in lines[body["start"] - 1 : body["end"]]:
            self._write_output(key, body["attempt"])

    def _write_event(self, body: dict[str, Any]) -> None:
        self._write_output(body["key"], body["attempt"])

    def _write_output(self, key: str, attempt: int) -> None:
        self.runs[key] += 1
        if key != BAD or attempt > 1:
            self.data.write(f"out/{key.removeprefix('in/')}.x", b"x", "")

    def _end_worker(self, body: dict[str, Any]) -> None:
        self._finish_chunks(body, most=10**9)
        self._beat(body, BeatState.ENDED)

    def _beat(self, body: dict[str, Any], state: BeatState) -> None:
        process = f"{body['worker']}-aa"
        key = f"{body['state'].partition('/')[2]}beats/{process}.json"
        self.data.write(key, encode_document(Beat(process, state, round=body["round"])), "")

    def _finish_chunks(self, body: dict[str, Any], *, most: int) -> None:
        """The chunks of a round that have no result: first those of the worker's own lane."""
        folder = body["state"].partition("/")[2]
        content = self.data.objects[f"{folder}rounds/{body['round']:03}/chunks.jsonl"]
        _, counts, chunks = read_table(content, Table(**body["table"]))
        text = self.data.objects[body["index"].partition("/")[2]]
        places = [(Lanes(counts, Table(0, 0)).locate(chunk.number), chunk) for chunk in chunks]
        for (lane, number), chunk in sorted(places, key=lambda each: each[0][0] != body["lane"]):
            key = f"{folder}results/{body['round']:03}/{lane:05}/{number:06}.json"
            if key in self.data.objects or not most:
                continue
            most -= 1
            part = text[chunk.offset : chunk.offset + chunk.length_bytes].decode().splitlines()
            items = tuple(
                self._process(line, item, body["round"])
                for line, item in enumerate(part, chunk.first_line)
            )
            process = f"{body['worker']}-aa"
            result = ChunkResult(process, body["round"], lane, number, 1, "", "", items=items)
            self.data.put_new(key, encode_document(result), "")

    def _process(self, line: int, key: str, number: int) -> ItemOutcome:
        self.runs[key] += 1
        if key == BAD and number == 1:
            return ItemOutcome(line, ItemState.FAILED, 1.0, 1, key, "exit", "exit code 1")
        return ItemOutcome(line, ItemState.DONE)


def list_steps(mode: str, folder: Path) -> list[str]:
    """The steps of a run that nobody kills."""
    gate = Gate()
    World(mode, folder).drop(gate)
    return gate.steps


REPORT_SO_FAR = {"write report.json", "write report.html", "write progress.json"}


def choose_steps(steps: Sequence[str]) -> list[int]:
    """The numbers of the steps at which a coordinator is killed.

    While a run waits it writes the report so far again and again, and nothing else. Of such a
    stretch the first and the last report are enough; of everything else all steps are chosen.
    """
    chosen, size = [], len(REPORT_SO_FAR)
    for same, group in groupby(enumerate(steps), key=lambda each: each[1] in REPORT_SO_FAR):
        numbers = [number for number, _ in group]
        chosen += sorted({*numbers[:size], *numbers[-size:]}) if same else numbers
    return chosen
