# SPDX-License-Identifier: Apache-2.0
"""The search at the size of a benchmark: `make search`. Ends with 1 at the first violation."""

from __future__ import annotations

import resource
import sys
import time

from .cases import LARGE, SMALL
from .search import Found, explore, walk
from .world import Case

STATES = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
WALKS = STATES // 100


def show(case: Case, way: str, found: Found, began_s: float) -> int:
    """Prints a line; the number of states."""
    whole = "all" if found.whole else ""
    seconds = time.process_time() - began_s
    print(f"{case.name:40} {way:14} {found.states:9,} {whole:3} {seconds:6.1f} s", flush=True)
    if found.violation:
        print(f"VIOLATION {found.violation}\n" + "\n".join(found.trace))
        sys.exit(1)
    return found.states


def search() -> None:
    """Every case, breadth first and at random."""
    states = 0
    for case in SMALL + LARGE:
        began_s = time.process_time()
        found = explore(case._replace(most_states=STATES) if case in LARGE else case)
        states += show(case, "breadth first", found, began_s)
    for case in LARGE:
        began_s = time.process_time()
        states += show(case, "random walks", walk(case, 1, WALKS), began_s)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{states:,} states, {time.process_time():.0f} s of CPU, {memory} MiB")


search()
