# SPDX-License-Identifier: Apache-2.0
"""`capacity --status` and `plan --index`: the numbers of a run from saved files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coordinator.cli.main import main

DATA = Path(__file__).parents[2] / "data"
CLUSTER = next(
    c for c in json.loads((DATA / "clusters.json").read_text()) if c["title"].endswith("a quota")
)


class Files:
    """Saved answers in a folder, and the command that reads them."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capture = folder, capture

    def save(self, name: str, content: str) -> str:
        path = self.folder / name
        path.write_text(content, encoding="utf-8")
        return str(path)

    def run(self, *arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        out, err = self._capture.readouterr()
        return code, out, err

    def json(self, *arguments: str) -> Any:
        code, out, err = self.run(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)


@pytest.fixture
def files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Files:
    return Files(tmp_path, capsys)


@pytest.fixture
def saved(files: Files) -> list[str]:
    """The arguments of the offline capacity."""
    parts = ("status", "service", "quota")
    paths = {part: files.save(f"{part}.json", json.dumps(CLUSTER[part])) for part in parts}
    return [argument for part in parts for argument in (f"--{part}", paths[part])]


def test_capacity_of_saved_answers(files: Files, saved: list[str]) -> None:
    answer = files.json("capacity", *saved, "--headroom", "0")
    assert (answer["slots"], answer["limited_by"]) == (30, "quota")
    assert answer["explanation"] == (
        "the sum says 44, nodes fit 37 of 1 CPU and 2 GiB each: wn-3 short of memory by 1.2 GiB; "
        "your quota allows 30"
    )
    *_, last = answer["nodes"]
    assert (last["name"], last["slots"], last["limited_by"]) == ("wn-3", 5, "memory")
    assert last["free"] == {"cpu_millicores": 12000, "memory_bytes": 11596411700, "gpus": 0}
    assert last["stranded"] == {"cpu_millicores": 7000, "memory_bytes": 858993460, "gpus": 0}


def test_the_headroom_is_that_of_a_run_by_default(files: Files, saved: list[str]) -> None:
    answer = files.json("capacity", *saved)
    assert answer == files.json("capacity", *saved, "--headroom", "0.2")
    assert "20% of the free resources" in answer["explanation"]


def test_capacity_for_people_has_the_sentence_first(files: Files, saved: list[str]) -> None:
    code, out, _ = files.run("capacity", *saved, "--headroom", "0")
    assert code == 0
    assert out.splitlines()[0].startswith("30 at a time: the sum says 44, nodes fit 37")
    assert "wn-3: 5 (memory); free 12 CPU, 10.8 GiB; stranded 7 CPU, 819.2 MiB" in out


def test_a_service_that_fits_nowhere_ends_with_no_capacity(files: Files, saved: list[str]) -> None:
    giant = files.save("giant.json", json.dumps({**CLUSTER["service"], "memory": "1Ti"}))
    arguments = [giant if part.endswith("service.json") else part for part in saved]
    code, out, _ = files.run("capacity", *arguments)
    assert code == 4
    assert (
        "fits on no node that OSCAR lists, even when empty; wn-1 comes nearest and lacks 960 GiB"
        in out
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["capacity"], "name a config file"),
        (["capacity", "--status", "x"], "belong together"),
        (["capacity", "--status", "gone", "--service", "gone"], "cannot read gone"),
        (["capacity", "x", "--quota", "y"], "cannot read x"),
        (["plan"], "name a config file"),
        (["plan", "--index", "x"], "also needs --slots"),
        (["plan", "--index", "x", "--slots", "0"], "--slots must be a number from 1 to"),
        (["plan", "--index", "x", "--slots", "1000001"], "--slots must be a number from 1 to"),
        (["plan", "c.json", "--index", "x"], "not both"),
        (["plan", "c.json", "--strategy", "fixed"], "--strategy only for --index"),
        (
            ["plan", "--index", "x", "--slots", "1", "--strategy", "pull"],
            "plan.strategy: must be one",
        ),
        (["plan", "--index", "x", "--slots", "1", "--chunk-bytes", "1x"], "plan.chunk_bytes: "),
        (["plan", "--index", "gone", "--slots", "1"], "cannot read gone"),
        (["plan", "--index", "x", "--slots", "1", "--strategy", "fixed"], "fixed needs"),
        (["plan", "--index", "x", "--slots", "1", "--startup", "-1"], "plan.startup_s: must be"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_says_what_is_wrong(files: Files, arguments: list[str], said: str) -> None:
    code, _, err = files.run(*arguments)
    assert code == 2
    assert said in err


def test_a_headroom_of_everything_is_refused(files: Files, saved: list[str]) -> None:
    code, _, err = files.run("capacity", *saved, "--headroom", "1")
    assert (code, "plan.headroom: must be a number" in err) == (2, True)


def test_a_saved_answer_of_another_kind_is_refused(files: Files, saved: list[str]) -> None:
    arguments = [files.save("x", "[]") if part.endswith("service.json") else part for part in saved]
    code, _, err = files.run("capacity", *arguments)
    assert (code, "is not a JSON object" in err) == (2, True)


@pytest.fixture
def index(files: Files) -> str:
    return files.save("index.tsv", "".join(f"in/a b/{n}.jpg\t{n * 1000}\n" for n in range(1, 101)))


def test_a_saved_index_is_cut_into_ranges_that_anyone_can_check(files: Files, index: str) -> None:
    answer = files.json("plan", "--index", index, "--slots", "4")
    assert [(c["start"], c["end"]) for c in answer["chunks"]] == [
        (1, 50),
        (51, 71),
        (72, 87),
        (88, 100),
    ]
    assert answer["index"] == {"items": 100, "size_bytes": 5_050_000}
    assert (answer["strategy"]["name"], answer["strategy"]["estimate"]) == ("balanced", None)


@pytest.mark.parametrize("strategy", ["auto", "balanced", "factoring"])
def test_every_strategy_can_be_tried(files: Files, index: str, strategy: str) -> None:
    times = ("--startup", "5", "--seconds-per-item", "0.1", "--seconds-per-mb", "10")
    answer = files.json("plan", "--index", index, "--slots", "4", "--strategy", strategy, *times)
    covered = sorted((c["start"], c["end"]) for c in answer["chunks"])
    assert covered[0][0] == 1
    assert covered[-1][1] == 100
    assert answer["strategy"]["cost"]["source"] == "the arguments"
    assert strategy in {"auto", answer["strategy"]["name"]}


def test_auto_shows_its_candidates_and_their_times(files: Files, index: str) -> None:
    times = ("--startup", "5", "--seconds-per-mb", "1000")
    answer = files.json("plan", "--index", index, "--slots", "4", *times)["strategy"]
    assert len(answer["candidates"]) > 1
    assert answer["estimate"]["low_s"] == pytest.approx(5 + 5050 / 4, rel=0.03)  # on even slots
    assert answer["estimate"]["high_s"] > answer["estimate"]["expected_s"]


def test_a_plan_for_people(files: Files, index: str) -> None:
    code, out, _ = files.run("plan", "--index", index, "--slots", "2", "--chunk-items", "60")
    assert code == 0
    assert out.splitlines() == [
        "100 items, 4.8 MiB",
        "2 chunks, fixed (plan.chunk_items or plan.chunk_bytes says so)",
        "  chunk 1: lines 1 to 60, 60 items, 1.7 MiB",
        "  chunk 2: lines 61 to 100, 40 items, 3.1 MiB",
    ]


@pytest.mark.parametrize(
    "line", ["key", "key\t", "key\tx", "key\t-1", "key 5", "key\t1.5", "key\t" + "9" * 5000]
)
def test_a_line_that_is_no_key_and_size_is_named(files: Files, line: str) -> None:
    path = files.save("bad.tsv", f"good\t1\n{line}\n")
    code, _, err = files.run("plan", "--index", path, "--slots", "1")
    assert (code, "line 2" in err) == (2, True)


def test_a_line_without_an_end_is_not_read_to_its_end(files: Files) -> None:
    assert files.run("plan", "--index", "/dev/zero", "--slots", "3")[0] == 2
