# SPDX-License-Identifier: Apache-2.0
"""`--latencies`: what a cluster takes its time for, and what is seen meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sandbox.handle import Sandbox, run_sandbox, wait_until

pytestmark = [pytest.mark.any_storage, pytest.mark.timeout(180)]


def count_requested(box: Sandbox) -> int:
    nodes = box.call("GET", "/system/status").json()["cluster"]["nodes"]
    return sum(node["cpu"].get("request_cores", 0) for node in nodes)


def test_deleted_and_evicted_jobs_run_on_with_their_request_counted(tmp_path: Path) -> None:
    with run_sandbox(
        tmp_path, ["--latencies", "service_s=2,grace_s=4,pod_s=0.5", "--chaos"]
    ) as box:
        began = time.monotonic()
        box.deploy({"name": "lat", "image": "i", "script": "sleep 100", "cpu": "1"})
        assert time.monotonic() - began > 2
        for name in ("lat-delete", "lat-evict"):
            box.invoke("lat", "{}", **{"X-Delegated-Job-ID": name})
        assert {"status": "Suspended"} in box.list_jobs("lat").values(), "no pod yet"
        wait_until(
            lambda: [j["status"] for j in box.list_jobs("lat").values()] == ["Running"] * 2 or None,
            20,
            lambda: str(box.list_jobs("lat")),
        )
        ended_at = time.monotonic()
        box.evict("lat", "lat-evict")
        assert box.call("DELETE", "/system/logs/lat/lat-delete").status_code == 204
        assert list(box.list_jobs("lat")) == ["lat-evict"], "it leaves the list at once"
        assert box.call("GET", "/system/logs/lat/lat-delete").status_code == 500
        assert count_requested(box) == 2000, "both still hold their room"
        assert box.list_jobs("lat")["lat-evict"]["status"] == "Running"
        again = box.invoke("lat", "{}", **{"X-Delegated-Job-ID": "lat-delete"})
        assert again.status_code == 201, "its name is free, though its pod is there"
        wait_until(
            lambda: box.list_jobs("lat")["lat-evict"]["status"] == "Suspended" or None,
            60,
            lambda: str(box.list_jobs("lat")),
        )
        assert time.monotonic() - ended_at > 3.5
        wait_until(lambda: count_requested(box) == 1000 or None, 20, lambda: "room is not freed")


def test_an_ended_container_is_shown_as_running_for_a_moment(tmp_path: Path) -> None:
    with run_sandbox(tmp_path, ["--latencies", "finish_s=2"]) as box:
        box.deploy({"name": "lat", "image": "i", "script": "true"})
        box.invoke("lat", "{}")

        def find_both() -> bool | None:
            (job,) = box.list_jobs("lat").values()
            assert job["status"] not in ("Succeeded", "Failed")
            return (job["status"] == "Running" and "finish_time" in job) or None

        wait_until(find_both, 20, lambda: str(box.list_jobs("lat")))
        box.wait_until_ended("lat")


def test_a_deleted_job_that_ends_does_not_end_its_namesake(tmp_path: Path) -> None:
    """The pod of a deleted job runs on, and a new job may have the same name."""
    seen = tmp_path / "seen"
    seen.mkdir()
    arguments = ["--latencies", "grace_s=60", "--image", f"i={seen}:/seen"]
    with run_sandbox(tmp_path, arguments) as box:
        wait = "until [ -e /seen/end ]; do sleep 0.1; done"
        script = f'case "$EVENT" in *first*) {wait};; *) sleep 100;; esac'
        box.deploy({"name": "lat", "image": "i", "script": script, "cpu": "1"})

        def start(body: str) -> None:
            box.invoke("lat", body, **{"X-Delegated-Job-ID": "same"}).raise_for_status()
            wait_until(
                lambda: box.list_jobs("lat")["same"]["status"] == "Running" or None,
                20,
                lambda: str(box.list_jobs("lat")),
            )

        start('{"which":"first"}')
        assert box.call("DELETE", "/system/logs/lat/same").status_code == 204
        start("{}")
        assert count_requested(box) == 2000
        (seen / "end").touch()
        wait_until(lambda: count_requested(box) == 1000 or None, 20, lambda: "room is not freed")
        assert box.list_jobs("lat")["same"]["status"] == "Running"
