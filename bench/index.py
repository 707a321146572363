# SPDX-License-Identifier: Apache-2.0
"""How fast the index of a bucket is built, and in how much memory, beside other listers.

    python -m bench.index [--objects 200000] [--rounds 3] [--largest 10000000] [--only s5cmd …]
                          [--delay-ms 25]

Every lister runs once unmeasured, so that all find the server's caches warm; then they take turns.
Those that took more than twice the time of the fastest peer keep that first time.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bench import listers, servers
from bench.measured import Measured, measure
from bench.relay import delay_answers

KEPT = Path("build/bench")
KEYS = {
    "AWS_ACCESS_KEY_ID": servers.ACCESS,
    "AWS_SECRET_ACCESS_KEY": servers.SECRET,
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
MIB = 1024 * 1024


def compare(commands: dict[str, list[str]], objects: int, rounds: int) -> None:
    """Prints a table of all listers on one bucket."""
    runs: dict[str, list[Measured]] = {name: [] for name in commands}
    for number in range(rounds + 1):  # the first is to warm up
        for name, command in commands.items():
            found = measure(command, KEYS)
            if found.objects != objects:
                raise RuntimeError(f"{name} found {found.objects} objects")
            runs[name] = [*runs[name], found] if number > 1 else [found]
        if number == 0:
            limit = 2 * min(found[0].seconds for name, found in runs.items() if name != "ours")
            commands = {n: each for n, each in commands.items() if runs[n][0].seconds <= limit}
    times = {name: median(run.seconds for run in found) for name, found in runs.items()}
    fastest = min(seconds for name, seconds in times.items() if name != "ours")
    print("| lister | s | objects/s | to the fastest peer | user CPU s | peak MiB | waiting |")
    print("|---|---|---|---|---|---|---|")
    for name, seconds in sorted(times.items(), key=lambda entry: entry[1]):
        one = min(runs[name], key=lambda run: abs(run.seconds - seconds))
        peak = max(run.peak_bytes for run in runs[name]) / MIB
        figures = f"{seconds:.2f} | {objects / seconds:,.0f} | {fastest / seconds:.2f}x"
        print(f"| {name} | {figures} | {one.user_s:.2f} | {peak:.1f} | {one.waiting:.0%} |")
    print(flush=True)


def memory(largest: int) -> None:
    """Prints the peak memory of ours by the number of objects, on a server of made-up pages."""
    print("| objects | flat: peak MiB | s | nested: peak MiB | s |\n|---|---|---|---|---|")
    count = 10_000
    while count <= largest:
        row = f"| {count:,} |"
        for shape in servers.SHAPES:
            with servers.pages(shape, count) as url:
                command = listers.commands(url, "stub")["ours"]
                command[command.index("ours")] = "nowhere"
                found = measure(command, KEYS)
            row += f" {found.peak_bytes / MIB:.1f} | {found.seconds:.1f} |"
        print(row, flush=True)
        count *= 10
    print(flush=True)


@contextmanager
def running(kind: str) -> Iterator[str | None]:
    """The URL of a server; none for a MinIO that is not there."""
    binary = os.environ.get("MINIO_BINARY") or shutil.which("minio")
    if kind == "SeaweedFS":
        with servers.seaweedfs(KEPT / "seaweedfs") as url:
            yield url
    elif binary:
        with servers.minio(binary, KEPT / "minio") as url:
            yield url
    else:
        print("MinIO: left out (set MINIO_BINARY, or have `minio` on the PATH)\n")
        yield None


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--largest", type=int, default=10_000_000)
    parser.add_argument("--delay-ms", type=float, default=0, help="added to every answer")
    parser.add_argument("--only", nargs="*", help="the peers to compare with (all)")
    asked = parser.parse_args()
    for kind in ("SeaweedFS", "MinIO"):
        with running(kind) as url:
            for shape in servers.SHAPES if url else ():
                assert url is not None  # noqa: S101
                bucket = servers.fill(url, shape, asked.objects)
                print(f"{kind}, {asked.objects:,} {shape} keys, median of {asked.rounds}:\n")
                with delay_answers(url, asked.delay_ms / 1000) as far:
                    commands = listers.commands(far if asked.delay_ms else url, bucket)
                    wanted = {"ours", *(asked.only or commands)}
                    commands = {name: commands[name] for name in commands if name in wanted}
                    compare(commands, asked.objects, asked.rounds)
    print("Memory of ours:\n")
    memory(asked.largest)


if __name__ == "__main__":
    main()
