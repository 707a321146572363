# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for plans and reports, whatever is in them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from coordinator.model.cluster import Cap, Capacity, NodeSlots, Resources
from coordinator.model.errors import Ending
from coordinator.model.items import Bin, Chunk, Index, Item, Skipped
from coordinator.model.planning import Candidate, Choice, Cost, Estimate, Strategy
from coordinator.model.pull.findings import Accounts, ItemFailure, Worker, WorkerState
from coordinator.model.pull.history import FailureGroup, History, SlowItem, Span
from coordinator.model.pull.lanes import Lanes, Proof, Table, Timing
from coordinator.model.run import Origin, Outcome, Plan, Report, Setting, Speed, Stage, State
from coordinator.model.service import Folder, Mode, normalize_prefix

# Keys and messages have no surrogates: no file and no terminal takes them.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
COUNT = st.integers(0, 10**12)
SECONDS = st.floats(0, 1e9)


def many(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(values, max_size=4).map(tuple)


RESOURCES = st.builds(
    Resources, st.integers(-(10**6), 10**6), st.integers(-(10**12), 10**12), COUNT
)
NODE_SLOTS = st.builds(NodeSlots, TEXT, COUNT, TEXT, RESOURCES, RESOURCES, st.none() | RESOURCES)
CAPACITIES = st.builds(
    Capacity,
    slots=COUNT,
    limited_by=TEXT,
    explanation=TEXT,
    nodes=many(NODE_SLOTS),
    caps=many(st.builds(Cap, TEXT, COUNT, TEXT)),
    warnings=many(TEXT),
    extra_slots=COUNT,
    needs=st.none() | RESOURCES,
)
ESTIMATES = st.one_of(st.none(), st.builds(Estimate, SECONDS, SECONDS, SECONDS))
COSTS = st.builds(
    Cost, st.one_of(st.none(), SECONDS), SECONDS, SECONDS, many(st.floats(0.01, 100)), TEXT
)
CHOICES = st.builds(
    Choice,
    strategy=st.sampled_from(Strategy),
    reason=TEXT,
    cost=COSTS,
    estimate=ESTIMATES,
    candidates=many(st.builds(Candidate, st.sampled_from(Strategy), COUNT, ESTIMATES)),
)
BINS = many(st.builds(Bin, SECONDS, COUNT))
INDEXES = st.builds(
    Index,
    items=COUNT,
    size_bytes=COUNT,
    text_bytes=COUNT,
    sha256=TEXT,
    skipped=many(st.builds(Skipped, TEXT, TEXT)),
    skipped_count=COUNT,
    left_out=st.dictionaries(TEXT, COUNT, max_size=3),
    largest=many(st.builds(Item, TEXT, COUNT)),
    sizes=BINS,
)
FOLDERS = st.builds(
    Folder,
    st.from_regex(r"[a-z0-9][a-z0-9.-]{1,20}[a-z0-9]", fullmatch=True),
    TEXT.filter(lambda text: text.strip("/") == text).map(normalize_prefix),
)


@st.composite
def chunks(draw: st.DrawFn) -> tuple[Chunk, ...]:
    """Chunks with different numbers, in any order."""
    numbers = draw(st.lists(st.integers(1, 10**7), unique=True, max_size=4))
    starts = [draw(COUNT) for _ in numbers]
    return tuple(
        Chunk(number, start, start + draw(COUNT) + 1, draw(COUNT), draw(COUNT), draw(COUNT))
        for number, start in zip(numbers, starts, strict=True)
    )


LANES = st.builds(
    Lanes,
    counts=many(COUNT),
    table=st.builds(Table, COUNT, COUNT),
    timing=st.builds(Timing, SECONDS, SECONDS),
    exclusive=st.booleans(),
    item_timeout_s=SECONDS,
    proof=st.none() | st.builds(Proof, TEXT, TEXT),
)
PLANS = st.builds(
    Plan,
    run_id=TEXT,
    service=TEXT,
    data=FOLDERS,
    index_bucket=TEXT,
    index_key=TEXT,
    index=INDEXES,
    capacity=CAPACITIES,
    chunks=chunks(),
    choice=st.one_of(st.none(), CHOICES),
    mode=st.sampled_from(Mode),
    lanes=st.none() | LANES,
    oversized=many(st.builds(Item, TEXT, COUNT)),
)
MOMENTS = (
    st.integers(0, 4 * 10**12)
    .map(lambda ms: datetime.fromtimestamp(ms / 1000, UTC))
    .map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))
)
WORKERS = st.builds(
    Worker,
    TEXT,
    COUNT,
    TEXT,
    TEXT,
    st.sampled_from(WorkerState),
    COUNT,
    COUNT,
    COUNT,
    st.none() | SECONDS,
    TEXT,
    TEXT,
    st.none() | MOMENTS,
    st.none() | MOMENTS,
)
FAILURES = st.builds(ItemFailure, TEXT, TEXT, TEXT, COUNT, TEXT)
ACCOUNTS = st.builds(
    Accounts, COUNT, COUNT, COUNT, COUNT, failures=many(FAILURES), stealing=st.booleans()
)
HISTORIES = st.builds(
    History,
    spans=many(
        st.builds(Span, TEXT, MOMENTS, MOMENTS, COUNT, COUNT, COUNT, COUNT, COUNT, COUNT, COUNT)
    ),
    groups=many(st.builds(FailureGroup, TEXT, TEXT, COUNT, many(FAILURES))),
    ungrouped=COUNT,
    slowest=many(st.builds(SlowItem, SECONDS, COUNT, COUNT, TEXT, TEXT)),
    seconds=BINS,
)


@st.composite
def reports(draw: st.DrawFn) -> Report:
    """Reports with an outcome for every chunk of their plan."""
    plan = draw(st.one_of(st.none(), PLANS))
    outcomes = [
        Outcome(chunk, draw(st.sampled_from(State)), draw(COUNT), draw(TEXT), draw(TEXT))
        for chunk in (plan.chunks if plan else ())
    ]
    return Report(
        run_id=draw(TEXT),
        ending=draw(st.sampled_from(Ending)),
        message=draw(TEXT),
        started_at=draw(MOMENTS),
        finished_at=draw(MOMENTS),
        setting=draw(st.dictionaries(TEXT, TEXT, max_size=3)),
        settings=draw(many(st.builds(Setting, TEXT, TEXT, st.booleans()))),
        origin=draw(st.builds(Origin, TEXT, TEXT, TEXT, TEXT)),
        problems=draw(many(TEXT)),
        warnings=draw(many(TEXT)),
        stages=draw(many(st.builds(Stage, TEXT, SECONDS))),
        capacity=draw(st.one_of(st.none(), CAPACITIES)),
        plan=plan,
        workers=draw(many(WORKERS)),
        accounts=draw(st.none() | ACCOUNTS),
        history=draw(st.none() | HISTORIES),
        outcomes=tuple(outcomes),
        speed=draw(st.none() | st.builds(Speed, SECONDS, SECONDS, SECONDS, SECONDS)),
    )
