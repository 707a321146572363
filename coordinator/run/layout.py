# SPDX-License-Identifier: Apache-2.0
"""The keys of all objects that a run writes. No other module makes such a key.

Below <state.prefix><run id>/, as docs/protocol.md has them:

start.json                                  the first object: who runs it
index.<epoch>.txt                           the items, one key a line
plan.json                                   the plan
probe                                       written and removed: does the server honour conditions?
rounds/<round>/index.<epoch>.txt            the items of a later round
rounds/<round>/chunks.jsonl                 the chunk table
rounds/<round>/counted.jsonl                without conditional writes: the attempts that count
posts/<worker>.json                         an invocation, before and after its request
claims/<round>/<lane>/<chunk>.<attempt>     who takes a chunk
beats/<process>.json                        a sign of life of a worker
marks/<round>/<lane>/<chunk>.<attempt>.json how far an attempt has come
results/<round>/<lane>/<chunk>.json         the outcome of every item of a chunk
watchers/<round>/<number>                   who waits for the last chunks
lease/<epoch>                               who drives the run
stop                                        the run is to end
wakes/<number>                              a worker asks for a coordinator
report.json, report.html                    what happened, for machines and for people
progress.json                               how far it is, for programs
done.txt, failed.jsonl, failed.csv,
pending.jsonl, skipped.jsonl                the items by state
end.json                                    the last object of a run

Elsewhere:

<state.prefix>costs/<service>.json          what the last run of a service measured
<state.prefix>active/<batch key>/<number>   the runs of a batch: what one config asks for
<state.prefix>copies/<hash>.json            a copy of an index that a run wrote into a data folder
<report.prefix><run id>/report.*            a copy of the report, where the config asks for it
<folder_prefix><output.file>                a copy of the index, where the config asks for it
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from urllib.parse import quote

from ..model.service import Folder, Locations, Service, split_key

REPORT_JSON, REPORT_HTML = "report.json", "report.html"
_RESULT = re.compile(r"(\d{5})/(\d{6})(?:\.(\d{3}))?\.json", re.ASCII)
_CLAIM = re.compile(r"(\d{5})/(\d{6})\.(\d{3})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ResultKey:
    """What the key of a result says; without conditional writes also the attempt."""

    lane: int
    chunk: int
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class RunLayout:
    """The keys of one run; all but the copies are in the state bucket."""

    locations: Locations
    run_id: str
    epoch: int = 1

    @property
    def folder(self) -> str:
        return f"{self.locations.state.prefix}{self.run_id}/"

    def is_run(self, folder: str) -> bool:
        """Whether a folder below the state folder may be that of a run."""
        name = folder.removeprefix(self.locations.state.prefix).rstrip("/")
        return name not in {"active", "copies", "costs"}

    @property
    def start(self) -> str:
        return f"{self.folder}start.json"

    @property
    def index(self) -> str:
        return f"{self.folder}index.{self.epoch:04}.txt"

    @property
    def plan(self) -> str:
        return f"{self.folder}plan.json"

    @property
    def probe(self) -> str:
        return f"{self.folder}probe"

    @property
    def beats(self) -> str:
        return f"{self.folder}beats/"

    @property
    def stop(self) -> str:
        return f"{self.folder}stop"

    @property
    def end(self) -> str:
        return f"{self.folder}end.json"

    @property
    def done(self) -> str:
        return f"{self.folder}done.txt"

    @property
    def failed(self) -> str:
        return f"{self.folder}failed.jsonl"

    @property
    def failed_table(self) -> str:
        return f"{self.folder}failed.csv"

    @property
    def skipped(self) -> str:
        return f"{self.folder}skipped.jsonl"

    @property
    def progress(self) -> str:
        return f"{self.folder}progress.json"

    @property
    def pending(self) -> str:
        return f"{self.folder}pending.jsonl"

    @property
    def leases(self) -> str:
        return f"{self.folder}lease/"

    def lease(self, epoch: int) -> str:
        return f"{self.leases}{epoch:04}"

    def with_run(self, run_id: str) -> RunLayout:
        """The keys of another run in the same state folder."""
        return replace(self, run_id=run_id, epoch=1)

    def with_epoch(self, epoch: int) -> RunLayout:
        """The keys of the same run for the coordinator of this epoch."""
        return replace(self, epoch=epoch)

    def wake(self, number: int) -> str:
        return f"{self.folder}wakes/{number}"

    @property
    def posts(self) -> str:
        return f"{self.folder}posts/"

    def post(self, worker: str) -> str:
        return f"{self.posts}{worker}.json"

    def beat(self, process: str) -> str:
        return f"{self.beats}{process}.json"

    def round_index(self, number: int) -> str:
        return f"{self.folder}rounds/{number:03}/index.{self.epoch:04}.txt"

    def table(self, number: int) -> str:
        """The chunk table of a round."""
        return f"{self.folder}rounds/{number:03}/chunks.jsonl"

    def counted(self, number: int) -> str:
        return f"{self.folder}rounds/{number:03}/counted.jsonl"

    def claim(self, number: int, lane: int, chunk: int, attempt: int) -> str:
        """The claim of an attempt at a chunk in a round."""
        return f"{self.folder}claims/{number:03}/{lane:05}/{chunk:06}.{attempt:03}"

    def claims(self, number: int) -> str:
        """The folder of a round's claims."""
        return f"{self.folder}claims/{number:03}/"

    def parse_claim(self, number: int, key: str) -> ResultKey | None:
        """The chunk and the attempt of a claim; None for another key."""
        found = _CLAIM.fullmatch(key.removeprefix(self.claims(number)))
        return ResultKey(*map(int, found.groups())) if found else None

    def marks(self, number: int) -> str:
        """The folder of a round's marks."""
        return f"{self.folder}marks/{number:03}/"

    def parse_mark(self, number: int, key: str) -> ResultKey | None:
        """The chunk and the attempt of a mark; None for another key."""
        found = _RESULT.fullmatch(key.removeprefix(self.marks(number)))
        return ResultKey(*map(int, found.groups())) if found and found.group(3) else None

    def mark(self, number: int, lane: int, chunk: int, attempt: int) -> str:
        return f"{self.folder}marks/{number:03}/{lane:05}/{chunk:06}.{attempt:03}.json"

    def watcher(self, number: int, watcher: int) -> str:
        return f"{self.folder}watchers/{number:03}/{watcher:03}"

    def results(self, number: int) -> str:
        """The folder of a round's results."""
        return f"{self.folder}results/{number:03}/"

    def result(self, number: int, key: ResultKey) -> str:
        attempt = "" if key.attempt is None else f".{key.attempt:03}"
        return f"{self.results(number)}{key.lane:05}/{key.chunk:06}{attempt}.json"

    def parse_result(self, number: int, key: str) -> ResultKey | None:
        """What the key of a result of a round says; None for any other key."""
        match = _RESULT.fullmatch(key.removeprefix(self.results(number)))
        if match is None:
            return None
        lane, chunk, attempt = match.groups()
        return ResultKey(int(lane), int(chunk), int(attempt) if attempt else None)

    def parse_beat(self, key: str) -> str:
        """The process whose beat lies at a key."""
        return key.removeprefix(self.beats).removesuffix(".json")

    def cost(self, service: str) -> str:
        """What the last run of a service measured."""
        return f"{self.locations.state.prefix}costs/{quote(service, safe='')}.json"

    def batch(self, key: str) -> str:
        """The folder of a batch: what its runs have in common."""
        return f"{self.locations.state.prefix}active/{key}/"

    def active(self, batch: str, number: int) -> str:
        return f"{self.batch(batch)}{number:06}"

    @property
    def copies(self) -> str:
        """The folder of the notes of all copies of indexes."""
        return f"{self.locations.state.prefix}copies/"

    def copy(self, bucket: str, key: str) -> str:
        """The note of a copy. A hash, because keys may be as long as a key can be."""
        return f"{self.copies}{_hash(bucket, key)}.json"


