# SPDX-License-Identifier: Apache-2.0
"""Batches of objects: parts of them, and those that wait."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coordinator.model.object_columns import ObjectColumns, PackedColumns

THREE = ObjectColumns([b"a", b"b", b"c"], [1, 2, 3], ["x", "y", "z"])


def test_objects_where() -> None:
    assert THREE.filter([True, False, True]) == ObjectColumns([b"a", b"c"], [1, 3], ["x", "z"])


def test_objects_between() -> None:
    assert THREE.slice(1, 3) == ObjectColumns([b"b", b"c"], [2, 3], ["y", "z"])
    assert ObjectColumns([b"a", b"b"], None).slice(0, 1) == ObjectColumns([b"a"], None)


@given(st.lists(st.tuples(st.binary(max_size=5), st.integers(0, 2**63)), max_size=9))
def test_objects_that_wait_come_back_as_they_were(pairs: list[tuple[bytes, int]]) -> None:
    objects = ObjectColumns([key for key, _ in pairs], [size for _, size in pairs])
    packed = PackedColumns(objects)
    assert (len(packed), packed.unpack()) == (len(objects), objects)
    unsized = ObjectColumns(objects.keys, None, ["2026-11-22T10:15:00Z"] * len(pairs))
    assert PackedColumns(unsized).unpack() == unsized
