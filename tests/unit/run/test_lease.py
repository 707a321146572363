# SPDX-License-Identifier: Apache-2.0
"""A lease that is renewed by one thread and left by another."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock, Thread

from coordinator.model.object_columns import ObjectColumns
from coordinator.model.service import Folder, Locations
from coordinator.run.layout import RunLayout
from coordinator.run.lease import read_lease, take_lease
from coordinator.storage.pages import ListQuery
from tests.unit import make
from tests.unit.fakes import NOW, FakeBucket


def test_a_renewal_does_not_undo_the_word_that_the_holder_leaves() -> None:
    state = FakeBucket()
    layout = RunLayout(Locations(Folder("data", "in/"), Folder("data", "s/")), make.RUN_ID)
    lease = take_lease(state, layout, 90, lambda: NOW)
    lease.writing = Lock()  # as its renewer does
    list_objects, leaving = state.list_objects, Thread(target=lease.leave)

    def list_while_leaving(query: ListQuery) -> Iterator[ObjectColumns]:
        leaving.start()
        leaving.join(0.2)  # the renewal comes between the look for newer leases and its write
        return list_objects(query)

    state.list_objects = list_while_leaving  # type: ignore[method-assign]
    lease.renew()
    leaving.join()
    state.list_objects = list_objects  # type: ignore[method-assign]
    assert read_lease(state, layout).left
    lease.renew()
    assert read_lease(state, layout).left
