# SPDX-License-Identifier: Apache-2.0
"""Planning by real clients on the sandbox: no side effect, and what an earlier run measured."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.handle import Sandbox
from tests.functional.conftest import Deploy
from tests.functional.coordination import IDLE, config_for, coordinate, fill, keys_of
from tests.functional.relay import relay

COST = {
    "schema": "oscar-batch/cost/1",
    "run": "20261122t101500z-3f9a1c",
    "startup_s": 30.0,
    "seconds_per_item": 1.5,
    "seconds_per_byte": 0.0,
    "speeds": [1.0],
}


@pytest.fixture
def target(sandbox: Sandbox, deploy: Deploy, name: str) -> str:
    """A service of 1 CPU, and 60 items for it."""
    deploy(IDLE, cpu="1", memory="256Mi")
    fill(sandbox, f"{name}-data", [f"input/{n:02}" for n in range(60)], size=10)
    return name


def planned(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    ran = coordinate("plan", config, folder, "--json")
    assert ran.code == 0, ran.stderr
    return dict(json.loads(ran.stdout))


@pytest.mark.parametrize("command", [["plan"], ["run", "--dry-run"]], ids=" ".join)
def test_a_dry_run_makes_no_write_and_no_post(
    sandbox: Sandbox, target: str, tmp_path: Path, command: list[str]
) -> None:
    bucket = f"{target}-data"
    before = keys_of(sandbox, bucket)
    with relay(sandbox.url) as oscar, relay(sandbox.s3_url) as s3:
        config = config_for(
            sandbox, target, bucket, MinIO={"url": s3.url}, oscar_cluster={"url": oscar.url}
        )
        verb, *options = command
        ran = coordinate(verb, config, tmp_path, *options)

    assert ran.code == 0, ran.stderr
    assert (oscar.methods, s3.methods) == ({"GET"}, {"GET"})
    # One service, one status, no quota of an administrator's service; bounded, however many items.
    assert len(oscar.requests) <= 3
    assert len(s3.requests) <= 5
    assert keys_of(sandbox, bucket) == before
    assert sandbox.list_jobs(target) == {}


def test_the_relay_would_notice_a_run(sandbox: Sandbox, target: str, tmp_path: Path) -> None:
    with relay(sandbox.url) as oscar, relay(sandbox.s3_url) as s3:
        config = config_for(
            sandbox,
            target,
            f"{target}-data",
            MinIO={"url": s3.url},
            oscar_cluster={"url": oscar.url},
            plan={"max_parallel": 2},
        )
        ran = coordinate("run", config, tmp_path)
    assert ran.code == 0, ran.stderr
    assert oscar.requests.count(f"POST /job/{target}") == 2
    assert "PUT" in s3.methods
    sandbox.wait_until_ended(target, 2)


def test_what_an_earlier_run_measured_is_used(
    sandbox: Sandbox, target: str, tmp_path: Path
) -> None:
    bucket, content = f"{target}-data", json.dumps(COST).encode()
    config = config_for(sandbox, target, bucket, plan={"headroom": 0, "max_parallel": 2})
    unknown = planned(config, tmp_path / "1")["strategy"]
    key = f".oscar-batch/costs/{target}.json"
    sandbox.minio.put_object(bucket, key, io.BytesIO(content), len(content))
    plan_of = planned(config, tmp_path / "2")["strategy"]

    assert (unknown["estimate"], unknown["cost"]["source"]) == (None, "nothing")
    assert plan_of["cost"]["source"] == "run 20261122t101500z-3f9a1c"
    assert plan_of["estimate"]["expected_s"] == pytest.approx(30 + 60 * 1.5 / 2, rel=0.01)


def test_the_config_decides_how_to_cut(sandbox: Sandbox, target: str, tmp_path: Path) -> None:
    plan = {"strategy": "fixed", "chunk_items": 25, "max_parallel": 2}
    plan_of = planned(config_for(sandbox, target, f"{target}-data", plan=plan), tmp_path)
    assert [(chunk["start"], chunk["end"]) for chunk in plan_of["chunks"]] == [
        (1, 25),
        (26, 50),
        (51, 60),
    ]
    assert "1 chunk waits as a pending pod" in plan_of["strategy"]["reason"]


def test_a_service_larger_than_every_node_is_an_error_that_names_the_nearest(
    sandbox: Sandbox, deploy: Deploy, name: str, tmp_path: Path
) -> None:
    deploy(IDLE, cpu="1", memory="1Ti")
    fill(sandbox, f"{name}-data", ["input/a"])
    ran = coordinate("run", config_for(sandbox, name, f"{name}-data"), tmp_path)
    assert ran.code == 4
    assert "fits on no node that OSCAR lists, even when empty" in ran.report["message"]
    assert "GiB of memory" in ran.report["message"]
