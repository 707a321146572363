# SPDX-License-Identifier: Apache-2.0
"""Pull mode from end to end: the coordinator, OSCAR's jobs, and the worker kit in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from coordinator.cli.verbs.kit import SHELL_WORKER, find_worker, write_script, write_shell_script
from sandbox.handle import Sandbox, run_sandbox, wait_until
from tests.functional.conftest import Deploy
from tests.functional.coordination import config_for, content, coordinate, fill, keys_of

COPY = "cp {input} {output_dir}/{name}"
SLOTS = 4
ALL_KILLS = int(os.environ.get("OSCAR_BATCH_KILLS", "0")) >= 200


def kit(command: str) -> str:
    worker = find_worker().read_text("utf-8")
    return write_script(worker, command=command, stdin=None, module=None, jobs=1)


@pytest.fixture(scope="module")
def slots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Four nodes with room for one worker each."""
    arguments = ["--nodes", f"{SLOTS}x1:2Gi", "--chaos"]
    with run_sandbox(tmp_path_factory.mktemp("slots"), arguments) as found:
        yield found


def prepare(box: Sandbox, deploy_on: Deploy, name: str, command: str, items: int) -> dict[str, Any]:
    """A service with the kit, its items, and the config for both."""
    output = {"storage_provider": "minio.default", "path": f"{name}-out/results"}
    deploy_on(box, kit(command), cpu="1", memory="512Mi", output=[output])
    fill(box, f"{name}-data", [f"input/{number:03}.txt" for number in range(items)])
    run, plan = {"poll_s": 1}, {"headroom": 0}
    return config_for(
        box, name, f"{name}-data", run=run, plan=plan, service={"mode": "auto"}, output={"file": ""}
    )


def lines(box: Sandbox, name: str, run: str, file: str) -> list[str]:
    return content(box, f"{name}-data", f".oscar-batch/{run}/{file}").decode().splitlines()


def count_outcomes(box: Sandbox, name: str) -> dict[int, str]:
    """The state of every line by the results; no line has two."""
    found: dict[int, str] = {}
    for key in keys_of(box, f"{name}-data", ".oscar-batch/"):
        if "/results/" in key:
            for item in json.loads(content(box, f"{name}-data", key))["items"]:
                assert item["line"] not in found
                found[item["line"]] = item["state"]
    return found


def test_every_item_is_done_with_its_output_and_the_report_confirms_it(
    slots: Sandbox, deploy_on: Deploy, name: str, tmp_path: Path
) -> None:
    config = prepare(slots, deploy_on, name, COPY, 40)
    odd = ["input/a 'b'$(x)*.txt", "input/sub/-n.txt", "input/ü日本.txt"]
    fill(slots, f"{name}-data", odd)

    ran = coordinate("run", config, tmp_path)

    assert ran.code == 0, ran.stderr
    report = ran.report
    assert (report["ending"], report["confirmed"]) == ("done", True)
    assert report["counts"] == {
        "listed": 43, "done": 43, "failed": 0, "pending": 0, "skipped": 0, "left_out": 0,
    }  # fmt: skip
    keys = keys_of(slots, f"{name}-data", "input/")
    assert lines(slots, name, report["run"], "done.txt") == keys
    results = [key.replace("input/", "results/", 1) for key in keys]
    assert keys_of(slots, f"{name}-out") == results
    assert len(report["workers"]) == SLOTS
    assert {worker["invocation"] for worker in report["workers"]} == {"invoked"}
    assert len(slots.list_jobs(name)) == SLOTS


def test_a_target_that_always_exits_1_is_reported_as_such(
    slots: Sandbox, deploy_on: Deploy, name: str, tmp_path: Path
) -> None:
    config = prepare(slots, deploy_on, name, "sh -c 'echo no such fish >&2; exit 1'", 6)

    ran = coordinate("run", config, tmp_path)

    assert ran.code == 1, ran.stderr
    assert ran.report["counts"]["failed"] == 6
    assert ran.report["ending"] == "partly done"
    failures = ran.report["accounts"]["failures"]
    assert {(each["kind"], each["stderr"].strip()) for each in failures} == {
        ("exit", "no such fish")
    }
    assert "no such fish" in ran.stdout
    failed = [json.loads(line) for line in lines(slots, name, ran.report["run"], "failed.jsonl")]
    assert [each["key"] for each in failed] == [f"input/{number:03}.txt" for number in range(6)]
    assert all(each["attempts"] == 3 and each["reason"] for each in failed)

    manifest = f".oscar-batch/{ran.report['run']}/failed.jsonl"
    again = {**config, "bucket": {**config["bucket"], "manifest": manifest}}
    planned = coordinate("plan", again, tmp_path / "again", "--json")
    assert json.loads(planned.stdout)["index"]["items"] == 6


