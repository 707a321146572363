# SPDX-License-Identifier: Apache-2.0
"""The worker kit and what storages do: races for claims, no conditions, absence; every Python."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sandbox.handle import Sandbox
from tests.functional.kit_setting import KitSetting, killing, split
from tests.functional.relay import relay
from tests.functional.servers import Server
from tests.functional.shell_worker import RUN, TIMING
from worker.oscar_batch_worker import S3, Access, RunFolder

Make = Callable[..., KitSetting]
COPY = "cp {input} {output_dir}/{name}"
PYTHONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
RACES = int(os.environ.get("OSCAR_BATCH_RACES", "50"))


@pytest.fixture
def make(chaotic: Sandbox, name: str, tmp_path: Path) -> Iterator[Make]:
    server = Server("any", chaotic)
    server.client.make_bucket(name)
    with ExitStack() as stack:

        def create(**options: Any) -> KitSetting:
            return stack.enter_context(killing(KitSetting(server, name, tmp_path, **options)))

        yield create


def fill(setting: KitSetting, count: int) -> list[str]:
    keys = [f"input/{line:04d}.txt" for line in range(1, count + 1)]
    for key in keys:
        setting.add_item(key, f"content of {key}")
    return keys


def find_python(version: str) -> str:
    """The interpreter of a version, wherever this machine has it; else the test is skipped."""
    candidates = [f"python{version}"]
    for pattern in (f"versions/{version}.*/bin/python3",):
        candidates += [str(path) for path in sorted(Path.home().glob(f".pyenv/{pattern}"))]
    places = Path.home() / ".local/share/uv/python"
    candidates += [str(path) for path in places.glob(f"cpython-{version}*/bin/python3")]
    for candidate in candidates:
        try:
            asked = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
            found = subprocess.run(asked, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        if found.stdout.strip() == version:
            return candidate
    pytest.skip(f"this machine has no Python {version}")


@pytest.mark.parametrize("version", PYTHONS)
def test_every_python_works_through_a_run(make: Make, version: str) -> None:
    python = Path(find_python(version))
    setting = make(mounted=False)
    keys = ["input/a b.txt", "input/sub/ü.bin", "input/c.txt"]
    for key in keys:
        setting.add_item(key, key, mounted=False)
    setting.write_run(split(keys, 1, 2))
    resolved = subprocess.run(
        [str(python), "-c", "import sys; print(sys.executable)"], capture_output=True, text=True
    ).stdout.strip()
    said = setting.run_kit("--command", COPY, "--jobs", "2", python=resolved)
    assert set(setting.states().values()) == {"done"}, said
    assert setting.read("results/sub/ü.bin") == "input/sub/ü.bin".encode()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_of_several_claims_exactly_one_wins(server: Server, name: str) -> None:
    """On each kind of server; a lost claim is never taken for a won one."""
    server.client.make_bucket(name)
    found = server.access
    access = Access(found.url, found.region, found.access_key, found.secret_key)
    folders = [RunFolder(S3(access, 20), f"{name}/run/") for _ in range(4)]

    def claim(task: tuple[int, int]) -> bool:
        race, writer = task
        document = {"process": f"0001-0000{writer}-00000000", "attempt": 1}
        return folders[writer].write_new(f"claims/001/00001/{race:06d}.001", document)

    tasks = [(race, writer) for race in range(RACES) for writer in range(4)]
    with ThreadPoolExecutor(4) as pool:
        won = dict(zip(tasks, pool.map(claim, tasks), strict=True))
    for race in range(RACES):
        (winner,) = [writer for writer in range(4) if won[race, writer]]
        stored = folders[0].read(f"claims/001/00001/{race:06d}.001")
        assert stored is not None
        assert stored.document["process"] == f"0001-0000{winner}-00000000"


def test_workers_share_what_lies_in_one_lane(make: Make) -> None:
    setting = make()
    keys = fill(setting, 40)
    setting.write_run([*split(keys, 1, 2), [], [], []])
    jobs = [
        setting.start_kit("--command", f"sh -c 'sleep 0.1; {COPY}'", lane=lane)
        for lane in (1, 2, 3, 4)
    ]
    for job in jobs:
        job.wait()
    assert setting.states() == dict.fromkeys(range(1, 41), "done")
    done = [beat["done"] for beat in setting.beats()]
    assert sum(done) == 40
    assert sorted(done)[1] > 0  # at least three have worked


def test_a_chunk_costs_three_writes(make: Make, chaotic: Sandbox) -> None:
    """A claim, a result and a beat; the start and the end of a worker cost four beats more."""
    setting = make()
    keys = fill(setting, 40)
    setting.write_run(split(keys, 1, 4))
    with relay(chaotic.s3_url) as between:
        setting.endpoint = between.url
        setting.run_kit("--command", "true {input}")
        puts = [each for each in between.requests if each.startswith("PUT ")]
    kinds = Counter(each.split("/")[4] for each in puts)
    assert (kinds["claims"], kinds["results"], kinds["marks"]) == (10, 10, 0)
    # A slow machine may need more than the 3 s of a beat.
    seconds = sum(outcome["seconds"] for outcome in setting.outcomes().values())
    assert kinds["beats"] <= 10 + 4 + (seconds + 10) / 3
    assert set(kinds) <= {"claims", "results", "beats"}


def test_without_conditional_writes_nothing_is_stolen_and_a_lost_lane_is_taken_over(
    make: Make, chaotic: Sandbox
) -> None:
    relay = chaotic.chaos("POST", "storage/conditions", ignored=True)
    chaotic.chaos("POST", "storage/conditions", ignored=False)
    setting = make(endpoint=relay["url"])
    keys = fill(setting, 12)
    setting.write_run(split(keys, 2, 2), exclusive=False)
    jobs = [setting.start_kit("--command", COPY, lane=lane) for lane in (1, 2)]
    for job in jobs:
        job.wait()
    assert len(setting.list(f"{setting.state}results/")) == 6
    assert set(setting.states().values()) == {"done"}
    by_process = {beat["process"]: beat["done"] for beat in setting.beats()}
    assert sorted(by_process.values()) == [6, 6]
    name = f"{setting.state}results/001/00002/000002.001.json"
    setting.server.client.remove_object(setting.bucket, name)

    setting.run_kit("--command", COPY, lane=2)

    result = setting.document("results/001/00002/000002.002.json")
    assert [item["state"] for item in result["items"]] == ["done", "done"]
    assert set(setting.states()) == set(range(1, 13))


def test_a_storage_that_is_away_for_seconds_costs_nothing(make: Make, chaotic: Sandbox) -> None:
    setting = make(mounted=False)
    keys = [f"input/{line}.txt" for line in range(1, 31)]
    for key in keys:
        setting.add_item(key, key, mounted=False)
    setting.write_run(split(keys, 2, 5))
    jobs = [
        setting.start_kit("--command", f"sh -c 'sleep 0.2; {COPY}'", lane=lane) for lane in (1, 2)
    ]
    setting.wait_for("results/")
    chaotic.chaos("POST", "storage/gap", seconds=4)
    for job in jobs:
        assert "Traceback" not in job.wait()
    assert setting.states() == dict.fromkeys(range(1, 31), "done")
    assert len(setting.list("results/")) == 30


def test_a_stopped_run_ends_after_the_item_in_hand_and_keeps_what_is_settled(make: Make) -> None:
    setting = make()
    keys = fill(setting, 20)
    setting.write_run(split(keys, 1, 20))
    job = setting.start_kit("--command", f"sh -c 'sleep 1; {COPY}'")
    setting.wait_for("claims/")
    setting.put(f"{setting.state}stop", "{}")
    job.wait()
    (beat,) = setting.beats()
    assert (beat["state"], beat["why"]) == ("ended", "stopped")
    mark = setting.document("marks/001/00001/000001.001.json")
    assert mark["item"] is None
    assert 1 <= len(mark["items"]) == beat["done"] < 20
    assert setting.list(f"{setting.state}results/") == []


def test_sigterm_ends_a_worker_in_order(make: Make) -> None:
    setting = make()
    keys = fill(setting, 20)
    setting.write_run(split(keys, 1, 20))
    job = setting.start_kit("--command", f"sh -c 'sleep 1; {COPY}'")
    setting.wait_for("claims/")
    time.sleep(0.5)
    job.process.terminate()
    job.wait()
    (beat,) = setting.beats()
    assert (beat["state"], beat["why"], beat["signal"]) == ("ended", "SIGTERM", None)
    assert len(setting.document("marks/001/00001/000001.001.json")["items"]) == beat["done"]


def test_a_worker_wakes_a_coordinator_if_none_lives(make: Make) -> None:
    setting = make()
    keys = fill(setting, 2)
    wake = f"{setting.bucket}/in/run.wake.json"
    setting.write_run(split(keys, 1, 2), wake=wake, timing=TIMING | {"lease_ttl_s": 3})
    setting.put(f"{setting.state}lease/0001", "{}")
    time.sleep(4.5)
    setting.run_kit("--command", COPY)
    woken = setting.read("in/run.wake.json")
    assert woken == b'{"state":{"bucket":"%b","prefix":".oscar-batch/"},"run":{"id":"%b"}}' % (
        setting.bucket.encode(),
        RUN.encode(),
    )
    assert setting.list(f"{setting.state}wakes/") == [f"{setting.state}wakes/1"]
