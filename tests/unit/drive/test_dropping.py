# SPDX-License-Identifier: Apache-2.0
"""A run that was dropped is followed by its documents in the bucket."""

from __future__ import annotations

import json

from coordinator.drive.dropping import Drop
from coordinator.model.service import Folder, Locations
from coordinator.run.layout import RunLayout
from tests.unit import make
from tests.unit.fakes import FakeBucket

STATE = Folder("data", ".oscar-batch/")


def test_the_report_of_a_run_that_goes_on_is_not_its_end() -> None:
    data = FakeBucket("data")
    layout = RunLayout(Locations(Folder("data", "in/"), STATE), make.RUN_ID)
    drop = Drop(b"{}", data, "in/x.json", data, layout, ((data, STATE),))
    key = f"{layout.folder}report.json"
    assert drop.read_report() is None
    data.objects[key] = json.dumps({"ending": "running"}).encode()
    assert drop.read_report() is None
    data.objects[key] = json.dumps({"ending": "done"}).encode()
    assert drop.read_report() == {"ending": "done"}
