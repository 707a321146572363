# SPDX-License-Identifier: Apache-2.0
"""Batches of objects, column by column."""

from __future__ import annotations

from coordinator.model.object_columns import ObjectColumns

THREE = ObjectColumns([b"a", b"b", b"c"], [1, 2, 3], ["x", "y", "z"])


def test_all_columns_are_filtered_alike() -> None:
    assert THREE.filter([True, False, True]) == ObjectColumns([b"a", b"c"], [1, 3], ["x", "z"])
    assert ObjectColumns([b"a", b"b"], None).filter([0, 1]) == ObjectColumns([b"b"], None)
