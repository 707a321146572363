# SPDX-License-Identifier: Apache-2.0
"""Slots per node, their sum, their bounds, and the sentences that explain them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.drive.endings import end_without_capacity
from coordinator.model.cluster import (
    PRESSURES,
    Allowance,
    Basis,
    Capacity,
    Cluster,
    Node,
    Quota,
    Resources,
)
from coordinator.model.errors import MAX_MESSAGE, NoStatus
from coordinator.plan.capacity import (
    MAX_PODS,
    add_extra_slots,
    apply_caps,
    assume_capacity,
    cap_capacity,
    compute_capacity,
    count_allowed,
)
from tests.unit import make

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
    return compute_capacity(Cluster(nodes, basis), needs, headroom=headroom)


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
        pytest.param(Resources(3000, GIB), Resources(0, 0), 0.0, MAX_PODS, id="needs nothing"),
        pytest.param(Resources(64000, 64 * GIB), Resources(10, MIB), 0.0, MAX_PODS, id="pods bind"),
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
        more > MAX_PODS
        or more * needs.cpu_millicores > free.cpu_millicores * share
        or more * needs.memory_bytes > free.memory_bytes * share
        or more * needs.gpus > free.gpus
    )


@given(ROOMS, NEEDED, HEADROOMS, st.integers(0, 10**5), st.integers(0, 2**40))
def test_more_free_resources_never_make_fewer_slots(
    free: Resources, needs: Resources, headroom: float, more_cpu: int, more_memory: int
) -> None:
    larger = Resources(free.cpu_millicores + more_cpu, free.memory_bytes + more_memory, free.gpus)
    assert slots(larger, needs, headroom) >= slots(free, needs, headroom)


@given(st.lists(ROOMS, max_size=8), NEEDED)
def test_the_cluster_has_the_sum_of_its_nodes(all_free: list[Resources], needs: Resources) -> None:
    nodes = [Node(f"n{i}", free) for i, free in enumerate(all_free)]
    assert of(*nodes, needs=needs).slots == sum(slots(free, needs) for free in all_free)


def test_two_half_holes_hold_nothing() -> None:
    halves = [Node("a", Resources(500, GIB)), Node("b", Resources(500, GIB))]
    assert of(*halves).slots == 0


@pytest.mark.parametrize(
    ("node", "limited_by", "stranded"),
    [
        (Node("n", Resources(4000, 8 * GIB), ready=False), "not ready", Resources(0, 0)),
        (Node("n", Resources(4000, 8 * GIB), virtual=True), "virtual", Resources(0, 0)),
        (Node("n", Resources(4500, 8 * GIB)), "cpu", Resources(500, 4 * GIB)),
        (Node("n", Resources(9000, 2 * GIB + 5)), "memory", Resources(7000, 5)),
        (Node("n", Resources(-500, 2 * GIB)), "cpu", Resources(0, 2 * GIB)),
    ],
    ids=["down", "virtual", "cpu", "memory", "overcommitted"],
)
def test_every_node_says_what_binds_and_what_is_stranded(
    node: Node, limited_by: str, stranded: Resources
) -> None:
    (found,) = of(node).nodes
    assert (found.limited_by, found.stranded, found.free) == (limited_by, stranded, node.free)


@given(ROOMS, NEEDED, HEADROOMS)
def test_slots_and_what_is_stranded_are_the_resources_after_headroom(
    free: Resources, needs: Resources, headroom: float
) -> None:
    (node,) = of(Node("n", free), needs=needs, headroom=headroom).nodes
    usable = int(max(0, free.memory_bytes) * (1 - Fraction(str(headroom))))
    assert node.slots * needs.memory_bytes + node.stranded.memory_bytes == usable
    assert min(node.stranded.cpu_millicores, node.stranded.memory_bytes, node.stranded.gpus) >= 0


@pytest.mark.parametrize(("ready", "virtual"), [(False, False), (True, True)], ids=["down", "il"])
def test_a_node_that_takes_no_pod_gives_no_slots(ready: bool, virtual: bool) -> None:
    assert of(Node("n", Resources(4000, 8 * GIB), ready=ready, virtual=virtual)).slots == 0


LARGE = Node("large", Resources(8000, 32 * GIB))


def test_without_nodes_the_explanation_says_what_to_do() -> None:
    expected = "the cluster status names no node; set plan.max_parallel to run without it"
    assert (of().slots, of().explanation) == (0, expected)


SERVICE = replace(make.service(), total=Allowance(4000))


def test_the_sentence_is_short_whatever_the_nodes_are_called() -> None:
    free = Resources(9_500, 3 * GIB)
    nodes = [Node(f"{i}" * 3000, free) for i in range(3)]
    nodes += [Node(f"p{i}" * 3000, free, pressure=name) for i, name in enumerate(PRESSURES)]
    nodes += [Node("d" * 3000, free, ready=False), Node("v" * 3000, free, virtual=True)]
    capacity = apply_caps(add_extra_slots(of(*nodes), 10**6), SERVICE, None, 3)
    assert "plan.extra_slots adds 1000000" in capacity.explanation
    assert capacity.explanation.endswith("; plan.max_parallel allows 3")
    assert len(capacity.explanation) <= MAX_MESSAGE
    assert max(len(node.name) for node in capacity.nodes) <= 256
    _, message = end_without_capacity(replace(of(*nodes), explanation="x" * 499))
    assert len(message) <= MAX_MESSAGE
    assert "drop the config again" in message


def test_a_bound_that_binds_is_in_the_sentence() -> None:
    capacity = cap_capacity(of(LARGE), "max_parallel", 3, "plan.max_parallel")
    assert capacity.explanation.endswith("; plan.max_parallel allows 3")


def test_a_bound_that_does_not_bind_is_not() -> None:
    assert cap_capacity(of(LARGE), "items", 100, "the number of items").explanation == (
        of(LARGE).explanation
    )


def test_extra_slots_are_added_and_later_bounds_hold() -> None:
    grown = add_extra_slots(of(LARGE), 10)
    assert (grown.slots, grown.limited_by, grown.extra_slots) == (18, "extra_slots", 10)
    assert "plan.extra_slots adds 10" in grown.explanation
    assert cap_capacity(grown, "quota", 12, "your quota").slots == 12


@pytest.mark.parametrize(
    ("left", "needs", "expected"),
    [
        pytest.param(Allowance(), NEEDS, None, id="no bound"),
        pytest.param(Allowance(cpu_millicores=2500), NEEDS, 2, id="cpu"),
        pytest.param(Allowance(cpu_millicores=9000, memory_bytes=3 * GIB), NEEDS, 3, id="memory"),
        pytest.param(Allowance(gpus=0), NEEDS, None, id="gpus that are not needed"),
        pytest.param(Allowance(gpus=0), Resources(1, 1, 1), 0, id="no gpus left"),
        pytest.param(Allowance(scratch_bytes=10 * MIB), NEEDS, 2, id="disk"),
        pytest.param(Allowance(cpu_millicores=-1), NEEDS, 0, id="overdrawn"),
    ],
)
def test_an_allowance_bounds_what_it_covers(
    left: Allowance, needs: Resources, expected: int | None
) -> None:
    assert (
        count_allowed(left, replace(make.service(), needs=needs, scratch_bytes=4 * MIB)) == expected
    )


def test_the_quota_and_the_service_total_both_bound() -> None:
    service = replace(make.service(), total=Allowance(cpu_millicores=5000))
    capacity = apply_caps(of(LARGE), service, Quota("u", Allowance(cpu_millicores=3000)), 4)
    assert (capacity.slots, capacity.limited_by) == (3, "quota")
    assert [cap.slots for cap in capacity.caps if cap.name == "total"] == [5]


def test_a_gpu_service_on_a_release_that_reports_no_gpus_has_no_status() -> None:
    with pytest.raises(NoStatus, match="GPU"):
        compute_capacity(
            Cluster((LARGE,), Basis.USAGE, gpus_known=False), Resources(1, 1, 1), headroom=0
        )


@pytest.mark.parametrize(
    ("needs", "said"),
    [(Resources(1, 1, 1), "which GPUs are in use"), (Resources(1, 1), f"full at {MAX_PODS} pods")],
    ids=["gpu", "pods"],
)
def test_what_is_assumed_is_said(needs: Resources, said: str) -> None:
    node = Node("n", Resources(8000, 32 * GIB, 1))
    assert any(said in warning for warning in of(node, needs=needs).warnings)


def test_usage_instead_of_requests_is_warned_of() -> None:
    (warning,) = of(LARGE, basis=Basis.USAGE).warnings
    assert "not what is reserved" in warning


def test_requests_need_no_warning() -> None:
    assert of(LARGE).warnings == ()


def test_a_fixed_parallelism_says_why_it_is_unchecked() -> None:
    (warning,) = assume_capacity(4, why="the status is broken").warnings
    assert "the status is broken" in warning


@given(st.lists(st.one_of(st.none(), st.integers(0, 20)), max_size=5))
def test_the_lowest_of_all_bounds_decides(bounds: list[int | None]) -> None:
    capacity = of(LARGE)
    for number, bound in enumerate(bounds):
        capacity = cap_capacity(capacity, f"bound {number}", bound, "a bound")
    assert capacity.slots == min([8, *(bound for bound in bounds if bound is not None)])
    deciding = next(cap for cap in capacity.caps if cap.name == capacity.limited_by)
    assert deciding.slots == capacity.slots
