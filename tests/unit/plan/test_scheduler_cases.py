# SPDX-License-Identifier: Apache-2.0
"""Capacity beside a real kube-scheduler: tests/data/scheduler_cases.jsonl.gz.

Each case is a random cluster of which OSCAR's own status handler made the status and a
kube-scheduler 1.34.4 bound as many jobs of a service as fit, recorded on 23 November 2026 for
OSCAR 4.1.2, 3.7.1 and 3.5.3. Where the status has everything that matters
(`equality_demanded`), the capacity must be equal. The `mini-*` cases differ in one thing that the
status hides or shows; their slots and warnings below follow from the sources of Kubernetes.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from coordinator.model.cluster import Capacity, CapacityRules
from coordinator.model.errors import NoStatus
from coordinator.oscar.definition import parse_service
from coordinator.oscar.status import parse_status
from coordinator.plan.capacity import find_capacity

DATA = Path(__file__).parents[2] / "data" / "scheduler_cases.jsonl.gz"
with gzip.open(DATA, "rt", encoding="utf-8") as lines:
    CASES: dict[str, dict[str, Any]] = {case["id"]: case for case in map(json.loads, lines)}
EXACT = [name for name, case in CASES.items() if case.get("equality_demanded")]
# The slots, and a part of the explanation or of a warning.
MINI = {
    "mini-cordon": (8, ""),  # OSCAR does not report cordons
    "mini-cpu-zero-overcommitted": (8, ""),
    "mini-ephemeral": (4, "its ephemeral_storage_request"),
    "mini-gpu-used": (2, "OSCAR does not report which GPUs are in use"),
    "mini-interlink-ordinary": (4, "vk is a virtual (interLink) node"),
    "mini-interlink-service": (6, "a is not the node of its interlink_node_name"),
    "mini-interlink-untainted": (4, "vk is a virtual (interLink) node"),
    "mini-k3s-server": (4, ""),  # the server node is not listed
    "mini-misfit-k3s": (0, "fits on no node that OSCAR lists"),
    "mini-negative-free-other-node": (4, ""),
    "mini-no-metrics": (4, ""),
    "mini-only-tainted-control-plane": (4, ""),
    "mini-overhead": (3, ""),
    "mini-podlevel": (4, ""),
    "mini-pods-250": (110, "OSCAR does not report how many pods run there"),
    "mini-pods-5": (4, ""),
    "mini-preemptible": (2, ""),
    "mini-prefer": (8, ""),
    "mini-pressure-DiskPressure": (4, "a reports DiskPressure"),
    "mini-pressure-MemoryPressure": (4, "a reports MemoryPressure"),
    "mini-pressure-NetworkUnavailable": (4, "a reports NetworkUnavailable"),
    "mini-pressure-PIDPressure": (4, "a reports PIDPressure"),
    "mini-sgx": (4, "for enable_sgx"),
    "mini-taint": (8, ""),
}


def capacity_of(case: dict[str, Any]) -> Capacity:
    service = parse_service(case["service"])
    rules = CapacityRules(headroom=0.0)
    return find_capacity(service, rules, lambda: parse_status(case["status"]), lambda _: None)


@pytest.mark.parametrize(
    ("release", "compared", "gpus"), [("4.1.2", 388, 0), ("3.7.1", 178, 0), ("3.5.3", 89, 19)]
)
def test_the_capacity_is_what_a_scheduler_binds_where_the_status_has_everything(
    release: str, compared: int, gpus: int
) -> None:
    cases = {name: CASES[name] for name in EXACT if CASES[name]["release"] == release}
    # OSCAR 3.5.3 does not report GPUs, so its GPU services have no capacity to compare.
    unknown = {name for name, case in cases.items() if _needs_unreported_gpu(case)}
    exact = {name: case["slots"] for name, case in cases.items() if name not in unknown}
    assert {name: capacity_of(CASES[name]).slots for name in exact} == exact
    assert (len(exact), len(unknown)) == (compared, gpus)
    for name in unknown:
        with pytest.raises(NoStatus, match="does not report how many GPUs"):
            capacity_of(CASES[name])


def _needs_unreported_gpu(case: dict[str, Any]) -> bool:
    return bool(case["release"] == "3.5.3" and case["service"]["enable_gpu"])


def test_the_nodes_of_an_exact_case_have_the_slots_that_the_scheduler_used() -> None:
    for name in EXACT:
        case = CASES[name]
        if case["release"] != "3.5.3":
            nodes = {node.name: node.slots for node in capacity_of(case).nodes if node.slots}
            assert nodes == case["per_node"], name


@pytest.mark.parametrize(
    ("hidden", "cases", "said"),
    [
        ("requests", 48, "reports what is in use, not what is reserved"),
        ("gpu_used", 3, "does not report which GPUs are in use"),
        ("ephemeral", 3, "its ephemeral_storage_request"),
    ],
)
def test_what_the_status_hides_is_warned_of_where_it_tells_that_much(
    hidden: str, cases: int, said: str
) -> None:
    found = [case for case in CASES.values() if hidden in (case.get("hidden") or [])]
    answered = [case for case in found if _is_answered(case)]
    warned = [case for case in answered if said in "; ".join(capacity_of(case).warnings)]
    assert (len(answered), len(warned)) == (cases, cases)


def _is_answered(case: dict[str, Any]) -> bool:
    """Whether the manager answered a status with all that the service needs; 3.5.3 may not."""
    try:
        capacity_of(case)
    except NoStatus:
        return False
    return True


def test_every_small_case_has_an_expectation() -> None:
    assert set(MINI) == {name for name in CASES if name.startswith("mini-")}


@pytest.mark.parametrize("name", MINI)
def test_a_small_case_says_what_the_status_shows_or_hides(name: str) -> None:
    slots, said = MINI[name]
    capacity = capacity_of(CASES[name])
    assert capacity.slots == slots
    assert said in "; ".join([capacity.explanation, *capacity.warnings])
