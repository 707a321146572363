# SPDX-License-Identifier: Apache-2.0
"""`make bench-plan`: how close each strategy comes to the shortest time that is possible.

A fixed suite of backlogs and clusters, simulated: five kinds of backlogs, even and uneven nodes,
four start-up times, three numbers of slots, 10^3 to 10^6 items, all combined. The planner knows
the mean cost of an item by its bytes; the pool has noise on top. Figures are the make-span over
a lower bound that no schedule can beat. `auto` is what a user gets who gives the times of an item
and the start-up, and nothing of the slots; with measured speeds, and with nothing known, it has
columns of its own. Also times the plan of 10^7 items on 5,000 nodes.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import time
import tracemalloc
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import accumulate, pairwise, product
from pathlib import Path
from statistics import fmean

from coordinator.drive.planning.indexing import count_only
from coordinator.index.builder import IndexBuilder
from coordinator.model.cluster import Basis, Cluster, Node, Resources
from coordinator.model.items import Checkpoints, Chunk, Index
from coordinator.model.object_columns import ObjectColumns
from coordinator.model.planning import ChunkRules, Cost, Strategy
from coordinator.plan.capacity import compute_capacity
from coordinator.plan.choose import choose_chunks
from coordinator.plan.simulate import (
    SlotPool,
    compute_lower_bound,
    simulate_pull,
    simulate_queue,
    spread_speeds,
)

KINDS = ("uniform", "log-normal", "drifting", "one giant", "many tiny")
NODES = ("even", "uneven")
STARTUPS_S = (1.0, 5.0, 30.0, 120.0)
SLOTS = (8, 64, 512)
ITEMS = (10**3, 10**4, 10**5, 10**6)
MEAN_BYTES, TINY_BYTES = 4_000_000, 10_000
SECONDS_PER_ITEM, SECONDS_PER_BYTE = 0.2, 0.5e-6
# The part of an item's time that its bytes do not explain.
ITEM_NOISE = 0.1
# Three kinds of nodes, the slowest at 40 % of the fastest. Where the planner knows these, as from
# an earlier run, it does not know which slot is of which kind.
SPEEDS = {"even": (1.0,), "uneven": (0.4, 0.7, 1.0)}
# Which slot the cluster fills first is luck: uneven scenarios are means over so many orders.
PLACEMENTS = 5
AUTO, MEASURED, BLIND = "auto", "auto, speeds known", "auto, nothing known"
COLUMNS = ["one job per item", "equal counts", "balanced", "factoring"]
COLUMNS += [AUTO, MEASURED, BLIND, "pull"]
LIMITS = {"pull": 1.03, "even": 1.10, "uneven": 1.35, "equal": 1.02}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One backlog on one cluster."""

    kind: str
    nodes: str
    startup_s: float
    slots: int
    items: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """What the planner sees of a backlog, and what it really costs."""

    index: Index
    cumulated_s: Sequence[float]
    """The time of the first n items on a slot of speed 1."""
    largest_s: float

    def seconds(self, chunks: Iterable[Chunk]) -> list[float]:
        cumulated = self.cumulated_s
        return [cumulated[chunk.stop] - cumulated[chunk.start] for chunk in chunks]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.plan", description=__doc__)
    parser.add_argument("--most-items", type=int, default=ITEMS[-1], help="leave larger ones out")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", type=Path, help="also put the tables into this Markdown file")
    arguments = parser.parse_args()
    backlogs = [
        (kind, items, slots)
        for items, kind in product(ITEMS, KINDS)
        for slots in (SLOTS if kind == "one giant" else (0,))
        if items <= arguments.most_items
    ]
    with ProcessPoolExecutor(arguments.workers) as pool:
        results = dict(
            pair for part in pool.map(measure_backlog, reversed(backlogs)) for pair in part
        )
    text = "\n".join([*tables(results), "", *scale()])
    print(text)
    if arguments.write:
        into_section(arguments.write, text)
    return 0 if holds(results) else 1


def measure_backlog(backlog: tuple[str, int, int]) -> list[tuple[Scenario, dict[str, float]]]:
    """All scenarios of one backlog: make-span over the lower bound for each strategy."""
    kind, items, slots = backlog
    made = make(kind, items, slots)
    return [
        (scenario, ratios(scenario, made))
        for nodes, startup_s, count in product(NODES, STARTUPS_S, (slots,) if slots else SLOTS)
        for scenario in [Scenario(kind, nodes, startup_s, count, items)]
    ]


