# SPDX-License-Identifier: Apache-2.0
"""When the report so far is written: at once where it matters, else rarely."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from coordinator.drive.progress import Progress
from coordinator.drive.publishing import Publisher
from coordinator.model.service import Folder, Locations
from coordinator.run.layout import RunLayout
from coordinator.run.lease import take_lease
from tests.unit import make
from tests.unit.fakes import FakeBucket

LOCATIONS = Locations(Folder("data", "in/"), Folder("data", ".oscar-batch/"))


class World:
    """A publisher on a virtual clock, whose pages take their time to be stored."""

    def __init__(self, takes_s: float) -> None:
        self.seconds, self.pages = 0.0, list[float]()
        bucket = FakeBucket()
        progress = self.progress = Progress(run_id=make.RUN_ID)
        layout = RunLayout(LOCATIONS, make.RUN_ID)
        lease = take_lease(bucket, layout, 90, lambda: datetime(2026, 11, 22, tzinfo=UTC))
        progress.enter(make.RUN_ID, lease)
        write = bucket.write

        def store(key: str, content: bytes, content_type: str) -> None:
            write(key, content, content_type)
            if key.endswith("report.html"):
                self.pages.append(self.seconds)
                self.seconds += takes_s

        bucket.write = store  # type: ignore[method-assign]
        self.publisher = Publisher(LOCATIONS, bucket, None, progress, lambda: self.seconds)
        progress.publish = self.publisher.refresh

    def go_on(self, seconds: float) -> None:
        """Shows the progress every tenth of a second."""
        end = self.seconds + seconds
        while self.seconds < end:
            self.progress.show("1 key")
            self.seconds += 0.1


def test_the_first_report_comes_at_once_and_the_next_ones_every_ten_seconds() -> None:
    world = World(takes_s=0.01)
    with world.progress.stage("index"):
        assert world.pages == [0.0]
        world.go_on(61)
    assert world.pages == pytest.approx([0, 10, 20, 30, 40, 50, 60], abs=0.5)


@pytest.mark.parametrize(("planned", "share"), [(False, 0.005), (True, 0.05)])
def test_a_slow_storage_takes_a_small_part_of_the_time(planned: bool, share: float) -> None:
    world = World(takes_s=2)
    world.progress.plan = make.plan() if planned else None
    world.go_on(4000)
    assert 0.8 * share < 2 * len(world.pages) / 4000 <= 1.3 * share


def test_the_plan_is_shown_as_soon_as_the_work_starts() -> None:
    world = World(takes_s=0.01)
    for name in ("index", "capacity", "plan", "save", "watch"):
        with world.progress.stage(name):
            world.seconds += 0.2
    assert world.pages == pytest.approx([0, 0.8], abs=0.05)