@contextmanager
def short_run(config: dict[str, Any], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A coordinator whose workers notice losses within seconds; it is killed after the block."""
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    command = [sys.executable, "-m", "tests.functional.short_run", str(path)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_workers_alone_suffice_even_when_two_of_four_are_lost(
    slots: Sandbox, deploy_on: Deploy, name: str, tmp_path: Path
) -> None:
    """The coordinator is killed right after its last POST was answered."""
    config = prepare(slots, deploy_on, name, f"sh -c 'sleep 0.2; {COPY}'", 60)

    def all_answered() -> bool | None:
        keys = [key for key in keys_of(slots, f"{name}-data", ".oscar-batch/") if "/posts/" in key]
        posts = [json.loads(content(slots, f"{name}-data", key)) for key in keys]
        return (len(posts) == SLOTS and all(post["verdict"] for post in posts)) or None

    with short_run(config, tmp_path):
        wait_until(all_answered, 60, lambda: (tmp_path / "log").read_text())
    wait_until(
        lambda: len(count_outcomes(slots, name)) >= 6 or None, 60, lambda: "no worker has begun"
    )
    nodes = [node["name"] for node in slots.chaos("GET", "nodes")]
    for node in nodes[-2:]:
        slots.kill_node(node)

    try:
        wait_until(
            lambda: len(count_outcomes(slots, name)) == 60 or None,
            90,
            lambda: f"{60 - len(count_outcomes(slots, name))} items have no result",
        )
    finally:
        slots.add_nodes("2x1:2Gi")
    assert set(count_outcomes(slots, name).values()) == {"done"}
    assert len(keys_of(slots, f"{name}-out")) == 60


def test_an_item_that_eats_the_containers_memory_fails_and_nothing_else_is_lost(
    slots: Sandbox, deploy_on: Deploy, name: str, tmp_path: Path
) -> None:
    """The kit reads the container's limit, and ends the item before the kernel ends all."""
    eat = "import time; x = [b'x' * (420 << 20)]; "
    eat += "[(time.sleep(0.05), x.append(b'x' * (1 << 20))) for _ in range(999)]"
    command = 'sh -c \'case $2 in 007.txt) exec python3 -c "$3" ;; esac; cp "$0" "$1"\''
    command += f' {{input}} {{output_dir}} {{name}} "{eat}"'
    config = prepare(slots, deploy_on, name, command, 20)

    ran = coordinate("run", config, tmp_path)

    assert ran.code == 1, ran.stderr
    assert (ran.report["counts"]["done"], ran.report["counts"]["failed"]) == (19, 1)
    (failure,) = ran.report["accounts"]["failures"]
    assert (failure["key"], failure["kind"]) == ("input/007.txt", "signal")
    assert failure["reason"] == "ended at 95 % of the container's memory of 512 MiB"
    assert len(keys_of(slots, f"{name}-out")) == 19


@pytest.mark.skipif(not ALL_KILLS, reason="takes minutes: make test-kit")
@pytest.mark.timeout(600)
def test_an_item_that_takes_its_container_along_fails_and_nothing_else_is_lost(
    slots: Sandbox, deploy_on: Deploy, name: str, tmp_path: Path
) -> None:
    """Faster than the kit looks, as a rule: the coordinator replaces the workers that are gone."""
    eat = "import time; x = b'x' * (700 << 20); time.sleep(60)"
    command = 'sh -c \'case $2 in 007.txt) exec python3 -c "$3" ;; esac; cp "$0" "$1"\''
    command += f' {{input}} {{output_dir}} {{name}} "{eat}"'
    config = prepare(slots, deploy_on, name, command, 20)

    with short_run(config, tmp_path) as run:
        run.wait(500)

    (run_id,) = {key.split("/")[1] for key in keys_of(slots, f"{name}-data", ".oscar-batch/2")}
    (failed,) = [json.loads(line) for line in lines(slots, name, run_id, "failed.jsonl")]
    assert failed["key"] == "input/007.txt"
    assert failed["reason"] in {
        "its worker vanished 4 times with it",
        "ended at 95 % of the container's memory of 512 MiB",  # the kit was in time after all
    }
    assert len(keys_of(slots, f"{name}-out")) == 19


def test_without_conditional_writes_no_item_is_lost_and_the_report_says_so(
    slots: Sandbox, deploy_on: Deploy, name: str, tmp_path: Path
) -> None:
    config = prepare(slots, deploy_on, name, COPY, 30)
    config["MinIO"]["url"] = slots.ignore_conditions()
    try:
        ran = coordinate("run", config, tmp_path)
    finally:
        slots.ignore_conditions(ignored=False)

    assert ran.code == 0, ran.stderr
    assert ran.report["message"] == "30 done; without stealing"
    assert ran.report["accounts"]["stealing"] is False
    assert len(keys_of(slots, f"{name}-out")) == 30


def test_the_worker_in_sh_loses_no_item_when_one_of_them_kills_it(
    slots: Sandbox, deploy_on: Deploy, name: str, tmp_path: Path
) -> None:
    """A new worker takes over the lane of a lost one, since nobody else repairs it."""
    config = prepare(slots, deploy_on, name, COPY, 8)
    poison = 'case $2 in 007.txt) kill -9 $PPID ;; esac; cp "$0" "$1"'
    command = f"sh -c '{poison}' {{input}} {{output_dir}} {{name}}"
    script = write_shell_script(find_worker(SHELL_WORKER).read_text("utf-8"), command)
    definition = slots.read_service(name) | {"script": script}
    slots.call("PUT", "/system/services", json=definition).raise_for_status()

    ran = coordinate("run", config, tmp_path, within_s=110)

    assert ran.code == 1, ran.stderr
    assert (ran.report["counts"]["done"], ran.report["counts"]["failed"]) == (7, 1)
    (failure,) = ran.report["accounts"]["failures"]
    assert (failure["key"], failure["kind"]) == ("input/007.txt", "killed its worker")
    assert any("keeps to its own lane" in text for text in ran.report["warnings"])


def test_workers_on_another_store_are_refused_with_the_reason(
    slots: Sandbox, deploy_on: Deploy, name: str, tmp_path: Path
) -> None:
    config = prepare(slots, deploy_on, name, COPY, 3)
    folder = tmp_path / "other"
    folder.mkdir()
    with run_sandbox(folder) as other:
        fill(other, f"{name}-data", ["input/a.txt"])
        access = {"url": other.s3_url, "access_key": other.access_key}
        config["MinIO"] = {**access, "secret_key": other.secret_key}
        ran = coordinate("run", config, tmp_path)

    assert ran.code == 2
    assert "does not show" in ran.report["message"]
    assert slots.list_jobs(name) == {}
