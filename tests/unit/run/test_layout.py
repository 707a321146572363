# SPDX-License-Identifier: Apache-2.0
"""Every key that a run writes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coordinator.model.service import Folder, Locations
from coordinator.run.layout import RunLayout, find_run_files, list_written, make_report_key
from tests.unit import make

PLACES = Locations(data=Folder("data", "in/"), state=Folder("data", ".oscar-batch/"))


def test_the_keys_of_a_run() -> None:
    layout = RunLayout(PLACES, "r1")
    assert (layout.index, layout.plan) == (".oscar-batch/r1/index.txt", ".oscar-batch/r1/plan.json")
    assert layout.cost("../x") == ".oscar-batch/costs/..%2Fx.json"
    assert make_report_key(Folder("b", "runs/"), "r1", "report.json") == "runs/r1/report.json"


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
    found = [(each.setting, each.bucket, each.key) for each in list_written(locations, service)]
    assert found == [
        ("state", "data", ".oscar-batch/index.txt"),
        ("report", "reports", "r/report.json"),
        ("output.file", "data", "in/index.txt"),
        ("service.name", "data", "results/<output>"),
        ("service.name", "oscar-batch", "out/report.json"),
    ]
