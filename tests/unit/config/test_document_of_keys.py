# SPDX-License-Identifier: Apache-2.0
"""docs/config.md names every key of a config."""

from __future__ import annotations

from pathlib import Path

from coordinator.config.keys import KEYS

DOCUMENT = (Path(__file__).parents[3] / "docs/config.md").read_text("utf-8")
SELECTION = (Path(__file__).parents[3] / "docs/selection.md").read_text("utf-8")


def test_every_key_is_described() -> None:
    inner = ("bucket.skip_done.", "run.verify.")
    names = {key.rpartition(".")[2] for key in KEYS if not key.startswith(inner)} - {"$schema"}
    described = DOCUMENT + SELECTION
    assert {name for name in names if f"{name}`" not in described} == set()