def make_batch_key(*parts: object) -> str:
    """The key of a batch, from all that decides what is processed and where the state is."""
    return _hash(*map(repr, parts))


def _hash(*parts: str) -> str:
    return sha256("\n".join(parts).encode(errors="replace")).hexdigest()[:32]


def make_report_key(folder: Folder, run_id: str, name: str) -> str:
    """The key of a report's file, in the state folder or in that of the copies."""
    return f"{folder.prefix}{run_id}/{name}"


def find_run_files(locations: Locations) -> tuple[str, ...]:
    """What runs leave in the listed folder: keys, and folders, which end with `/`."""
    data = locations.data
    folders = [folder for folder in (locations.state, locations.report) if folder and folder.prefix]
    found = [folder.prefix for folder in folders if folder.bucket == data.bucket]
    found += [locations.index_copy] if locations.index_copy else []
    return tuple(key for key in found if key.startswith(data.prefix) or data.prefix.startswith(key))


@dataclass(frozen=True, slots=True)
class WrittenObject:
    """An object that a run writes, the config key that names its place, and what to change."""

    setting: str
    bucket: str
    key: str
    advice: str
    of_run: bool = True
    """Whether the run itself writes it, and not OSCAR after a job."""
    is_folder: bool = False
    """Whether objects of many names are written below the key."""

    def may_land_in(self, folder: Folder) -> bool:
        """Whether it, or an object below it, lies in a folder, however the two are spelled."""
        key, inner = split_key(self.key), split_key(folder.prefix)
        above = self.is_folder and inner[: len(key)] == key
        return self.bucket == folder.bucket and (above or key[: len(inner)] == inner)


def list_written(locations: Locations, service: Service, run_id: str) -> Iterator[WrittenObject]:
    """One object of each kind that a run, its jobs and OSCAR after them write."""
    state, report = locations.state, locations.report
    elsewhere = "name another folder or bucket"
    yield WrittenObject("state", state.bucket, state.prefix, elsewhere, is_folder=True)
    if report:
        key = make_report_key(report, run_id, REPORT_JSON)
        yield WrittenObject("report", report.bucket, key, elsewhere)
    if locations.index_copy:
        advice = "leave output.file out: the index is kept in the run's own folder in any case"
        yield WrittenObject("output.file", locations.data.bucket, locations.index_copy, advice)
    for outputs, owner, name in (
        (service.outputs, "the service", "<output>"),
        (locations.own_outputs, "the coordinator's service", REPORT_JSON),
    ):
        advice = f"give {owner} another output folder"
        for output in outputs:
            key = f"{output.prefix}{name}"
            yield WrittenObject("service.name", output.bucket, key, advice, of_run=False)
