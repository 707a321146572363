# SPDX-License-Identifier: Apache-2.0
"""The crash matrix: a coordinator is killed before and after every effect, and another goes on.

Nothing is lost, nothing that is confirmed is processed again, and where jobs have names nothing is
started twice. docs/reliability.md has the table.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from coordinator.model.errors import Ending
from coordinator.oscar.client import OscarClient
from coordinator.storage.bucket import Bucket
from tests.unit.crashes import (
    BAD,
    EFFECTS,
    KEYS,
    MODES,
    READS,
    Gate,
    World,
    choose_steps,
    list_steps,
)

DOCUMENT = Path(__file__).parents[2] / "docs/reliability.md"
STALE_S = 100.0
"""After so long a lease that nobody renews is taken over."""


@pytest.fixture(autouse=True)
def _write_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing a page is an effect, what it says is none, and making it takes most of the time."""
    monkeypatch.setattr("coordinator.run.store.render_page", lambda report: report.message)


def drop_until_over(world: World, gate: Gate) -> int:
    """Drops the config, and again after each kill, until the run has its end; how often."""
    drops = 1
    report = world.drop(gate)
    while report is None:
        if list_ended(world):  # it had nothing more to do
            return drops
        assert drops < 4
        world.pass_time(STALE_S)
        report = world.drop(Gate())
        drops += 1
    assert report.ending is Ending.DONE, report.message
    counts = report.count_items()
    assert counts["listed"] == sum(count for name, count in counts.items() if name != "listed")
    assert counts["done"] == len(KEYS)
    return drops


def list_ended(world: World) -> list[str]:
    return [key for key in world.data.objects if key.endswith("/end.json")]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("named", [True, False], ids=["v4.1", "v3"])
@pytest.mark.parametrize("mode", MODES)
def test_a_coordinator_may_be_killed_at_any_step(mode: str, named: bool, tmp_path: Path) -> None:
    steps = list_steps(mode, tmp_path)
    assert len(steps) > 20
    for number in choose_steps(steps):
        step = steps[number]
        for after in (False, True):
            world = World(mode, tmp_path, named=named)
            try:
                drop_until_over(world, Gate(number, after))
                check_world(world, named=named)
            except AssertionError as error:
                where = f"{mode}, killed {'after' if after else 'before'} {step} ({number})"
                raise AssertionError(f"{where}: {error}") from error


def check_world(world: World, *, named: bool) -> None:
    """What every run must have kept, whatever killed its coordinator."""
    if not list_ended(world):  # only the end itself was lost: the next drop writes it
        pytest.fail("the run has no end")
    (done,) = [key for key in world.data.objects if key.endswith("/done.txt")]
    assert sorted(world.data.objects[done].decode().split()) == KEYS
    expected = {key: 2 if key == BAD else 1 for key in KEYS}
    assert set(world.started.values()) == {1}, f"started twice: {world.started}"
    if named:
        assert dict(world.runs) == expected
    else:  # what was noted and never sent is first processed in the second round
        assert all(1 <= world.runs[key] <= most for key, most in expected.items())


def test_a_run_whose_end_was_lost_gets_it_with_the_next_drop(tmp_path: Path) -> None:
    steps = list_steps("pull", tmp_path)
    (last,) = [number for number, step in enumerate(steps) if step == "create end.json"]
    world = World("pull", tmp_path)
    assert world.drop(Gate(last)) is None
    assert not list_ended(world)
    world.pass_time(STALE_S)
    report = world.drop(Gate())
    assert report
    assert report.ending is Ending.DONE
    assert len(list_ended(world)) == 1
    assert set(world.started.values()) == {1}


def test_two_kills_one_after_the_other(tmp_path: Path) -> None:
    steps = list_steps("pull", tmp_path)
    for number in range(4, len(steps), 7):
        world = World("pull", tmp_path)
        assert world.drop(Gate(number)) is None
        world.pass_time(STALE_S)
        if world.drop(Gate(9, after=True)) is None:
            world.pass_time(STALE_S)
            report = world.drop(Gate())
            assert report is None or report.ending is Ending.DONE
        check_world(world, named=True)


def test_the_matrix_has_every_effect_of_the_clients() -> None:
    for client in (Bucket, OscarClient):
        public = {name for name in vars(client) if not name.startswith("_")}
        assert public == EFFECTS[client] | READS[client] | {"version"} & public


def test_the_document_has_every_step(tmp_path: Path) -> None:
    steps = {step for mode in MODES for step in list_steps(mode, tmp_path)}
    written = set(re.findall(r"^\| `([^`]+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.M))
    assert steps <= written, sorted(steps - written)


def test_the_documents_say_how_many_kills_there_are(tmp_path: Path) -> None:
    counts = {mode: len(choose_steps(list_steps(mode, tmp_path))) for mode in MODES}
    named = ", ".join(f"{mode} {count}" for mode, count in counts.items())
    kills = 4 * sum(counts.values())  # before and after each, with and without names of jobs
    assert f"({named} of them" in DOCUMENT.read_text("utf-8")
    for name in ("docs/reliability.md", "README.md", "CHANGELOG.md"):
        found = re.findall(
            r"(\d+) (?:kills|points)\b", (DOCUMENT.parents[1] / name).read_text("utf-8")
        )
        assert set(found) == {str(kills)}, name


def test_of_reports_that_follow_each_other_the_first_and_the_last_are_chosen() -> None:
    report = ["write report.json", "write report.html", "write progress.json"]
    steps = ["POST /job", *report * 3, "write posts", *report, "create end.json"]
    assert choose_steps(steps) == [0, 1, 2, 3, 7, 8, 9, *range(10, 15)]
