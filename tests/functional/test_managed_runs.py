# SPDX-License-Identifier: Apache-2.0
"""Runs that are dropped twice, killed and shaken: real processes, real storage, the real kit."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests

from coordinator.cli.verbs.kit import find_worker, write_script
from sandbox.handle import Sandbox, run_sandbox, wait_until
from tests.functional.conftest import Deploy
from tests.functional.coordination import config_for, content, fill, keys_of

pytestmark = pytest.mark.any_storage

KILLS = int(os.environ.get("OSCAR_BATCH_COORDINATOR_KILLS", "4"))
ITEMS = int(os.environ.get("OSCAR_BATCH_CHAOS_ITEMS", "400"))
SLOTS = 4
SLOW_COPY = 'sh -c \'sleep 0.15; cp "$0" "$1"\' {input} {output_dir}/{name}'
MANY = 100_000


@pytest.fixture(scope="module")
def slots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Nodes of three sizes: seven slots in all."""
    arguments = ["--nodes", "2x1:1Gi,1x2:2Gi,1x3:3Gi", "--chaos"]
    with run_sandbox(tmp_path_factory.mktemp("managed"), arguments) as found:
        yield found


def prepare(
    box: Sandbox, deploy_on: Deploy, name: str, items: int, command: str = SLOW_COPY
) -> dict[str, Any]:
    """A service with the kit, its items, and the config for both."""
    output = {"storage_provider": "minio.default", "path": f"{name}-out/results"}
    script = write_script(
        find_worker().read_text("utf-8"), command=command, stdin=None, module=None, jobs=1
    )
    deploy_on(box, script, cpu="1", memory="512Mi", output=[output])
    fill(box, f"{name}-data", [f"input/{number:03}.txt" for number in range(items)])
    run, plan = {"poll_s": 1}, {"headroom": 0, "max_parallel": SLOTS}
    return config_for(
        box, name, f"{name}-data", run=run, plan=plan, service={"mode": "auto"}, output={"file": ""}
    )


