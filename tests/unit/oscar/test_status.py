# SPDX-License-Identifier: Apache-2.0
"""The six shapes of the cluster status, as their releases write them, and their traps."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.model.cluster import Basis, Cluster, Node, Resources
from coordinator.model.errors import NoStatus
from coordinator.oscar import status
from coordinator.plan.capacity import compute_capacity
from sandbox.api.status_shapes import CONTROL_PLANE, SHAPES, Snapshot, render
from sandbox.cluster.resources import Node as Worker
from sandbox.cluster.resources import Resources as Amount

DATA = Path(__file__).parents[2] / "data"
MEMORY = 8_148_938_752
WN1_BY_USAGE = Resources(cpu_millicores=3188, memory_bytes=4_927_713_280)


def recorded(shape: str) -> Any:
    return json.loads((DATA / f"status_{shape}.json").read_text())


@pytest.mark.parametrize(
    ("shape", "basis"),
    [(shape, Basis.USAGE) for shape in "abcde"] + [("f", Basis.REQUESTS)],
)
def test_only_shape_f_goes_by_requests(shape: str, basis: Basis) -> None:
    assert status.parse_status(recorded(shape)).basis is basis


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ("a", ["cp", "wn1"]),
        ("b", ["wn1"]),
        ("c", ["wn1", "il1"]),
        ("d", ["wn1", "wn2", "wn3"]),
        ("e", ["wn1", "wn2"]),
        ("f", ["wn1", "wn2", "wn3", "il1"]),
    ],
)
def test_every_shape_gives_its_nodes_in_their_order(shape: str, names: list[str]) -> None:
    assert [node.name for node in status.parse_status(recorded(shape)).nodes] == names


@pytest.mark.parametrize("shape", ["a", "b"])
def test_decimal_strings_become_numbers(shape: str) -> None:
    assert node(shape, "wn1") == Node("wn1", WN1_BY_USAGE, size=Resources(4000, MEMORY))


def node(shape: str, name: str) -> Node:
    return next(n for n in status.parse_status(recorded(shape)).nodes if n.name == name)


@pytest.mark.parametrize(
    ("shape", "name", "gpus"),
    [("c", "wn1", 1), ("c", "il1", 0), ("d", "wn1", 2), ("e", "wn1", 2), ("f", "wn1", 0)],
)
def test_gpus_are_counted_where_reported_and_one_where_only_their_presence_is(
    shape: str, name: str, gpus: int
) -> None:
    assert node(shape, name).free.gpus == gpus


@pytest.mark.parametrize(
    ("shape", "name", "ready"),
    [
        pytest.param("a", "wn1", True, id="A says nothing"),
        pytest.param("d", "wn1", True, id='D says "True"'),
        pytest.param("d", "wn2", False, id='D says "False"'),
        pytest.param("d", "wn3", True, id="D with null conditions"),
        pytest.param("e", "wn1", True, id="E says Ready"),
        pytest.param("e", "wn2", False, id="E says NotReady"),
        pytest.param("f", "wn2", True, id="F with null conditions"),
        pytest.param("f", "wn3", False, id="F says Unknown"),
    ],
)
def test_readiness(shape: str, name: str, ready: bool) -> None:
    assert node(shape, name).ready is ready


@pytest.mark.parametrize("shape", ["c", "f"])
def test_interlink_nodes_are_virtual(shape: str) -> None:
    virtual = [n.name for n in status.parse_status(recorded(shape)).nodes if n.virtual]
    assert virtual == ["il1"]


def test_shape_f_subtracts_requests_not_usage() -> None:
    assert node("f", "wn1").free == Resources(2500, 6_001_455_104)


def test_a_key_that_is_left_out_means_zero() -> None:
    assert node("f", "wn2").free == Resources(4000, MEMORY)


def test_free_resources_may_be_negative() -> None:
    assert node("f", "wn3").free == Resources(-600, MEMORY - 9_148_938_752)


@pytest.mark.parametrize("shape", ["e", "f"])
def test_null_nodes_are_no_nodes(shape: str) -> None:
    raw = recorded(shape)
    raw["cluster"]["nodes"] = None
    assert status.parse_status(raw).nodes == ()


@pytest.mark.parametrize("shape", ["b", "c", "d"])
def test_null_detail_is_no_nodes(shape: str) -> None:
    assert status.parse_status({**recorded(shape), "detail": None}).nodes == ()


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(None, id="null"),
        pytest.param("ok", id="text"),
        pytest.param(7, id="number"),
        pytest.param({}, id="empty object"),
        pytest.param({"error": "Error getting metrics info"}, id="an error"),
        pytest.param({"cluster": []}, id="cluster is a list"),
        pytest.param({"cluster": {"nodes": {"wn1": {}}}}, id="nodes is an object"),
        pytest.param({"cluster": {"nodes": 5}}, id="nodes is a number"),
        pytest.param({"cluster": {"nodes": [{}]}}, id="a node without a name"),
        pytest.param({"cluster": {"nodes": [], "metrics": "none"}}, id="metrics is a text"),
        pytest.param(
            {"cluster": {"nodes": [{"name": "n", "cpu": {"capacity_cores": float("inf")}}]}},
            id="an infinite capacity",
        ),
        pytest.param(
            {"cluster": {"nodes": [{"name": "n", "conditions": ["Ready"]}]}},
            id="a condition that is a text",
        ),
        pytest.param([{"nodeName": "n"}], id="a detail without numbers"),
        pytest.param({"numberNodes": 1, "detail": ["wn1"]}, id="a detail that is a text"),
        pytest.param(
            [{"nodeName": "n", "cpuCapacity": "many", "cpuUsage": "0"}], id="words for numbers"
        ),
    ],
)
def test_garbage_is_no_status(raw: object) -> None:
    with pytest.raises(NoStatus):
        status.parse_status(raw)


def test_a_node_name_cannot_carry_terminal_control_characters() -> None:
    raw = recorded("f")
    raw["cluster"]["nodes"][0]["name"] = "wn\x1b[31m1"
    assert "\x1b" not in status.parse_status(raw).nodes[0].name


SANDBOX_NODES = st.lists(
    st.tuples(
        st.builds(Amount, st.integers(1, 10**5), st.integers(1, 2**40), st.integers(0, 4)),
        st.builds(Amount, st.integers(0, 10**5), st.integers(0, 2**40)),
    ),
    min_size=1,
    max_size=5,
)


@given(SANDBOX_NODES, st.integers(1, 10**4), st.integers(1, 2**36), st.floats(0, 0.9))
def test_all_shapes_of_the_same_cluster_agree(
    made: list[tuple[Amount, Amount]], cpu: int, memory: int, headroom: float
) -> None:
    """Where usage is what is requested, and apart from GPUs, which some shapes do not count."""
    nodes = tuple(Worker(f"wn-{n}", capacity) for n, (capacity, _) in enumerate(made))
    used = {f"wn-{n}": taken for n, (_, taken) in enumerate(made)}
    snapshot = Snapshot(nodes, used, used, {}, {})
    needs = Resources(cpu, memory)
    found = {}
    for shape in SHAPES:
        told = status.parse_status(json.loads(json.dumps(render(snapshot, shape))))
        # A lists the control plane too.
        workers = tuple(node for node in told.nodes if node.name != CONTROL_PLANE.name)
        capacity = compute_capacity(Cluster(workers, told.basis), needs, headroom=headroom)
        rooms = [(n.name, n.free.cpu_millicores, n.free.memory_bytes) for n in workers]
        found[shape] = (rooms, [(n.name, n.slots, n.limited_by) for n in capacity.nodes])
    assert all(answer == found["F"] for answer in found.values())


@pytest.mark.parametrize("shape", list("abcdef"))
@pytest.mark.parametrize("number", [2**63, 10**400, -(10**400)], ids=["2^63", "1e400", "-1e400"])
def test_a_number_that_no_node_can_have_is_unreadable(shape: str, number: int) -> None:
    text = re.sub(r'(?<=[ "])\d{4,}(?=[",\n])', str(number), json.dumps(recorded(shape), indent=1))
    with pytest.raises(NoStatus, match="not a possible amount"):
        status.parse_status(json.loads(text))
