# SPDX-License-Identifier: Apache-2.0
"""Every example runs as its README says: deployed, its data uploaded, a config submitted."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.catalogue import EXAMPLES
from examples.demo import run_demo


@pytest.mark.parametrize(("name", "count"), [("turbidity", 10)])
def test_every_item_of_an_example_gets_its_output(name: str, count: int, tmp_path: Path) -> None:
    assert run_demo(EXAMPLES[name], tmp_path / "demo", count) == 0
