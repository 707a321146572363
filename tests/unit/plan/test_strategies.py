# SPDX-License-Identifier: Apache-2.0
"""Where the strategies cut: every item once, no chunk empty, and each as its strategy promises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.model.items import Chunk, Index
from coordinator.model.planning import ChunkRules, Cost, Strategy
from coordinator.plan import strategies
from coordinator.plan.choose import choose_chunks, choose_lanes
from coordinator.plan.simulate import predict_submission_s
from coordinator.plan.workload import Workload
from tests.unit import make

SIZES = st.lists(st.integers(min_value=0, max_value=10**7), min_size=1, max_size=120)
SLOTS = st.integers(min_value=1, max_value=40)
LIMITS = st.integers(min_value=2, max_value=64)
COSTS = st.builds(
    Cost,
    startup_s=st.one_of(st.none(), st.floats(0, 200)),
    seconds_per_item=st.floats(0, 10),
    seconds_per_byte=st.floats(0, 1e-3),
    speeds=st.sampled_from([(), (1.0,), (0.4, 0.7, 1.0)]),
)
CUTTINGS = st.one_of(
    st.builds(
        ChunkRules,
        strategy=st.sampled_from(
            [Strategy.AUTO, Strategy.BALANCED, Strategy.FACTORING, Strategy.PULL]
        ),
        min_chunk_items=st.integers(1, 50),
    ),
    st.builds(
        ChunkRules,
        strategy=st.just(Strategy.FIXED),
        chunk_items=st.integers(1, 50),
        chunk_bytes=st.one_of(st.none(), st.integers(1, 10**8)),
    ),
)
SECOND_EACH = Cost(startup_s=10.0, seconds_per_item=1.0)


def cut(index: Index, slots: int, strategy: Strategy, cost: Cost = SECOND_EACH) -> list[Chunk]:
    return list(choose_chunks(index, slots, ChunkRules(strategy), cost)[0])


@given(SIZES, SLOTS, LIMITS, CUTTINGS, COSTS)
def test_every_strategy_covers_every_line_exactly_once(
    sizes: list[int], slots: int, limit: int, cutting: ChunkRules, cost: Cost
) -> None:
    index = make.index(sizes, limit=limit, rules=cutting)
    chunks, _ = choose_chunks(index, slots, cutting, cost)
    ordered = sorted(chunks, key=lambda chunk: chunk.start)
    assert [line for c in ordered for line in range(c.start, c.stop)] == list(range(len(sizes)))
    assert all(chunk.items > 0 for chunk in chunks)
    assert [chunk.number for chunk in chunks] == list(range(1, len(chunks) + 1))
    assert sum(chunk.size_bytes for chunk in chunks) == sum(sizes)


@given(SIZES, SLOTS, LIMITS, CUTTINGS, COSTS)
def test_every_chunk_knows_the_bytes_of_its_lines(
    sizes: list[int], slots: int, limit: int, cutting: ChunkRules, cost: Cost
) -> None:
    lines = [f"data/{i}\n" for i in range(len(sizes))]
    text = "".join(lines)
    index = make.index(sizes, limit=limit, rules=cutting)
    for chunk in choose_chunks(index, slots, cutting, cost)[0]:
        part = text[chunk.offset : chunk.offset + chunk.length_bytes]
        assert part == "".join(lines[chunk.start : chunk.stop])


@given(SIZES, SLOTS, LIMITS, st.integers(2, 60), COSTS)
def test_no_chunk_has_fewer_items_than_the_config_allows(
    sizes: list[int], slots: int, limit: int, least: int, cost: Cost
) -> None:
    for strategy in (Strategy.AUTO, Strategy.BALANCED, Strategy.FACTORING, Strategy.PULL):
        index = make.index(sizes, limit=limit)
        chunks, _ = choose_chunks(index, slots, ChunkRules(strategy, min_chunk_items=least), cost)
        assert min(chunk.items for chunk in chunks) >= min(least, len(sizes))


@given(SIZES, SLOTS)
def test_balanced_never_starts_more_than_the_slots(sizes: list[int], slots: int) -> None:
    assert len(cut(make.index(sizes), slots, Strategy.BALANCED)) <= slots


def test_a_chunk_that_is_invoked_later_gets_less_so_that_all_end_together() -> None:
    chunks = cut(make.index([1] * 6000), 64, Strategy.BALANCED)
    ends = [predict_submission_s(number) + chunk.items for number, chunk in enumerate(chunks)]
    assert max(ends) - min(ends) <= 2
    assert chunks[0].items > chunks[-1].items


def test_slots_whose_invocation_would_come_too_late_are_left_alone() -> None:
    # 40 s of work: after 8 s no invocation is left that would shorten the run.
    chunks = cut(make.index([1] * 40), 512, Strategy.BALANCED)
    assert 5 <= len(chunks) <= 15


def test_factoring_halves_what_is_left_with_every_batch() -> None:
    items = [chunk.items for chunk in cut(make.index([1] * 6400), 2, Strategy.FACTORING)]
    assert items[:6] == [1600, 1600, 800, 800, 400, 400]


def test_factoring_stops_at_the_start_up_time() -> None:
    items = [chunk.items for chunk in cut(make.index([1] * 6400), 2, Strategy.FACTORING)]
    assert min(items[:-1]) >= 9  # ten seconds, less the rounding of a microsecond


def test_pull_hands_out_the_heaviest_first_and_isolates_a_giant() -> None:
    sizes = [1] * 500 + [10**6] + [1] * 500
    first, *others = cut(make.index(sizes), 4, Strategy.PULL, Cost())
    assert (first.start, first.stop) == (500, 501)
    assert all(chunk.size_bytes <= 1000 for chunk in others)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=300), SLOTS)
def test_pull_chunks_fall_in_weight(sizes: list[int], slots: int) -> None:
    chunks = cut(make.index(sizes), slots, Strategy.PULL, Cost())
    weights = [chunk.size_bytes + chunk.items for chunk in chunks]
    assert weights == sorted(weights, reverse=True)


@given(SIZES, SLOTS, COSTS)
def test_no_chunk_to_pull_is_more_than_a_share_of_the_work_that_is_left(
    sizes: list[int], slots: int, cost: Cost
) -> None:
    """But for single items, and for chunks that would not be worth their claim."""
    work = Workload.from_index(make.index(sizes), cost)
    chunks = strategies.cut_for_pull(work, slots)
    left = work.total
    for chunk in sorted(chunks, key=lambda chunk: chunk.start):
        weight = work.weights[chunk.stop - 1] - (
            work.weights[chunk.start - 1] if chunk.start else 0
        )
        least = work.weigh((work.total_s / slots / 40) ** 0.5) if work.timed else 0
        allowed = max(left / (4 * slots), least, 0 if work.timed else work.total / (64 * slots), 1)
        assert weight <= allowed or chunk.items == 1
        left -= weight


def test_a_chunk_to_pull_is_worth_its_claim_while_there_is_enough_work() -> None:
    """Of 2 h of work for each of 4 slots, nothing but the last 80 s per slot is below 20 s."""
    cost = Cost(0.0, 1.0)
    work = Workload.from_index(make.index([1] * 4 * 7200), cost)
    chunks = strategies.cut_for_pull(work, 4)
    small = [seconds for seconds in work.estimate_seconds(chunks) if seconds < 19]
    assert sum(small) < 4 * 80 + 20
    assert len(chunks) < 500


def test_where_no_time_is_known_a_chunk_to_pull_is_a_part_of_the_bytes() -> None:
    """And never 20 s, which nobody can tell: 1/64 of what a slot has to do is small enough."""
    chunks = cut(make.index([10**6] * 4000), 4, Strategy.PULL, Cost())
    assert max(chunk.size_bytes for chunk in chunks) == 31 * 10**6
    assert sorted(chunk.size_bytes for chunk in chunks)[1] == 15 * 10**6


def test_a_chunk_to_pull_has_a_result_of_bounded_size() -> None:
    chunks = cut(make.index([1] * 500_000), 2, Strategy.PULL, Cost())
    assert max(chunk.items for chunk in chunks) == 1_000


@given(SIZES, SLOTS, COSTS)
def test_lanes_hold_every_chunk_once_and_fall_in_weight(
    sizes: list[int], slots: int, cost: Cost
) -> None:
    rules = ChunkRules()
    counts, chunks, choice = choose_lanes(make.index(sizes), slots, rules, cost)
    assert choice.strategy is Strategy.PULL
    assert len(counts) == min(slots, len(chunks))
    assert sum(counts) == len(chunks)
    assert max(counts) - min(counts) <= 1
    assert [chunk.number for chunk in chunks] == list(range(1, len(chunks) + 1))
    lines = sorted((chunk.start, chunk.stop) for chunk in chunks)
    assert [0, *(stop for _, stop in lines)] == [*(start for start, _ in lines), len(sizes)]
    work = Workload.from_index(make.index(sizes), cost)
    seconds = iter(work.estimate_seconds(chunks))
    for count in counts:
        lane = [next(seconds) for _ in range(count)]
        assert lane == sorted(lane, reverse=True)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (ChunkRules(), ""),
        (ChunkRules(Strategy.PULL), ""),
        (ChunkRules(chunk_items=3), "; plan.chunk_items or plan.chunk_bytes sets their size"),
        (
            ChunkRules(Strategy.FACTORING),
            "; plan.strategy factoring is for ranges and is not used",
        ),
    ],
)
def test_the_plan_says_what_of_its_rules_lanes_follow(rules: ChunkRules, said: str) -> None:
    _, _, choice = choose_lanes(make.index([10] * 10, rules=rules), 2, rules, SECOND_EACH)
    assert choice.reason.startswith("one worker per slot claims one chunk after the other" + said)
    assert choice.reason.count("plan.") == bool(said) + ("sets" in said)


@pytest.mark.parametrize(("sizes", "slots"), [([], 2), ([1], 0)])
def test_without_items_or_slots_there_are_no_lanes(sizes: list[int], slots: int) -> None:
    counts, chunks, choice = choose_lanes(make.index(sizes), slots, ChunkRules(), Cost())
    assert (counts, chunks, choice.reason) == ((), (), "there are no items")


def test_lanes_follow_a_size_that_the_config_sets() -> None:
    rules = ChunkRules(chunk_items=3)
    index = make.index([10] * 10, rules=rules)
    counts, chunks, choice = choose_lanes(index, 2, rules, Cost())
    assert (counts, sorted(chunk.items for chunk in chunks)) == ((2, 2), [1, 3, 3, 3])
    assert "plan.chunk_items" in choice.reason
    many = make.index([10] * 3000, limit=3000, rules=rules)
    assert {c.items for c in choose_lanes(many, 2, rules, SECOND_EACH)[1]} == {3}


@pytest.mark.parametrize(
    ("chunk_items", "chunk_bytes", "ranges"),
    [
        pytest.param(4, None, [(1, 4), (5, 8), (9, 10)], id="items"),
        pytest.param(None, 25, [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10)], id="bytes"),
        pytest.param(None, 5, [(n, n) for n in range(1, 11)], id="an item larger than a chunk"),
        pytest.param(3, 25, [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10)], id="bytes come first"),
        pytest.param(100, 10**9, [(1, 10)], id="all in one"),
    ],
)
def test_fixed_follows_the_config(
    chunk_items: int | None, chunk_bytes: int | None, ranges: list[tuple[int, int]]
) -> None:
    cutting = ChunkRules(Strategy.FIXED, chunk_items=chunk_items, chunk_bytes=chunk_bytes)
    chunks, _ = choose_chunks(make.index([10] * 10, rules=cutting), 2, cutting, Cost())
    assert [(chunk.first_line, chunk.last_line) for chunk in chunks] == ranges


def test_fixed_chunks_have_exactly_their_items_and_bytes() -> None:
    cutting = ChunkRules(Strategy.FIXED, chunk_items=7)
    chunks, _ = choose_chunks(make.index([10] * 100, rules=cutting), 2, cutting, Cost())
    assert {chunk.items for chunk in chunks[:-1]} == {7}
    assert {chunk.size_bytes for chunk in chunks[:-1]} == {70}


def test_cutting_looks_at_checkpoints_and_never_at_items() -> None:
    """What bounds the time of 10^7 items: as many looks as at 10^5 items, of equal chunks."""

    class Counting(list[int]):
        looks = 0

        def __getitem__(self, place: object) -> int:  # type: ignore[override]
            Counting.looks += 1
            return super().__getitem__(place)  # type: ignore[call-overload, no-any-return]

        def __iter__(self) -> object:  # type: ignore[override]
            Counting.looks += len(self)
            return super().__iter__()

    def looks(stride: int) -> int:
        Counting.looks = 0
        points = Counting(range(stride, 50_000 * stride + 1, stride))
        work = Workload(Counting(points), points, points, points, timed=False)
        assert len(strategies.cut_balanced(work, 64)) == 64
        return Counting.looks

    assert 0 < looks(200) <= 1.1 * looks(2)
