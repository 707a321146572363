# SPDX-License-Identifier: Apache-2.0
"""The table of threats names tests that exist, and is a table."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "docs" / "security.md").read_text(encoding="utf-8").splitlines()
TESTS = re.compile(r"`((?:unit|functional|live)/[\w/]+\.py)(?:::(\w+))?`")


def test_every_threat_has_a_rule_and_a_test_that_exists() -> None:
    rows = [line for line in LINES if line.startswith("| ") and not line.startswith("| threat ")]
    assert len(rows) >= 15
    for row in rows:
        named = TESTS.findall(row)
        assert named, row
        assert row.count(" | ") == 2, row
        for path, function in named:
            text = (ROOT / "tests" / path).read_text(encoding="utf-8")
            assert f"def {function}" in text if function else text, row


def test_every_row_is_in_a_table() -> None:
    for before, line in pairwise(LINES):
        starts = line.startswith("|") and not before.startswith("|")
        assert not starts or line == "| threat | rule | test |", line