def make(kind: str, items: int, slots: int) -> Backlog:
    """A backlog, the same one every time."""
    random_ = random.Random(f"{kind} {items}")  # noqa: S311 (a simulation)
    sizes = [int(size) for size in _sizes(kind, items, random_)]
    if slots:
        # As long as half of what each slot has to do, deep in the listing.
        sizes[2 * items // 3] = sum(sizes) // (2 * slots)
    index = build_index(sizes)
    noise = (random_.lognormvariate(-(ITEM_NOISE**2) / 2, ITEM_NOISE) for _ in sizes)
    times = [
        (SECONDS_PER_ITEM + SECONDS_PER_BYTE * size) * factor
        for size, factor in zip(sizes, noise, strict=True)
    ]
    return Backlog(index, array("d", accumulate(times, initial=0.0)), max(times))


def _sizes(kind: str, items: int, random_: random.Random) -> Iterator[float]:
    for number in range(items):
        if kind == "uniform":
            yield MEAN_BYTES
        elif kind == "log-normal":
            yield MEAN_BYTES * random_.lognormvariate(-0.5, 1.0)
        elif kind == "drifting":
            trend = 0.25 + 1.5 * number / items
            yield MEAN_BYTES * trend * random_.lognormvariate(-0.045, 0.3)
        elif kind == "one giant":
            yield MEAN_BYTES * random_.lognormvariate(-0.125, 0.5)
        else:
            yield TINY_BYTES * random_.lognormvariate(-0.5, 1.0)


def build_index(sizes: Sequence[int]) -> Index:
    """The index of items of these sizes."""
    builder = IndexBuilder()
    count_only(builder.build_lines([ObjectColumns([b"k"] * len(sizes), list(sizes))]))
    return builder.index()


def cut_equal_counts(items: int, slots: int) -> list[Chunk]:
    """Chunks of equally many items: what the strategies are held to."""
    step = -(-items // slots)
    starts = range(0, items, step)
    return [Chunk(n, start, min(start + step, items), 0, 0, 0) for n, start in enumerate(starts, 1)]


def ratios(scenario: Scenario, backlog: Backlog) -> dict[str, float]:
    """Each strategy's make-span over the lower bound, its mean over placements."""
    index, slots = backlog.index, scenario.slots
    speeds = SPEEDS[scenario.nodes]
    cost = Cost(scenario.startup_s, SECONDS_PER_ITEM, SECONDS_PER_BYTE, source="the suite")
    asked = {
        "balanced": (ChunkRules(Strategy.BALANCED), cost),
        "factoring": (ChunkRules(Strategy.FACTORING), cost),
        AUTO: (ChunkRules(), cost),
        MEASURED: (ChunkRules(), replace(cost, speeds=speeds)),
        BLIND: (ChunkRules(), Cost()),
        "pull": (ChunkRules(Strategy.PULL), cost),
    }
    cuts = {
        name: backlog.seconds(choose_chunks(index, slots, *how)[0]) for name, how in asked.items()
    }
    cuts["equal counts"] = backlog.seconds(cut_equal_counts(scenario.items, slots))
    # Other placements than those that the planner itself tries.
    seeds = range(1000, 1000 + (PLACEMENTS if len(speeds) > 1 else 1))
    pools = [SlotPool(spread_speeds(speeds, slots, seed), scenario.startup_s) for seed in seeds]
    bounds = [
        compute_lower_bound(backlog.cumulated_s[-1], backlog.largest_s, pool) for pool in pools
    ]
    found = {
        name: fmean(
            (simulate_pull if name == "pull" else simulate_queue)(seconds, pool) / bound
            for pool, bound in zip(pools, bounds, strict=True)
        )
        for name, seconds in cuts.items()
    }
    singles = (b - a for a, b in pairwise(backlog.cumulated_s))
    return {**found, "one job per item": simulate_queue(singles, pools[0]) / bounds[0]}


def tables(results: dict[Scenario, dict[str, float]]) -> Iterator[str]:
    """The suite's means, all of it and by each of its sides."""
    yield f"| mean of make-span / lower bound | {' | '.join(COLUMNS)} |"
    yield "|---|" + "--:|" * len(COLUMNS)
    sides: list[tuple[str, Callable[[Scenario], bool]]] = [("all", lambda _: True)]
    sides += [(f"{nodes} nodes", lambda s, n=nodes: s.nodes == n) for nodes in NODES]  # type: ignore[misc]
    sides += [(kind, lambda s, k=kind: s.kind == k) for kind in KINDS]  # type: ignore[misc]
    sides += [(f"{slots} slots", lambda s, n=slots: s.slots == n) for slots in SLOTS]  # type: ignore[misc]
    sides += [
        (f"start-up {startup_s:g} s", lambda s, t=startup_s: s.startup_s == t)  # type: ignore[misc]
        for startup_s in STARTUPS_S
    ]
    sides += [(f"{items:,} items", lambda s, n=items: s.items == n) for items in ITEMS]  # type: ignore[misc]
    for name, within in sides:
        group = [found for scenario, found in results.items() if within(scenario)]
        if group:
            means = (fmean(found[column] for found in group) for column in COLUMNS)
            yield f"| {name} ({len(group)}) | {' | '.join(f'{mean:.3f}' for mean in means)} |"
    for column in ("equal counts", AUTO, MEASURED, "pull"):
        scenario, found = max(results.items(), key=lambda pair: pair[1][column])
        yield f"\nWorst of {column}: {found[column]:.2f} ({_words(scenario)})."
    for column in (AUTO, MEASURED, BLIND):
        yield f"\nAgainst equal counts, {column}: {_against(results, column)}."


def holds(results: dict[Scenario, dict[str, float]]) -> bool:
    """Whether the promised figures are reached."""
    means = [
        fmean(found[column] for scenario, found in results.items() if scenario.nodes == nodes)
        <= LIMITS[nodes]
        for nodes, column in product(NODES, (AUTO, MEASURED))
    ]
    worst = [
        max(found[column] / found["equal counts"] for found in results.values()) <= LIMITS["equal"]
        for column in (AUTO, MEASURED)
    ]
    pull = fmean(found["pull"] for found in results.values()) <= LIMITS["pull"]
    return pull and all(means) and all(worst)


def scale() -> Iterator[str]:
    """Capacity and plan of 10^7 items on 5,000 nodes: time, and memory beyond the input."""
    random_ = random.Random(1)  # noqa: S311 (a simulation)
    stride = 256  # the distance of checkpoints at 10^7 items: 65,536 of them at most
    points = -(-(10**7) // stride)
    steps = (int(stride * MEAN_BYTES * random_.lognormvariate(-0.5, 0.2)) for _ in range(points))
    cumulated = array("Q", accumulate(steps))
    lines = array("Q", (min(stride * n, 10**7) for n in range(1, points + 1)))
    index = Index(10**7, cumulated[-1], checkpoints=Checkpoints(lines, cumulated, lines))
    nodes = tuple(
        Node(f"wn-{n}", Resources(random_.randrange(64_000), random_.randrange(256 * 2**30)))
        for n in range(5_000)
    )
    cluster = Cluster(nodes, Basis.REQUESTS)
    known = Cost(30.0, 20.0, 50e-6, SPEEDS["uneven"], "")
    small, large = Resources(1_000, 2 * 2**30), Resources(16_000, 64 * 2**30)
    yield "| 10^7 items, 5,000 nodes | slots | chunks | CPU seconds | MiB at most |"
    yield "|---|--:|--:|--:|--:|"
    for name, needs, cost in (
        ("times known", small, known),
        ("times known, large service", large, known),
        ("nothing known", small, Cost()),
    ):
        begun = time.process_time()
        slots = compute_capacity(cluster, needs, headroom=0.2).slots
        chunks, _ = choose_chunks(index, slots, ChunkRules(), cost)
        seconds = time.process_time() - begun
        tracemalloc.start()
        choose_chunks(
            index, compute_capacity(cluster, needs, headroom=0.2).slots, ChunkRules(), cost
        )
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        yield f"| {name} | {slots:,} | {len(chunks):,} | {seconds:.2f} | {peak:.0f} |"


def into_section(path: Path, text: str) -> None:
    """Puts the tables between the file's two markers, with the day and the machine."""
    begin, end = "<!-- bench-plan -->", "<!-- /bench-plan -->"
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    made = f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, Python "
    made += platform.python_version()
    after = rest.partition(end)[2]
    path.write_text(f"{before}{begin}\n{made}.\n\n{text}\n{end}{after}", encoding="utf-8")


def _against(results: dict[Scenario, dict[str, float]], column: str) -> str:
    ratios = {
        scenario: found[column] / found["equal counts"] for scenario, found in results.items()
    }
    scenario, worst = max(ratios.items(), key=lambda pair: pair[1])
    beyond = sum(ratio > LIMITS["equal"] for ratio in ratios.values())
    return f"at worst {worst:.4f} ({_words(scenario)}), above 1.02 in {beyond}"


def _words(scenario: Scenario) -> str:
    return (
        f"{scenario.kind}, {scenario.nodes} nodes, start-up {scenario.startup_s:g} s, "
        f"{scenario.slots} slots, {scenario.items:,} items"
    )


if __name__ == "__main__":
    raise SystemExit(main())
