# SPDX-License-Identifier: Apache-2.0
"""Ten clusters, each explained in one sentence: tests/data/capacity_explanations.txt."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from coordinator.config.credentials import Platform
from coordinator.config.load import load_config
from coordinator.model.cluster import Basis, Capacity, CapacityRules, Cluster, Node, Resources
from coordinator.oscar import definition, status
from coordinator.plan.capacity import find_capacity
from coordinator.plan.explain import explain_misfit
from tests.unit import make
from tests.unit.manager import manager

DATA = Path(__file__).parents[2] / "data"
CLUSTERS = json.loads((DATA / "clusters.json").read_text(encoding="utf-8"))
GOLDEN = (DATA / "capacity_explanations.txt").read_text(encoding="utf-8")
OWN_QUOTA = "GET /system/quotas/user/alice"


def read_rules(plan: dict[str, Any]) -> CapacityRules:
    raw = json.loads((DATA / "config_first_tool.json").read_text())
    return load_config(json.dumps({**raw, "plan": plan}).encode(), Platform()).capacity_rules


def explained(recorded: dict[str, Any]) -> Capacity:
    """The capacity as a run finds it, from the saved answers of a manager."""
    answers: dict[str, tuple[int, str] | None] = {
        "GET /system/status": (200, json.dumps(recorded["status"])),
        OWN_QUOTA: (200, json.dumps(recorded["quota"])) if recorded["quota"] else (503, "no Kueue"),
    }
    with manager(answers) as cluster:
        service = definition.parse_service(recorded["service"])
        oscar, rules = cluster.oscar, read_rules(recorded["plan"])
        return find_capacity(service, rules, oscar.read_cluster, oscar.read_quota)


def page() -> str:
    """The golden file as it would be written now."""
    parts = []
    for recorded in CLUSTERS:
        found = explained(recorded)
        parts.append(f"{recorded['title']}.\n{found.slots} at a time: {found.explanation}.\n")
    return "\n".join(parts)


def test_ten_clusters_are_explained_as_in_the_golden_file() -> None:
    assert len(CLUSTERS) == 10
    assert page() == GOLDEN


@pytest.mark.parametrize("recorded", CLUSTERS, ids=lambda recorded: recorded["title"])
def test_a_cluster_is_explained_without_its_whole_table(recorded: dict[str, Any]) -> None:
    found = explained(recorded)
    sentence = found.explanation
    assert len(sentence) < 300
    assert len(found.nodes) == len(status.parse_status(recorded["status"]).nodes)
    # Numbers are rounded for people: no bytes, no long fractions.
    assert not re.search(r"\d{7}|\.\d{4}", sentence)


GIB = 2**30


def nodes(*sizes: Resources, virtual: bool = False) -> Cluster:
    made = [
        Node(f"wn-{n}", Resources(0, 0), size=size, virtual=virtual)
        for n, size in enumerate(sizes, start=1)
    ]
    return Cluster(tuple(made), Basis.REQUESTS)


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        pytest.param(nodes(Resources(1000, GIB)), "", id="fits exactly"),
        pytest.param(nodes(Resources(999, GIB), Resources(8000, GIB)), "", id="fits on one"),
        pytest.param(nodes(), "", id="no node is known"),
        pytest.param(
            nodes(Resources(500, GIB), Resources(900, GIB)),
            "wn-2 comes nearest and lacks 0.1 CPU",
            id="cpu",
        ),
        pytest.param(
            nodes(Resources(500, GIB // 2), Resources(4000, GIB // 4)),
            "wn-2 comes nearest and lacks 768 MiB of memory",
            id="memory",
        ),
        pytest.param(
            nodes(Resources(500, GIB // 2)),
            "wn-1 comes nearest and lacks 0.5 CPU and 512 MiB of memory",
            id="both",
        ),
    ],
)
def test_a_service_larger_than_every_node_is_explained_with_the_nearest(
    cluster: Cluster, said: str
) -> None:
    problem = explain_misfit(cluster, make.service())
    assert said in problem
    assert bool(problem) == bool(said)


def test_a_virtual_node_has_no_slots() -> None:
    assert explain_misfit(nodes(Resources(1000, GIB), virtual=True), make.service()) == ""


if __name__ == "__main__":
    print(page(), end="")
