# SPDX-License-Identifier: Apache-2.0
"""What a look sees of beats where `Last-Modified` has whole seconds."""

from __future__ import annotations

from datetime import timedelta

from coordinator.drive.pull.ledger import Ledger
from coordinator.drive.pull.looks import Looks
from coordinator.drive.pull.rounds import make_first_round
from coordinator.model.pull.documents import Beat, BeatState
from coordinator.model.pull.lanes import Lanes, Table, Timing
from coordinator.model.service import Folder, Locations
from coordinator.run.layout import RunLayout
from coordinator.run.pull_documents import encode_document
from tests.unit import make
from tests.unit.fakes import NOW, FakeBucket


def test_two_beats_in_one_second_are_both_seen_and_an_old_one_is_read_once() -> None:
    places = Locations(Folder("data", "in/"), Folder("data", ".oscar-batch/"))
    state, layout, plan = FakeBucket("data"), RunLayout(places, make.RUN_ID), make.plan()
    ledger = Ledger(plan.index.items)
    ledger.begin_round(make_first_round(plan, Lanes((len(plan.chunks),), Table(0, 0))))
    looks = Looks(state, layout, ledger, Timing(), lambda warning: None)

    def beat(said: BeatState) -> None:
        state.write(layout.beat("p"), encode_document(Beat("p", said)), "")

    beat(BeatState.WORKING)
    looks.look()
    first = looks.sightings["p"]
    beat(BeatState.ENDED)  # within the same second
    state.now = NOW + timedelta(seconds=15)
    looks.look()
    seen = looks.sightings["p"]
    assert seen.beat.state is BeatState.ENDED
    assert seen.first_look == first.first_look, "it is no new sign of life"
    state.broken = {f"read {layout.beat('p')}"}
    looks.look()  # reads it no more
