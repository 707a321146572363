# SPDX-License-Identifier: Apache-2.0
"""Ten clusters, each explained in one sentence: tests/data/capacity_explanations.txt."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from coordinator.batch import find_capacity
from coordinator.config.credentials import Platform
from coordinator.config.load import Config, load_config
from coordinator.model.cluster import Capacity
from coordinator.oscar import definition, status
from coordinator.plan.explain import memory
from tests.unit.manager import manager

DATA = Path(__file__).parents[2] / "data"
CLUSTERS = json.loads((DATA / "clusters.json").read_text(encoding="utf-8"))
GOLDEN = (DATA / "capacity_explanations.txt").read_text(encoding="utf-8")
OWN_QUOTA = "GET /system/quotas/user/alice"


def config(plan: dict[str, Any]) -> Config:
    raw = json.loads((DATA / "config_first_tool.json").read_text())
    return load_config(json.dumps({**raw, "plan": plan}).encode(), Platform())


def explained(recorded: dict[str, Any]) -> Capacity:
    """The capacity as a run finds it, from the saved answers of a manager."""
    answers: dict[str, tuple[int, str] | None] = {
        "GET /system/status": (200, json.dumps(recorded["status"])),
        OWN_QUOTA: (200, json.dumps(recorded["quota"])) if recorded["quota"] else (503, "no Kueue"),
    }
    with manager(answers) as cluster:
        service = definition.parse_service(recorded["service"])
        return find_capacity(config(recorded["plan"]), cluster.oscar, service)


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


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 bytes"),
        (1, "1 bytes"),
        (2048, "2 KiB"),
        (300 * 2**20, "300 MiB"),
        (1288490189, "1.2 GiB"),
        (64 * 2**30, "64 GiB"),
        (-(2**30), "-1 GiB"),
    ],
)
def test_memory_for_people(size_bytes: int, text: str) -> None:
    assert memory(size_bytes) == text


if __name__ == "__main__":
    print(page(), end="")
