# SPDX-License-Identifier: Apache-2.0
"""Workers that die: every item gets one outcome, and only the item that killed is failed."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sandbox.handle import Sandbox, wait_until
from tests.functional.kit_setting import Job, KitSetting, killing, split
from tests.functional.servers import Server
from tests.functional.shell_worker import TIMING

Make = Callable[..., KitSetting]
KILLS = int(os.environ.get("OSCAR_BATCH_KILLS", "20"))

# A command of a test: what an item does is the content of its file.
COMMAND = 'sh -c \'. "$1"; cp "$1" "$2/done.txt"\' sh {input} {output_dir}'


@pytest.fixture
def make(sandbox: Sandbox, name: str, tmp_path: Path) -> Iterator[Make]:
    server = Server("any", sandbox)
    server.client.make_bucket(name)
    with ExitStack() as stack:

        def create(**options: Any) -> KitSetting:
            return stack.enter_context(killing(KitSetting(server, name, tmp_path, **options)))

        yield create


def fill(setting: KitSetting, count: int, scripts: dict[int, str], default: str = ":") -> list[str]:
    """Items whose content is a shell script, by line."""
    keys = [f"input/{line:04d}/item.sh" for line in range(1, count + 1)]
    for line, key in enumerate(keys, 1):
        setting.add_item(key, scripts.get(line, default) + "\n")
    return keys


def check_outputs(setting: KitSetting, keys: list[str]) -> None:
    """Outputs of done items are present and whole."""
    states = setting.states()
    stored = set(setting.list("results/"))
    for line, key in enumerate(keys, 1):
        output = key.replace("input/", "results/").replace("item.sh", "done.txt")
        if states[line] == "done":
            assert output in stored, line
            source = setting.root / "mnt" / setting.bucket / key
            assert setting.read(output) == source.read_bytes()


def runs(pid: int) -> bool:
    """A zombie does not: whether it is reaped is a matter of the machine's first process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_item_that_kills_its_worker_fails_and_the_others_are_done(make: Make) -> None:
    setting = make()
    keys = fill(setting, 6, {2: "kill -9 $PPID; sleep 5"})
    setting.write_run(split(keys, 1, 3))

    said = setting.run_kit("--command", COMMAND)

    assert said.count("killed by signal 9, starting it again") == 3
    expected = dict.fromkeys(range(1, 7), "done") | {2: "killed its worker"}
    assert setting.states() == expected
    check_outputs(setting, keys)
    assert setting.outcomes()[2]["tries"] == 2
    ends = sorted((beat["why"], beat["signal"]) for beat in setting.beats())
    assert ends == [("no work left", None)] + [("signal 9", 9)] * 3


def test_an_item_that_hangs_is_ended_with_all_its_processes(make: Make) -> None:
    setting = make()
    note = setting.root / "child"
    keys = fill(setting, 3, {2: f"sleep 1000 & echo $! > {note}; wait"})
    setting.write_run(split(keys, 1, 3), item_timeout_s=2)

    setting.run_kit("--command", COMMAND)

    assert setting.states() == {1: "done", 2: "time-out", 3: "done"}
    assert setting.outcomes()[2]["reason"] == "took longer than 2 s"
    assert not runs(int(note.read_text()))


def test_an_item_that_uses_the_containers_memory_is_ended_before_the_container(make: Make) -> None:
    setting = make()
    cgroup = setting.root / "sys/fs/cgroup"
    cgroup.mkdir(parents=True)
    (cgroup / "memory.max").write_text("1000000")
    (cgroup / "memory.current").write_text("500000")
    (cgroup / "memory.stat").write_text("anon 1\nfile 0\nshmem 0\n")
    eats = (
        f"echo 990000 > {cgroup}/memory.current; "
        f"trap 'echo 500000 > {cgroup}/memory.current' EXIT; sleep 60"
    )
    keys = fill(setting, 3, {2: eats, 3: f"echo 500000 > {cgroup}/memory.current"})
    setting.write_run(split(keys, 1, 3))

    setting.run_kit("--command", COMMAND)

    assert setting.states() == {1: "done", 2: "signal", 3: "done"}
    assert "95 % of the container's memory" in setting.outcomes()[2]["reason"]


def test_what_a_lost_worker_had_in_hand_is_repaired_by_another(make: Make) -> None:
    setting = make()
    go = setting.root / "go"
    keys = fill(setting, 8, {3: f"while [ ! -e {go} ]; do sleep 0.1; done"})
    setting.write_run(split(keys, 2, 4))
    lost = setting.start_kit("--command", COMMAND, lane=1)
    setting.wait_for("claims/001/00001/")
    other = setting.start_kit("--command", COMMAND, lane=2)
    setting.wait_for("watchers/")
    lost.kill()
    go.touch()

    other.wait()

    assert setting.states() == dict.fromkeys(range(1, 9), "done")
    check_outputs(setting, keys)
    result = setting.document("results/001/00001/000001.json")
    assert (result["attempt"], result["process"][:10]) == (2, "0001-00002")


