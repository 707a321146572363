# SPDX-License-Identifier: Apache-2.0
"""Reports of runs that never were, as large as a test wants them, from a seeded dice."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from coordinator.config.credentials import Platform
from coordinator.config.load import load_config
from coordinator.drive.endings import end_with_accounts
from coordinator.drive.pull.history import Recorder
from coordinator.drive.pull.ledger import describe_failure
from coordinator.model.cluster import Basis, CapacityRules, Cluster, Node, Resources
from coordinator.model.errors import Ending
from coordinator.model.items import Chunk, Index, Item, Skipped
from coordinator.model.planning import ChunkRules, Cost
from coordinator.model.pull.documents import ChunkResult, ItemOutcome, ItemState
from coordinator.model.pull.findings import (
    MOST_FAILURES,
    Accounts,
    ItemFailure,
    Worker,
    WorkerState,
)
from coordinator.model.pull.history import Span
from coordinator.model.pull.lanes import Lanes, Table
from coordinator.model.run import Origin, Outcome, Plan, Report, Speed, Stage, State
from coordinator.model.service import Mode
from coordinator.plan.capacity import find_capacity
from coordinator.plan.choose import choose_lanes
from tests.unit import make

START = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
GIB = 2**30
CONFIG = b"""{
  "bucket": {"name": "plankton", "folder_prefix": "input/", "exclude": ["**/*.tmp"],
             "skip_done": {"prefix": "results/", "strip": ".jpg", "suffix": ".csv"}},
  "service": {"name": "fish-detector"},
  "plan": {"headroom": 0.1, "max_parallel": 400},
  "oscar_cluster": {"url": "https://oscar.example.org",
                    "auth_basic": {"username": "ana", "password": "canary"}},
  "MinIO": {"url": "https://minio.example.org", "access_key": "ana", "secret_key": "canary-key"}
}"""
REASONS = (
    ("exit", "exit code 1", "Traceback (most recent call last):\n  File \"detect.py\", line 41, in "
     "<module>\n    image = Image.open(sys.argv[1])\nPIL.UnidentifiedImageError: cannot identify "
     "image file\n"),
    ("time-out", "took longer than 120 s", "loading the weights\n"),
    ("signal", "ended by signal SIGKILL", ""),
)  # fmt: skip


def make_report(
    *,
    workers: int = 4,
    chunks: int = 60,
    items: int = 6_000,
    failed: int = 37,
    ending: Ending | None = None,
    share: float = 1.0,
    wordy: bool = False,
    seed: int = 7,
) -> Report:
    """A followed run in pull mode; `share` of its chunks have a result.

    Where it is `wordy`, there are many reasons for failures, and programs write all that is kept.
    """
    dice = random.Random(seed)
    plan = _make_plan(dice, workers, chunks, items)
    recorder = Recorder()
    bad = set(dice.sample(range(1, items + 1), failed))
    settled = plan.chunks[: round(share * len(plan.chunks))]
    crew, outcomes, clock = _work(dice, plan, settled, workers, bad, recorder, wordy)
    found = Accounts(
        done=sum(chunk.items for chunk in settled) - sum(_count(bad, each) for each in settled),
        failed=sum(_count(bad, chunk) for chunk in settled),
        open_chunks=len(plan.chunks) - len(settled),
        failures=tuple(
            describe_failure(_fail(dice, line, wordy)) for line in sorted(bad)[:MOST_FAILURES]
        ),
    )
    config = load_config(CONFIG, Platform())
    word, message = end_with_accounts(plan, found, interrupted=False)
    slow = {item.line for item in recorder.make_history().slowest}
    return Report(
        run_id="20261122t101500z-3f9a1c",
        ending=ending or word,
        message=message
        if ending is None
        else f"{found.done} of {items} items done, {found.failed} failed",
        started_at=START,
        finished_at=clock,
        setting={**config.describe(), "outputs": "plankton/results", "mode": "pull"},
        settings=config.settings,
        origin=Origin(
            "plankton 2026.json",
            "0.1.0",
            "4.1.2",
            "https://oscar.example.org/system/logs/fish-detector/",
        ),
        warnings=("OSCAR does not tell how many pods run on a node: a few may wait",),
        stages=(Stage("capacity", 0.21), Stage("index", 4.2), Stage("watch", 1803.0)),
        capacity=plan.capacity,
        plan=plan,
        workers=crew,
        accounts=found,
        history=recorder.make_history(lambda _, line: _name(line) if line in slow else ""),
        outcomes=outcomes,
    )


def _make_plan(dice: random.Random, workers: int, chunks: int, items: int) -> Plan:
    sizes = [round(dice.lognormvariate(13, 1.2)) for _ in range(min(items, 5_000))]
    index = make.indexed([Item(_name(line), size) for line, size in enumerate(sizes, start=1)])
    scale = items / len(sizes)
    index = replace(
        index,
        items=items,
        size_bytes=round(index.size_bytes * scale),
        sizes=tuple(replace(each, count=round(each.count * scale)) for each in index.sizes),
        skipped=(Skipped("input/odd\\nname.jpg", "the key contains a line break"),),
        skipped_count=1,
        left_out={"bucket.exclude": 12, "folder markers": 3},
    )
    each, over = divmod(items, chunks)
    cut, start = [], 0
    for number in range(1, chunks + 1):
        stop = start + each + (number <= over)
        cut.append(Chunk(number, start, stop, (stop - start) * 500_000, start * 30, 30))
        start = stop
    per_lane, more = divmod(chunks, workers)
    counts = tuple(per_lane + (lane < more) for lane in range(workers))
    _, _, choice = choose_lanes(make.index([10] * 500), 4, ChunkRules(), Cost(5.0, 2.0))
    plan = make.plan(of=index, service="fish-detector", bucket="plankton")
    nodes = tuple(
        Node(
            f"wn-{number:02}.plankton.example.org",
            Resources(dice.randint(1000, 16_000), dice.randint(4, 60) * GIB),
            size=Resources(16_000, 64 * GIB),
        )
        for number in range(1, max(3, workers // 8) + 1)
    )
    needs = replace(make.service(), needs=Resources(1000, 4 * GIB))
    capacity = find_capacity(
        needs, CapacityRules(0.1, 400), lambda: Cluster(nodes, Basis.REQUESTS), lambda owner: None
    )
    return replace(
        plan,
        index_key=".oscar-batch/20261122t101500z-3f9a1c/index.0001.txt",
        chunks=tuple(cut),
        choice=choice,
        mode=Mode.PULL,
        lanes=Lanes(counts, Table(96, 96)),
        capacity=capacity,
    )


def _work(
    dice: random.Random,
    plan: Plan,
    settled: tuple[Chunk, ...],
    count: int,
    bad: set[int],
    recorder: Recorder,
    wordy: bool,
) -> tuple[tuple[Worker, ...], tuple[Outcome, ...], datetime]:
    """Every chunk goes to the worker that is free first."""
    startups = [dice.uniform(5, 45) for _ in range(count)]
    begun = [START + timedelta(seconds=10 + number * 0.4) for number in range(count)]
    free = [begun[number] + timedelta(seconds=startups[number]) for number in range(count)]
    pace = [dice.uniform(0.7, 1.6) for _ in range(count)]
    names = [f"0001-{number:05}" for number in range(1, count + 1)]
    done, failed = [0] * count, [0] * count
    outcomes = []
    for chunk in settled:
        who = min(range(count), key=lambda each: free[each])
        lane, within = plan.lanes.locate(chunk.number) if plan.lanes else (1, 1)
        rows = tuple(
            _fail(dice, line, wordy) if line in bad else _finish(dice, line, pace[who])
            for line in range(chunk.first_line, chunk.last_line + 1)
        )
        stop = free[who] + timedelta(seconds=sum(row.seconds for row in rows))
        result = ChunkResult(
            f"{names[who]}-9f2c04aa", 1, lane, within, 1, free[who].isoformat(), stop.isoformat(),
            items=rows,
        )  # fmt: skip
        lost = [row for row in rows if row.state is ItemState.FAILED]
        recorder.add(result, len(rows) - len(lost), [(row, describe_failure(row)) for row in lost])
        done[who], failed[who], free[who] = (
            done[who] + len(rows) - len(lost),
            failed[who] + len(lost),
            stop,
        )
        detail = f"{len(rows) - len(lost)} done, {len(lost)} failed"
        outcomes.append(Outcome(chunk, State.SETTLED, 1, result.process, detail))
    outcomes += [Outcome(chunk) for chunk in plan.chunks[len(settled) :]]
    end = max(free)
    whole = len(settled) == len(plan.chunks)
    crew = tuple(
        Worker(
            names[who],
            who + 1,
            f"fish-detector-20261122t101500z-3f9a1c-{names[who]}",
            "invoked",
            WorkerState.ENDED if whole else WorkerState.WORKING,
            sum(each.job.startswith(names[who]) for each in outcomes[:2000]),
            done[who],
            failed[who],
            startups[who],
            f"wn-{1 + who % max(3, count // 8):02}.plankton.example.org",
            "no work left" if whole else "",
            begun[who],
            min(end, free[who] + timedelta(seconds=20)),
        )
        for who in range(count)
    )
    return crew, tuple(outcomes), end + timedelta(seconds=20)


def _name(line: int) -> str:
    return f"input/2026/cruise-{line % 17:02}/station-{line % 211:03}/frame_{line:07}.jpg"


def _finish(dice: random.Random, line: int, pace: float) -> ItemOutcome:
    return ItemOutcome(line, ItemState.DONE, round(dice.lognormvariate(0, 0.8) * pace, 3))


def _fail(dice: random.Random, line: int, wordy: bool) -> ItemOutcome:
    kind, reason, stderr = dice.choices(REASONS, (30, 5, 2))[0]
    if wordy:
        reason, stderr = f"exit code {line % 120}", (REASONS[0][2] * 20)[:2048]
    return ItemOutcome(line, ItemState.FAILED, 2.0, 2, _name(line), kind, reason, stderr)


def _count(lines: set[int], chunk: Chunk) -> int:
    return sum(line in lines for line in range(chunk.first_line, chunk.last_line + 1))


def make_huge() -> Report:
    """A million items in ten thousand chunks for four hundred workers; ten thousand failed."""
    return make_report(workers=400, chunks=10_000, items=1_000_000, failed=10_000, wordy=True)


def _make_range() -> Report:
    """Range mode without `run.verify`: handed over, and not followed."""
    report = make_report(chunks=12)
    plan = report.plan
    outcomes = tuple(
        replace(each, state=State.FAILED if each.chunk.number == 5 else State.INVOKED,
                job=f"fish-detector-{each.chunk.number}", detail="") for each in report.outcomes
    )  # fmt: skip
    return replace(
        report,
        ending=Ending.PARTLY_SUBMITTED,
        message="11 of 12 invocations sent; chunk 5: 403",
        plan=replace(plan, mode=Mode.RANGE, lanes=None) if plan else None,
        workers=(),
        accounts=None,
        history=None,
        outcomes=outcomes,
    )


def _make_followed(mode: Mode, lanes: int, each: int) -> Report:
    """A run whose jobs are followed, after `each` jobs in each of its lanes."""
    report, dice, recorder = _make_range(), random.Random(7), Recorder()
    for lane in range(1, lanes + 1):
        name = f"chunk {lane:03}" if mode is Mode.RANGE else f"lane {lane:03}"
        clock = START
        for number in range(each):
            began, clock = clock, clock + timedelta(seconds=dice.lognormvariate(3, 0.7))
            state = dice.choices(("done", "failed", ""), (20, 2, 1))[0]
            done, failed = int(state == "done"), int(state == "failed")
            line = number * lanes + lane
            span = Span(name, began, clock, 1, 0, line, done=done, failed=failed)
            recorder.add_span(span, name)
    first = ItemFailure(_name(3), "its job ended without the output that run.verify names")
    return replace(
        report,
        ending=Ending.RUNNING,
        message="4,100 of 6,000 items done, 1 failed; 80 jobs in flight",
        plan=replace(report.plan, mode=mode) if report.plan else None,
        accounts=Accounts(done=4_100, failed=1, unconfirmed=20, open_chunks=3, failures=(first,)),
        history=recorder.make_history(),
        speed=Speed(1.85, 1294, 1140, 1510),
    )


SAMPLES: Mapping[str, Callable[[], Report]] = {
    "small": make_report,
    "wide": lambda: make_report(workers=400, chunks=6_000, items=60_000, failed=600),
    "running": lambda: replace(
        make_report(ending=Ending.RUNNING, share=0.6), speed=Speed(1.85, 1294, 1140, 1510)
    ),
    "just begun": lambda: make.report(Ending.RUNNING, message="capacity …"),
    "range": _make_range,
    "range followed": lambda: _make_followed(Mode.RANGE, lanes=12, each=1),
    "events": lambda: _make_followed(Mode.EVENT, lanes=80, each=25),
    "bad config": lambda: make.report(
        Ending.BAD_CONFIG,
        message="service.name: is missing",
        problems=("service.name: is missing", "plan.headroom: must be at least 0 and below 1"),
    ),
    "nothing": lambda: make.report(Ending.NOTHING_TO_DO, of=make.plan(of=Index(0, 0))),
}