class Drop:
    """One drop of a config: a coordinator with short times, in a process of its own."""

    def __init__(self, config: dict[str, Any], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path, self.log = folder / "config.json", folder / "log"
        path.write_text(json.dumps(config))
        command = [sys.executable, "-m", "tests.functional.short_run", str(path)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def end(self, within_s: float = 100) -> int:
        try:
            return self.process.wait(within_s)
        finally:
            self.kill()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def drop_until_done(config: dict[str, Any], folder: Path) -> tuple[int, str]:
    """Drops the config until no other coordinator holds the run: the exit code and the log."""
    for number in range(20):
        drop = Drop(config, folder / str(number))
        code = drop.end()
        if code != 5:
            return code, drop.log.read_text()
        time.sleep(1)
    raise AssertionError("the run is held by another coordinator all the time")


def count_items(box: Sandbox, name: str) -> Counter[str]:
    """The items by what the results of the first round say; no line has two."""
    found: dict[int, str] = {}
    for key in keys_of(box, f"{name}-data", ".oscar-batch/"):
        if "/results/001/" in key:
            for item in json.loads(content(box, f"{name}-data", key))["items"]:
                assert item["line"] not in found
                found[item["line"]] = item["state"]
    return Counter(found.values())


def read_final(box: Sandbox, name: str, file: str) -> bytes:
    (key,) = [
        key
        for key in keys_of(box, f"{name}-data", ".oscar-batch/")
        if key.endswith(f"/{file}") and "/20" in key
    ]
    return content(box, f"{name}-data", key)


def test_the_same_config_dropped_twice_at_once_processes_every_item_once(
    slots: Sandbox, deploy_on: Deploy, name: str, tmp_path: Path
) -> None:
    config = prepare(slots, deploy_on, name, 40)
    drops = [Drop(config, tmp_path / each) for each in ("first", "second")]
    codes = sorted(drop.end() for drop in drops)
    logs = "".join(drop.log.read_text() for drop in drops)
    assert codes == [0, 5], logs
    assert "is at work: its coordinator was alive" in logs
    assert count_items(slots, name) == {"done": 40}
    assert len(slots.list_jobs(name)) == SLOTS, "one POST for each slot"
    assert len(keys_of(slots, f"{name}-out")) == 40


def test_a_coordinator_that_is_killed_anywhere_is_continued(
    slots: Sandbox, deploy_on: Deploy, name: str, tmp_path: Path
) -> None:
    """One service, and for each kill a run of its own in a folder of its own."""
    config = prepare(slots, deploy_on, name, 0)
    dice = random.Random(20261124)
    moments = [dice.uniform(0.2, 6.0) for _ in range(KILLS)]

    def run_and_kill(case: int) -> tuple[int, str]:
        folder = f"part{case:02}/"
        fill(slots, f"{name}-data", [f"{folder}{case:02}-{n:02}.txt" for n in range(12)])
        mine = {**config, "bucket": {"name": f"{name}-data", "folder_prefix": folder}}
        mine["plan"] = {"headroom": 0, "max_parallel": 2}
        drop = Drop(mine, tmp_path / folder / "killed")
        with suppress(subprocess.TimeoutExpired):
            drop.process.wait(moments[case])
        drop.kill()
        return drop_until_done(mine, tmp_path / folder)

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(run_and_kill, range(KILLS)))
    for case, (code, log) in enumerate(ended):
        assert code == 0, f"killed after {moments[case]:.2f} s: {log}"
    keys = keys_of(slots, f"{name}-out")
    assert len(keys) == 12 * KILLS


def test_a_healthy_run_is_watched_with_two_calls_a_minute(
    slots: Sandbox, deploy_on: Deploy, name: str, tmp_path: Path
) -> None:
    command = SLOW_COPY.replace("0.15", "1.2")
    config = prepare(slots, deploy_on, name, 60, command)
    drop = Drop(config, tmp_path)
    wait_until(
        lambda: len(slots.list_jobs(name)) == SLOTS or None, 60, lambda: drop.log.read_text()
    )
    slots.fail("GET", "/system/*", times=MANY, delay_s=0.001)
    began = time.monotonic()
    try:
        assert drop.end() == 0, drop.log.read_text()
        minutes = (time.monotonic() - began) / 60
        (fault,) = [each for each in slots.chaos("GET", "faults") if each["times"] > MANY / 2]
        calls = MANY - int(fault["times"])
    finally:
        slots.chaos("DELETE", "faults")
    assert calls <= 2 + 2 * minutes, f"{calls} calls in {minutes:.1f} min"


def shake(box: Sandbox, name: str, dice: random.Random, over: threading.Event) -> None:
    """Kills nodes and the manager, breaks answers and takes the storage away, until it is over."""
    over.wait(6.0)
    box.stop_storage(20.0)
    while not over.wait(dice.uniform(1.0, 3.0)):
        with suppress(requests.RequestException, KeyError):
            choice = dice.randrange(7)
            if choice == 0:
                nodes = [node["name"] for node in box.chaos("GET", "nodes")]
                if len(nodes) > 2:
                    box.kill_node(dice.choice(nodes))
                    box.add_nodes(dice.choice(["1x1:1Gi", "1x2:2Gi"]))
            elif choice == 1:
                box.kill_manager(dice.uniform(0.5, 3.0))
            elif choice == 2:
                box.stop_storage(dice.choice([1.0, 3.0, 6.0]))
                over.wait(6.0)
            elif choice == 3:
                box.fail("GET", "/system/*", times=3, status=502)
            elif choice == 4:
                box.fail("POST", "/job/*", times=2, cut=dice.choice(["before", "after"]))
            elif choice == 5:
                box.rotate_token(name)
            else:
                box.fail("POST", "/job/*", times=2, status=500)


@pytest.mark.timeout(300)
def test_a_run_that_is_shaken_ends_with_a_true_report(
    slots: Sandbox, deploy_on: Deploy, name: str, tmp_path: Path
) -> None:
    """Also its coordinator is killed, and the config dropped again."""
    config = prepare(slots, deploy_on, name, ITEMS)
    over, dice = threading.Event(), random.Random(7)
    shaker = threading.Thread(target=shake, args=(slots, name, dice, over))
    shaker.start()
    try:
        first = Drop(config, tmp_path / "killed")
        with suppress(subprocess.TimeoutExpired):
            first.process.wait(30)
        first.kill()
        time.sleep(10)
    finally:
        over.set()
        shaker.join()
        with suppress(requests.RequestException):
            slots.chaos("DELETE", "faults")
    slots.wait_for_manager()
    slots.add_nodes("2x2:2Gi")
    code, log = drop_until_done(config, tmp_path)
    assert code in {0, 1}, log
    report = json.loads(read_final(slots, name, "report.json"))
    counts = report["counts"]
    assert counts["listed"] == ITEMS == sum(counts.values()) - counts["listed"], counts
    done = read_final(slots, name, "done.txt").decode().splitlines()
    assert len(done) == counts["done"]
    outputs = set(keys_of(slots, f"{name}-out"))
    missing = {key for key in done if key.replace("input/", "results/", 1) not in outputs}
    assert missing == set(), "an item is called done and has no output"
    assert counts["pending"] == 0, log
    # No item fails because of what happened to others: healthy items are all done in the end.
    assert counts["done"] == ITEMS, (counts, report["accounts"]["failures"][:3])
