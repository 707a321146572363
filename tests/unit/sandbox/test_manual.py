# SPDX-License-Identifier: Apache-2.0
"""The sandbox's manual names tests that exist, for every pitfall, and options that exist."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from sandbox.cluster.profiles import PROFILES, Profile

ROOT = Path(__file__).parents[3]
MANUAL = (ROOT / "sandbox" / "README.md").read_text("utf-8")
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
}
WALK = "test_a_client_sees_what_the_profile_says"


def rows() -> dict[int, str]:
    found = re.findall(r"^\| (\d+) \|[^|]+\| (.+) \|$", MANUAL, re.MULTILINE)
    return {int(number): last for number, last in found}


def test_every_pitfall_has_a_test_or_a_reason() -> None:
    assert list(rows()) == list(range(1, 37))
    for number, last in rows().items():
        assert "`test_" in last or last.startswith("not simulated: "), number


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+?)(?:\[\w+\])?`", MANUAL))
    assert named - TESTS == set()
    of_fields = {field.name for field in fields(Profile)}
    assert set(re.findall(rf"{WALK}\[(\w+)\]", MANUAL)) - {"FIELD"} <= of_fields


def test_every_option_and_profile_is_in_the_manual() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "sandbox", "up", "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=30,
    ).stdout  # fmt: skip
    options = set(re.findall(r"(--[a-z-]+)", shown)) - {"--help", "--address", "--ready-file"}
    assert {option for option in options if f"`{option}" not in MANUAL} - {"--detach"} == set()
    assert all(f"`{profile}`" in MANUAL for profile in PROFILES)