def test_an_item_that_vanishes_with_its_worker_four_times_fails(make: Make) -> None:
    setting = make()
    victim = setting.root / "victim"
    keys = fill(setting, 3, {2: f"touch {victim}; sleep 60"})
    setting.write_run(split(keys, 1, 3), timing={**TIMING, "beat_s": 3, "lost_after_s": 4})
    for _ in range(5):
        job = setting.start_kit("--command", COMMAND)
        wait_until(lambda: victim.exists() or None, 60, lambda: "the item did not begin")
        victim.unlink()
        job.kill()

    setting.start_kit("--command", COMMAND).wait()

    assert setting.states() == {1: "done", 2: "vanished", 3: "done"}
    assert setting.outcomes()[2]["reason"] == "its worker vanished 4 times with it"


def test_what_a_long_chunk_has_settled_is_not_done_again(make: Make) -> None:
    setting = make()
    log, go = setting.root / "log", setting.root / "go"
    note = f'echo "$PPID $1" >> {log}'
    keys = fill(setting, 8, {5: f"{note}; while [ ! -e {go} ]; do sleep 0.1; done"}, default=note)
    setting.write_run(split(keys, 1, 8), timing={**TIMING, "beat_s": 1, "mark_after_s": 1})
    job = setting.start_kit("--command", COMMAND)
    mark = "marks/001/00001/000001.001.json"
    setting.wait_for(mark)
    wait_until(
        lambda: len(setting.document(mark)["items"]) == 4 or None, 60, lambda: "no mark of 4 items"
    )
    assert job.kill_kit()
    go.touch()

    job.wait()

    assert setting.states() == dict.fromkeys(range(1, 9), "done")
    runs_of: dict[str, list[int]] = {}
    for text in log.read_text().splitlines():
        worker, path = text.split()
        runs_of.setdefault(worker, []).append(int(path.split("/")[-2]))
    assert list(runs_of.values()) == [[1, 2, 3, 4, 5], [5, 6, 7, 8]]
    check_outputs(setting, keys)


def test_a_program_that_hangs_in_its_own_process_is_killed_past_its_time(make: Make) -> None:
    """A minute past the time of an item; a negative time makes the minute pass sooner."""
    setting = make()
    program = setting.root / "program.py"
    program.write_text(
        "import time, oscar_batch_worker\n"
        "for item in oscar_batch_worker.items():\n"
        "    with item:\n"
        "        time.sleep(1000 if item.line == 2 else 0)\n"
    )
    keys = fill(setting, 3, {})
    setting.write_run(split(keys, 1, 3), item_timeout_s=-58)

    said = setting.run_kit("--module", str(program))

    assert setting.states() == {1: "done", 2: "killed its worker", 3: "done"}
    assert said.count("60 s over its time limit") == 3


def test_workers_are_killed_at_any_moment_and_every_item_has_one_outcome(make: Make) -> None:
    dice = random.Random(20261124)
    setting = make()
    items = max(60, KILLS * 3)
    poison = set(dice.sample(range(1, items + 1), 2))
    scripts = dict.fromkeys(poison, "kill -9 $PPID; sleep 5")
    keys = fill(setting, items, scripts, default="sleep 0.0$(($$ % 10))")
    setting.write_run(split(keys, 4, 5))
    jobs = [setting.start_kit("--command", COMMAND, lane=lane) for lane in range(1, 5)]

    kills = 0
    ends = time.monotonic() + 20 + KILLS * 3
    while kills < KILLS and time.monotonic() < ends:
        time.sleep(dice.uniform(0.02, 0.4))
        kills += kill_one(setting, jobs, dice)
    # As a coordinator does: workers that end while chunks are open are followed by new ones.
    # They leave at once while the watchers before them look alive, so time ends this, no count.
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        for job in jobs:
            job.wait(300)
        if len(setting.list(f"{setting.state}results/")) == items // 5:
            break
        time.sleep(1)
        jobs = [setting.start_kit("--command", COMMAND)]

    assert kills >= KILLS // 2
    states = setting.states()
    assert sorted(states) == list(range(1, items + 1))
    assert {line for line, state in states.items() if state != "done"} == find_guilty(setting)
    assert poison <= find_guilty(setting)
    check_outputs(setting, keys)


def find_guilty(setting: KitSetting) -> set[int]:
    """The lines with 4 points by the marks and the deaths: a kill by the test counts as well."""
    signals = {beat["process"]: beat["signal"] for beat in setting.beats()}
    guilty = set()
    for key in setting.list(f"{setting.state}results/"):
        name = key.removeprefix(f"{setting.state}results/").removesuffix(".json")
        attempts = setting.document(f"results/{name}.json")["attempt"]
        points: Counter[int] = Counter()
        for attempt in range(2, attempts):
            mark = f"{setting.state}marks/{name}.{attempt:03d}.json"
            if setting.list(mark):
                found = setting.document(mark.removeprefix(setting.state))
                points[found["item"] or 0] += 2 if signals.get(found["process"]) else 1
        guilty |= {line for line, sum_ in points.items() if sum_ >= 4 and line}
    return guilty


def kill_one(setting: KitSetting, jobs: list[Job], dice: random.Random) -> bool:
    """Kills a worker inside its script, or a whole invocation, which a new one replaces."""
    at = dice.randrange(len(jobs))
    if dice.random() < 0.7:
        return jobs[at].kill_kit()
    if jobs[at].process.poll() is not None:
        return False
    jobs[at].kill()
    jobs[at] = setting.start_kit("--command", COMMAND, lane=dice.randint(1, 4))
    return True
