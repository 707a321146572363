# SPDX-License-Identifier: Apache-2.0
"""The six shapes of /system/status, which their keys distinguish."""

from dataclasses import replace
from typing import Any

import pytest

from sandbox.api.status_shapes import SHAPES, Snapshot, Unpaired, render
from sandbox.cluster.job_record import Phase
from sandbox.cluster.resources import Resources, parse_nodes

GIB = 1024**3
BUSY = Resources(1500, 2 * GIB)
SNAPSHOT = Snapshot(
    nodes=parse_nodes("2x4:8Gi"),
    used={"node-1": Resources(500, GIB)},
    requested={"node-1": BUSY},
    phases={Phase.RUNNING: 1, Phase.PENDING: 2, Phase.FAILED: 3},
    buckets={"b": 2},
)


def shape_of(answer: Any) -> str:
    """Which release group has which keys."""
    if isinstance(answer, list):
        return "A"
    if "cluster" in answer:
        return "F" if "total_schedulable_cores" in answer["cluster"]["metrics"]["cpu"] else "E"
    if "OSCAR" in answer:
        return "D"
    return "C" if "isInterLink" in answer["detail"][0] else "B"


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_differs_from_the_others(shape: str) -> None:
    assert shape_of(render(SNAPSHOT, shape)) == shape


def test_a_lists_the_control_plane_and_strings() -> None:
    answer = render(SNAPSHOT, "A")
    assert [node["nodeName"] for node in answer] == ["control-plane", "node-1", "node-2"]
    assert answer[1] == {
        "nodeName": "node-1",
        "cpuCapacity": "4000",
        "cpuUsage": "500",
        "cpuPercentage": "12.50",
        "memoryCapacity": str(8 * GIB),
        "memoryUsage": str(GIB),
        "memoryPercentage": "12.50",
    }


def test_b_has_its_bug_and_c_has_not() -> None:
    assert render(SNAPSHOT, "B")["memoryFreeTotal"] == 16 * GIB
    assert render(SNAPSHOT, "C")["memoryFreeTotal"] == 15 * GIB
    assert render(SNAPSHOT, "C")["cpuFreeTotal"] == 7500


def test_d_counts_jobs() -> None:
    answer = render(SNAPSHOT, "D")
    assert answer["OSCAR"]["jobsCount"] == {"active": 3, "succeeded": 0, "failed": 3}
    assert answer["MinIO"]["buckets"][0]["num_objects"] == 2


def test_f_has_requests_and_leaves_zeros_out() -> None:
    answer = render(SNAPSHOT, "F")
    cpu, memory = answer["cluster"]["metrics"]["cpu"], answer["cluster"]["metrics"]["memory"]
    assert cpu == {
        "total_free_cores": 7500,
        "max_free_on_node_cores": 4000,
        "total_schedulable_cores": 6500,
        "total_schedulable_on_node_cores": 4000,
    }
    assert memory["max_schedulable_on_node_bytes"] == 8 * GIB
    first, second = answer["cluster"]["nodes"]
    assert first["cpu"] == {"capacity_cores": 4000, "usage_cores": 500, "request_cores": 1500}
    assert second["cpu"] == {"capacity_cores": 4000}
    assert (answer["oscar"]["jobs_count"], answer["minio"]["total_objects"]) == (6, 2)


def test_e_knows_no_requests() -> None:
    nodes = render(SNAPSHOT, "E")["cluster"]["nodes"]
    assert nodes[0]["cpu"] == {"capacity_cores": 4000, "usage_cores": 500}


def test_maxima_never_go_below_zero_and_totals_do() -> None:
    full = Snapshot(parse_nodes("1x1:1Gi"), {}, {"node-1": BUSY}, {}, {})
    cpu = render(full, "F")["cluster"]["metrics"]["cpu"]
    assert cpu["total_schedulable_cores"] == -500
    assert cpu["total_schedulable_on_node_cores"] == 0


def test_dead_and_unmeasured_nodes() -> None:
    first, second = SNAPSHOT.nodes
    dead = replace(SNAPSHOT, nodes=(replace(first, lost=True), second))
    cluster = render(dead, "F")["cluster"]
    node = cluster["nodes"][0]
    assert node["status"] == "NotReady"
    assert [each["status"] for each in node["conditions"]] == [False] * 4
    alive = render(SNAPSHOT, "F")["cluster"]
    assert alive["nodes"][0]["conditions"][-1] == {"type": "Ready", "status": True}
    assert cluster["metrics"] == alive["metrics"], "its room stays in the totals"
    assert render(dead, "D")["detail"][0]["conditions"] == [{"type": "Ready", "status": "Unknown"}]
    unknown = replace(SNAPSHOT, nodes=(replace(first, measured=False), second))
    assert [node["name"] for node in render(unknown, "E")["cluster"]["nodes"]] == ["node-2"]
    assert render(unknown, "D")["numberNodes"] == 1
    for shape in ("A", "B"):
        with pytest.raises(Unpaired):
            render(unknown, shape)


def test_jobs_without_pods_count_no_pods() -> None:
    waiting = replace(SNAPSHOT, phases={Phase.SUSPENDED: 2, Phase.EVICTED: 1, Phase.RUNNING: 1})
    oscar = render(waiting, "F")["oscar"]
    assert (oscar["pods"]["total"], oscar["jobs_count"]) == (1, 2)


def test_no_node_is_null() -> None:
    none = Snapshot((), {}, {}, {}, {})
    assert render(none, "F")["cluster"]["nodes"] is None
    assert render(none, "D")["detail"] is None
