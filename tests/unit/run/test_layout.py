# SPDX-License-Identifier: Apache-2.0
"""Every key that a run writes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coordinator.model.service import Folder, Locations
from coordinator.run.layout import (
    ResultKey,
    RunLayout,
    find_run_files,
    list_written,
    make_batch_key,
    make_report_key,
)
from tests.unit import make

PLACES = Locations(data=Folder("data", "in/"), state=Folder("data", ".oscar-batch/"))


def test_the_keys_of_a_run() -> None:
    layout = RunLayout(PLACES, "r1")
    assert (layout.index, layout.plan) == (
        ".oscar-batch/r1/index.0001.txt",
        ".oscar-batch/r1/plan.json",
    )
    assert layout.cost("../x") == ".oscar-batch/costs/..%2Fx.json"
    assert layout.active("k", 7) == ".oscar-batch/active/k/000007"
    assert layout.copy("data", "in/index.txt").startswith(layout.copies)
    assert len(layout.copy("data", "ä" * 512)) < 100
    assert make_report_key(Folder("b", "runs/"), "r1", "report.json") == "runs/r1/report.json"


def test_a_batch_is_all_that_decides_what_is_processed_and_where_the_state_is() -> None:
    first = make_batch_key("https://oscar", "target", PLACES.data, PLACES.state)
    assert first == make_batch_key("https://oscar", "target", PLACES.data, PLACES.state)
    assert first != make_batch_key("https://oscar", "target", PLACES.state, PLACES.data)
    assert make_batch_key("a", "b") != make_batch_key("a\nb")


def test_the_keys_of_the_protocol_have_leading_zeros_so_that_listings_are_in_order() -> None:
    layout = RunLayout(PLACES, "r1", epoch=2)
    keys = [
        layout.index, layout.probe, layout.stop, layout.end, layout.lease(3), layout.wake(1),
        layout.done, layout.failed, layout.pending,
        layout.post("0002-00003"), layout.beat("0002-00003-9f2c04aa"), layout.round_index(2),
        layout.table(1), layout.counted(1), layout.claim(1, 3, 12, 1), layout.mark(1, 3, 12, 2),
        layout.watcher(1, 4), layout.result(1, ResultKey(3, 12)),
        layout.result(1, ResultKey(3, 12, 2)),
    ]  # fmt: skip
    assert [key.removeprefix(".oscar-batch/r1/") for key in keys] == [
        "index.0002.txt", "probe", "stop", "end.json", "lease/0003", "wakes/1",
        "done.txt", "failed.jsonl", "pending.jsonl",
        "posts/0002-00003.json", "beats/0002-00003-9f2c04aa.json", "rounds/002/index.0002.txt",
        "rounds/001/chunks.jsonl", "rounds/001/counted.jsonl", "claims/001/00003/000012.001",
        "marks/001/00003/000012.002.json", "watchers/001/004", "results/001/00003/000012.json",
        "results/001/00003/000012.002.json",
    ]  # fmt: skip


@pytest.mark.parametrize("found", [ResultKey(3, 12), ResultKey(99_999, 999_999, 7)])
def test_the_key_of_a_result_says_its_chunk(found: ResultKey) -> None:
    layout = RunLayout(PLACES, "r1")
    assert layout.parse_result(1, layout.result(1, found)) == found
    assert layout.parse_result(2, layout.result(1, found)) is None


def test_a_beat_is_named_by_its_process() -> None:
    layout = RunLayout(PLACES, "r1")
    assert layout.parse_beat(layout.beat("0001-00003-9f2c04aa")) == "0001-00003-9f2c04aa"


@pytest.mark.parametrize(
    ("locations", "files"),
    [
        pytest.param(PLACES, (), id="beside the data"),
        pytest.param(
            replace(PLACES, state=Folder("data", "in/state/")), ("in/state/",), id="inside"
        ),
        pytest.param(replace(PLACES, data=Folder("data", "")), (".oscar-batch/",), id="the bucket"),
        pytest.param(
            replace(PLACES, data=Folder("data", ".oscar-batch/r1/")),
            (".oscar-batch/",),
            id="the data folder is inside",
        ),
        pytest.param(
            replace(PLACES, report=Folder("data", "in/r/")), ("in/r/",), id="reports inside"
        ),
        pytest.param(replace(PLACES, report=Folder("other", "in/r/")), (), id="another bucket"),
        pytest.param(replace(PLACES, report=Folder("data", "")), (), id="reports have no folder"),
        pytest.param(replace(PLACES, index_copy="in/index.txt"), ("in/index.txt",), id="the copy"),
    ],
)
def test_what_runs_write_within_reach_of_the_listing(
    locations: Locations, files: tuple[str, ...]
) -> None:
    assert find_run_files(locations) == files


def test_every_kind_of_written_object_is_listed_with_its_setting() -> None:
    locations = replace(
        PLACES,
        report=Folder("reports", "r/"),
        index_copy="in/index.txt",
        own_outputs=(Folder("oscar-batch", "out/"),),
    )
    service = make.service(outputs=(Folder("data", "results/"),))
    found = [
        (each.setting, each.bucket, each.key) for each in list_written(locations, service, "r1")
    ]
    assert found == [
        ("state", "data", ".oscar-batch/"),
        ("report", "reports", "r/r1/report.json"),
        ("output.file", "data", "in/index.txt"),
        ("service.name", "data", "results/<output>"),
        ("service.name", "oscar-batch", "out/report.json"),
    ]
