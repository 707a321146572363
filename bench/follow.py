# SPDX-License-Identifier: Apache-2.0
"""`make bench-follow`: time and memory of a coordinator that follows 10^7 items in 10^4 chunks.

The run folder is made up as it is read: every result has the outcomes of a thousand items, one of
which failed with 2 KB of stderr. Listed, read and counted is all of it, and the lists of done,
failed and pending items are written. Nothing goes over a network.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from threading import Event

from coordinator.drive.post_notes import PostNotes
from coordinator.drive.progress import Progress
from coordinator.drive.pull.pull_run import PullRun
from coordinator.drive.pull.watch import drive_rounds
from coordinator.drive.pull.workers.free_slots import FreeSlots
from coordinator.drive.pull.workers.hints import JobHints
from coordinator.drive.submission import Clock
from coordinator.model.cluster import Capacity, JobList
from coordinator.model.errors import Ending
from coordinator.model.items import Chunk, Index
from coordinator.model.object_columns import ObjectColumns
from coordinator.model.pull.lanes import Lanes, Table
from coordinator.model.run import Plan, RunRules, Sent, State
from coordinator.model.service import Folder, Locations
from coordinator.run.layout import ResultKey, RunLayout
from coordinator.run.lease import Lease
from coordinator.storage.bucket import Bucket
from coordinator.storage.pages import ListQuery
from coordinator.storage.upload import Written

ITEMS, SLOTS, PAGE = 1_000, 100, 1_000
MOST_MIB = 128
NOW = datetime(2026, 11, 22, tzinfo=UTC)
STDERR = "x" * 2048


class MadeUpBucket(Bucket):
    """A run folder in which every chunk has a result; what is written is counted."""

    def __init__(self, layout: RunLayout, plan: Plan, lanes: Lanes) -> None:
        self.name = "data"
        self._layout, self._plan, self._lanes = layout, plan, lanes
        self.written: dict[str, int] = {}

    def read_clock(self, key: str) -> datetime:
        return NOW

    def list_objects(self, query: ListQuery) -> Iterator[ObjectColumns]:
        if query.prefix == self._layout.start:
            yield ObjectColumns([query.prefix.encode()], None, [NOW.isoformat()])
        if query.prefix != self._layout.results(1):
            return
        keys: list[bytes] = []
        for lane, count in enumerate(self._lanes.counts, start=1):
            for chunk in range(1, count + 1):
                keys.append(self._layout.result(1, ResultKey(lane, chunk)).encode())
                if len(keys) == PAGE:
                    yield ObjectColumns(keys, [0] * PAGE)
                    keys = []
        yield ObjectColumns(keys, [0] * len(keys))

    def exists(self, key: str) -> bool:
        return False

    def read_small(self, key: str, limit_bytes: int) -> bytes | None:
        found = self._layout.parse_result(1, key)
        if found is None:
            return None
        chunk = self._plan.chunks[self._lanes.find(found.lane, found.chunk) - 1]
        items = [
            {"line": line, "state": "done", "seconds": 0.213, "tries": 1}
            for line in range(chunk.first_line, chunk.last_line + 1)
        ]
        failed = {"state": "failed", "key": "k", "kind": "exit", "reason": "r", "stderr": STDERR}
        items[0].update(failed)
        members = {"process": "0001-00001-aa", "round": 1, "attempt": 1, "started": ""}
        place = {"lane": found.lane, "chunk": found.chunk, "finished": "", "items": items}
        return json.dumps({"schema": "oscar-batch/result/1", **members, **place}).encode()

    def read_pieces(self, key: str) -> Iterator[bytes]:
        for chunk in self._plan.chunks:
            lines = range(chunk.first_line, chunk.last_line + 1)
            yield b"".join(b"input/2026/%08d.jpg\n" % line for line in lines)

    def write(self, key: str, content: bytes, content_type: str) -> None:
        pass

    def write_lines(self, key: str, pieces: Iterable[bytes], content_type: str) -> Written:
        self.written[key] = sum(piece.count(b"\n") for piece in pieces)
        return Written(0, self.written[key], "", 0)


def follow(chunks: int) -> tuple[MadeUpBucket, RunLayout]:
    """Follows a run of so many chunks to its end."""
    items = chunks * ITEMS
    lanes = Lanes(tuple(chunks // SLOTS for _ in range(SLOTS)), Table(512, 160))
    plan = Plan(
        run_id="run",
        service="target",
        data=Folder("data", "input/"),
        index_bucket="data",
        index_key=".oscar-batch/run/index.0001.txt",
        index=Index(items, items),
        capacity=Capacity(SLOTS, "nodes", ""),
        chunks=tuple(Chunk(n + 1, n * ITEMS, (n + 1) * ITEMS, ITEMS, 0, 0) for n in range(chunks)),
        lanes=lanes,
    )
    layout = RunLayout(Locations(plan.data, Folder("data", ".oscar-batch/")), "run")
    bucket = MadeUpBucket(layout, plan, lanes)
    clock = Clock(time.monotonic, Event.wait)
    progress = Progress(run_id="run")
    progress.plan = plan
    run = PullRun(
        state=bucket,
        layout=layout,
        plan=plan,
        lanes=lanes,
        rules=RunRules(retries=0),
        clock=clock,
        lease=Lease(bucket, layout, "process", ""),
        posts=PostNotes(bucket, layout, progress.clock),
        free_slots=FreeSlots(lambda: plan.capacity, clock.now_s),
        hints=JobHints(lambda: JobList({}, 1), named=False),
        invoke=lambda number, more: [Sent(each, State.INVOKED, 1) for each in more],
        delete_job=lambda job: None,
        named=True,
    )
    ending, message = drive_rounds(run, progress)
    if ending is not Ending.PARTLY_DONE:
        raise SystemExit(message)
    return bucket, layout


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.follow", description=__doc__)
    parser.add_argument("--chunks", type=int, default=10_000)
    arguments = parser.parse_args()
    began = time.monotonic()
    bucket, layout = follow(arguments.chunks)
    seconds = time.monotonic() - began
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    done, failed = bucket.written[layout.done], bucket.written[layout.failed]
    print(f"{done} done, {failed} failed: {seconds:.0f} s, at most {peak_mib:.0f} MiB resident")
    return int(peak_mib > MOST_MIB)


if __name__ == "__main__":
    sys.exit(main())
