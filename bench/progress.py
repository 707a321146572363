# SPDX-License-Identifier: Apache-2.0
"""`make bench-progress`: what it costs to show how far the listing of the objects is.

    python -m bench.progress [--objects 1000000] [--rounds 5]

The index of a bucket of made-up pages is built in turns without and with the line on a terminal
and the report in the bucket, in one process. Fails if showing takes 1 % of the time of the index.
"""

from __future__ import annotations

import argparse
import os
import pty
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from types import SimpleNamespace
from typing import cast

from bench import servers
from coordinator.cli.output import print_progress
from coordinator.drive.planning.draft import KeyCounter
from coordinator.drive.planning.indexing import build_index, count_only
from coordinator.drive.progress import Progress
from coordinator.drive.publishing import Publisher
from coordinator.model.access import StorageAccess
from coordinator.model.planning import ChunkRules
from coordinator.model.selection import Rules, Selection
from coordinator.model.service import Folder, Locations
from coordinator.run.layout import RunLayout
from coordinator.run.lease import Lease
from coordinator.storage.bucket import Bucket

MOST = 0.01
LOCATIONS = Locations(Folder("stub", "input/"), Folder("stub", ".oscar-batch/"))
SELECTION = Selection(Rules("input/"))


class Timed(Progress):
    """Adds up the time that is spent on showing."""

    spent_s = 0.0

    def show(self, detail: str = "") -> None:
        began_s = time.perf_counter()
        super().show(detail)
        self.spent_s += time.perf_counter() - began_s


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.progress", description=__doc__)
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    silent: list[tuple[float, float]] = []
    shown: list[tuple[float, float]] = []
    shares: list[float] = []
    with servers.pages("flat", arguments.objects) as url:
        data = Bucket(StorageAccess(url, servers.ACCESS, servers.SECRET, "us-east-1"), "stub")
        build(data, None)  # to warm up
        for _ in range(arguments.rounds):
            silent.append(build(data, None))
            progress = Timed()
            with terminal():
                shown.append(build(data, progress))
            shares.append(progress.spent_s / shown[-1][0])
    print("| index of | s | CPU s | of it showing |\n|---|--:|--:|--:|")
    for name, runs, share in (("silent", silent, ""), ("shown", shown, f"{median(shares):.2%}")):
        wall, cpu = (median(column) for column in zip(*runs, strict=True))
        print(f"| {arguments.objects:,} objects, {name} | {wall:.2f} | {cpu:.2f} | {share} |")
    return int(median(shares) >= MOST)


def build(data: Bucket, progress: Progress | None) -> tuple[float, float]:
    """Builds the index and writes it nowhere; seconds of the clock and of CPU."""
    rules = ChunkRules()
    if progress is None:
        wall, cpu = time.perf_counter(), time.process_time()
        build_index(data, SELECTION, (), rules, count_only)
    else:
        publisher = Publisher(LOCATIONS, data, None, progress, time.monotonic)
        progress.publish, progress.say = publisher.refresh, print_progress
        layout = RunLayout(LOCATIONS, progress.run_id)
        progress.lease = cast(Lease, SimpleNamespace(layout=layout))
        with progress.stage("index"):  # the first page is there before the first key
            wall, cpu = time.perf_counter(), time.process_time()
            counter = KeyCounter(progress, time.monotonic)
            build_index(data, SELECTION, (), rules, count_only, count=counter.count)
    return time.perf_counter() - wall, time.process_time() - cpu


@contextmanager
def terminal() -> Iterator[None]:
    """Makes stderr a terminal that somebody reads."""
    reader, writer = pty.openpty()
    before, sys.stderr = sys.stderr, os.fdopen(writer, "w")
    threading.Thread(target=lambda: [*iter(lambda: read(reader), b"")], daemon=True).start()
    try:
        yield
    finally:
        sys.stderr.close()
        sys.stderr = before


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # it is closed
        return b""


if __name__ == "__main__":
    sys.exit(main())
