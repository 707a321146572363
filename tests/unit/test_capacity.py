"""Slots per node, their sum, their bounds, and the sentences that explain them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.capacity import capped, cluster_capacity, fixed_capacity
from coordinator.model import Basis, Capacity, Cluster, Node, Resources

MIB = 1024 * 1024
GIB = 1024 * MIB
NEEDS = Resources(1000, GIB)
HEADROOMS = st.floats(min_value=0, max_value=1, exclude_max=True)
ROOMS = st.builds(
    Resources,
    st.integers(min_value=-(10**5), max_value=10**6),
    st.integers(min_value=-(2**36), max_value=2**44),
    st.integers(min_value=0, max_value=16),
)
NEEDED = st.builds(
    Resources,
    st.integers(min_value=1, max_value=10**5),
    st.integers(min_value=1, max_value=2**40),
    st.integers(min_value=0, max_value=1),
)


def slots(free: Resources, needs: Resources = NEEDS, headroom: float = 0.0) -> int:
    return of(Node("n", free), needs=needs, headroom=headroom).slots


def of(
    *nodes: Node,
    needs: Resources = NEEDS,
    headroom: float = 0.0,
    basis: Basis = Basis.REQUESTS,
) -> Capacity:
    return cluster_capacity(Cluster(nodes, basis), needs, headroom=headroom)


@pytest.mark.parametrize(
    ("free", "needs", "headroom", "expected"),
    [
        pytest.param(Resources(4000, 64 * GIB), NEEDS, 0.0, 4, id="cpu binds"),
        pytest.param(Resources(64000, 3 * GIB), NEEDS, 0.0, 3, id="memory binds"),
        pytest.param(Resources(64000, 64 * GIB, 2), Resources(1, 1, 1), 0.5, 2, id="gpu binds"),
        pytest.param(Resources(5000, 64 * GIB), NEEDS, 0.2, 4, id="headroom is exact"),
        pytest.param(Resources(3999, 64 * GIB), NEEDS, 0.0, 3, id="rounded down"),
        pytest.param(Resources(999, 64 * GIB), NEEDS, 0.0, 0, id="almost one"),
        pytest.param(Resources(-500, 64 * GIB), NEEDS, 0.0, 0, id="overcommitted"),
        pytest.param(Resources(0, 0), NEEDS, 0.2, 0, id="full"),
        pytest.param(
            Resources(64000, 6 * GIB - 1), Resources(1, 3 * GIB), 0.0, 1, id="a byte short of two"
        ),
        pytest.param(Resources(3000, GIB), Resources(0, GIB), 0.0, 1, id="needs no cpu"),
        pytest.param(Resources(3000, GIB), Resources(0, 0), 0.0, 0, id="needs nothing"),
        pytest.param(Resources(4000, 4 * GIB, 0), Resources(1, 1, 1), 0.0, 0, id="no gpu there"),
    ],
)
def test_slots_of_a_node(free: Resources, needs: Resources, headroom: float, expected: int) -> None:
    assert slots(free, needs, headroom) == expected


@given(ROOMS, NEEDED, HEADROOMS)
def test_no_node_is_given_more_than_it_holds(
    free: Resources, needs: Resources, headroom: float
) -> None:
    given_out, share = slots(free, needs, headroom), 1 - Fraction(str(headroom))
    assert given_out * needs.cpu_millicores <= max(0, free.cpu_millicores) * share
    assert given_out * needs.memory_bytes <= max(0, free.memory_bytes) * share
    assert given_out * needs.gpus <= free.gpus


@given(ROOMS, NEEDED, HEADROOMS)
def test_a_node_is_filled_until_one_more_does_not_fit(
    free: Resources, needs: Resources, headroom: float
) -> None:
    more, share = slots(free, needs, headroom) + 1, 1 - Fraction(str(headroom))
    assert (
        more * needs.cpu_millicores > free.cpu_millicores * share
        or more * needs.memory_bytes > free.memory_bytes * share
        or more * needs.gpus > free.gpus
    )


@given(ROOMS, NEEDED, HEADROOMS, st.integers(0, 10**5), st.integers(0, 2**40))
def test_more_free_room_is_never_fewer_slots(
    free: Resources, needs: Resources, headroom: float, more_cpu: int, more_memory: int
) -> None:
    larger = Resources(free.cpu_millicores + more_cpu, free.memory_bytes + more_memory, free.gpus)
    assert slots(larger, needs, headroom) >= slots(free, needs, headroom)


@given(st.lists(ROOMS, max_size=8), NEEDED)
def test_the_cluster_has_the_sum_of_its_nodes(rooms: list[Resources], needs: Resources) -> None:
    nodes = [Node(f"n{i}", room) for i, room in enumerate(rooms)]
    assert of(*nodes, needs=needs).slots == sum(slots(room, needs) for room in rooms)


def test_two_half_holes_hold_nothing() -> None:
    halves = [Node("a", Resources(500, GIB)), Node("b", Resources(500, GIB))]
    assert of(*halves).slots == 0


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (Node("n", Resources(4000, 8 * GIB), ready=False), "not ready"),
        (Node("n", Resources(4000, 8 * GIB), virtual=True), "a virtual (interLink) node"),
        (Node("n", Resources(4000, 8 * GIB)), "cpu: 4 CPU free, 1 CPU each"),
        (Node("n", Resources(9000, 2 * GIB)), "memory: 2048 MiB free, 1024 MiB each"),
        (Node("n", Resources(-500, 2 * GIB)), "cpu: -0.5 CPU free, 1 CPU each"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_node_says_what_limits_it(node: Node, reason: str) -> None:
    assert of(node).nodes[0].reason == reason


@pytest.mark.parametrize("changed", [{"ready": False}, {"virtual": True}], ids=["down", "virtual"])
def test_a_node_that_takes_no_pod_gives_no_slots(changed: dict[str, bool]) -> None:
    assert of(Node("n", Resources(4000, 8 * GIB), **changed)).slots == 0


SMALL, LARGE = Node("small", Resources(1500, 8 * GIB)), Node("large", Resources(8000, 32 * GIB))
FULL = Node("full", Resources(100, 8 * GIB))
EXPLANATIONS = {
    "one node": (
        of(LARGE),
        "8 invocations of 1 CPU, 1024 MiB fit on 1 of 1 nodes",
    ),
    "holes that do not add up": (
        of(SMALL, Node("other", Resources(1500, 8 * GIB))),
        "2 invocations of 1 CPU, 1024 MiB fit on 2 of 2 nodes (their free room in sum would hold "
        "3, but no pod spans two nodes)",
    ),
    "headroom": (
        of(LARGE, FULL, headroom=0.2),
        "6 invocations of 1 CPU, 1024 MiB fit on 1 of 2 nodes, leaving 20% of the free room to "
        "others",
    ),
    "a gpu": (
        of(
            Node("g", Resources(8000, 32 * GIB, 1)),
            needs=Resources(500, 12 * GIB, 1),
        ),
        "1 invocation of 0.5 CPU, 12.0 GiB, 1 GPU fit on 1 of 1 nodes",
    ),
    "no room": (
        of(FULL),
        "0 invocations of 1 CPU, 1024 MiB fit on 0 of 1 nodes; full: cpu: 0.1 CPU free, 1 CPU each",
    ),
    "no nodes": (
        of(),
        "the cluster status names no node; set plan.max_parallel to run without it",
    ),
    "a bound": (
        capped(of(LARGE), "max_parallel", 3, "plan.max_parallel"),
        "8 invocations of 1 CPU, 1024 MiB fit on 1 of 1 nodes; plan.max_parallel allows 3",
    ),
    "a bound that does not bind": (
        capped(of(LARGE), "items", 100, "the number of items"),
        "8 invocations of 1 CPU, 1024 MiB fit on 1 of 1 nodes",
    ),
    "no status": (
        fixed_capacity(1, why="the status is broken"),
        "1 invocation as plan.max_parallel says",
    ),
}


@pytest.mark.parametrize("case", EXPLANATIONS, ids=str)
def test_the_explanation(case: str) -> None:
    capacity, sentence = EXPLANATIONS[case]
    assert capacity.explanation == sentence


def test_usage_instead_of_requests_is_warned_of() -> None:
    (warning,) = of(LARGE, basis=Basis.USAGE).warnings
    assert "not what is reserved" in warning


def test_requests_need_no_warning() -> None:
    assert of(LARGE).warnings == ()


def test_a_fixed_parallelism_says_why_it_is_unchecked() -> None:
    (warning,) = fixed_capacity(4, why="the status is broken").warnings
    assert "the status is broken" in warning


@given(st.lists(st.one_of(st.none(), st.integers(0, 20)), max_size=5))
def test_the_lowest_of_all_bounds_decides(bounds: list[int | None]) -> None:
    capacity = of(LARGE)
    for number, bound in enumerate(bounds):
        capacity = capped(capacity, f"bound {number}", bound, "a bound")
    assert capacity.slots == min([8, *(bound for bound in bounds if bound is not None)])
    deciding = next(cap for cap in capacity.caps if cap.name == capacity.limited_by)
    assert deciding.slots == capacity.slots
