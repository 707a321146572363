# SPDX-License-Identifier: Apache-2.0
"""`make test-live`: the main job and its surroundings on a real cluster, in one table.

It asks before the first write unless `--yes`, removes what it made however it ends, and exits with
1 if a row is not as expected, or something it made is left.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import textwrap
import time
from pathlib import Path

from .checks import Row, run_checks
from .cluster import VARIABLES, LiveCluster, Made, Missing
from .site import Site

CHECK_WIDTH, TEXT_WIDTH = 27, 48
# OSCAR takes six seconds to make a service, also for a client that has gone.
SETTLE_S = 8.0
TRIES = 4


def main() -> int:
    parser = argparse.ArgumentParser(prog="make test-live", description=__doc__)
    parser.add_argument("--yes", action="store_true", help="do not ask before the first write")
    parser.add_argument(
        "--wait", type=float, default=600, metavar="S", help="for jobs (default: 600 seconds)"
    )
    arguments = parser.parse_args()
    try:
        cluster = LiveCluster.from_environment(os.environ)
    except Missing as error:
        meanings = "\n".join(f"  {name:18} {meaning}" for name, meaning in VARIABLES.items())
        print(f"test-live: not set: {error}; these name the cluster:\n{meanings}", file=sys.stderr)
        return 2
    made = Made(cluster)
    if not (arguments.yes or agree(made)):
        print("test-live: nothing was written")
        return 2
    # What asks a program to end must leave nothing behind either.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return run(made, arguments.wait)


def agree(made: Made) -> bool:
    """Whether the person wants these writes."""
    print(
        f"test-live: on {made.cluster.url} and {made.cluster.s3_url} this will create up to three "
        f"services\nand three buckets, all named {made.prefix}-…, start about 20 jobs of 1 CPU, "
        "and remove all of it.\nOSCAR restarts MinIO for a second whenever a service comes or goes."
    )
    try:
        return input("Go on? [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def run(made: Made, wait_s: float) -> int:
    """Runs the checks and removes what they made; the exit code."""
    rows: list[Row] = []
    interrupted = False
    with tempfile.TemporaryDirectory() as folder:
        try:
            for row in run_checks(Site(made.cluster, made, Path(folder), wait_s)):
                rows.append(row)
                note(f"{'as expected' if row.ok else 'NOT as expected'}: {row.check}")
        except KeyboardInterrupt:
            interrupted = True
            note("interrupted")
        finally:
            rows.append(remove(made, settle_s=SETTLE_S if interrupted else 0))
    print_table(rows)
    if interrupted:
        return 130
    return 0 if all(row.ok for row in rows) else 1


def remove(made: Made, settle_s: float) -> Row:
    """Removes everything; OSCAR may still make what an interrupted request asked for."""
    note(f"removing what was made, {made.prefix}-…; please let it end")
    expected = "nothing is left"
    problems: list[str] = []
    for _ in range(TRIES):
        try:
            problems = made.remove()
            time.sleep(settle_s)
            if not (left := made.find_left()):
                return Row("removal", True, "nothing is left", expected)
            problems += [f"{name} is there" for name in left]
        except KeyboardInterrupt:
            note("still removing")
        except Exception as error:  # MinIO or the manager restarts
            problems = [f"{type(error).__name__}: {error}"]
        time.sleep(1)
    names = ", ".join([*made.services, *made.buckets])
    seen = f"remove by hand what is left of {names} ({'; '.join(problems)})"
    return Row("removal", False, seen, expected)


def print_table(rows: list[Row]) -> None:
    """check, seen, expected; what is not as expected is marked."""
    print_line("", "check", "seen", "expected")
    for row in rows:
        print_line("ok" if row.ok else "NOT", row.check, row.seen, row.expected)
    bad = sum(not row.ok for row in rows)
    print(f"test-live: {len(rows)} rows, {bad} not as expected")


def print_line(mark: str, check: str, seen: str, expected: str) -> None:
    clean = ("".join(c if c.isprintable() else " " for c in text) for text in (seen, expected))
    columns = [textwrap.wrap(text, TEXT_WIDTH, break_on_hyphens=False) or [""] for text in clean]
    for number in range(max(map(len, columns))):
        left, right = (column[number] if number < len(column) else "" for column in columns)
        first = (mark, check) if number == 0 else ("", "")
        print(f"{first[0]:3} {first[1]:{CHECK_WIDTH}} {left:{TEXT_WIDTH}}  {right}".rstrip())


def note(text: str) -> None:
    print(f"test-live: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
