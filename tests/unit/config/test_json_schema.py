# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema of a config agrees with the checks, and the published file is current."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.config import checks
from coordinator.config.json_schema import make_config_schema
from coordinator.config.keys import KEYS, SECTIONS
from coordinator.config.schema import ConfigReader

SCHEMA = make_config_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
MINIMAL: dict[str, Any] = {"bucket": {"name": "data"}, "service": {"name": "target"}}
# Of these the schema says all; of the others not which texts can be read.
EXACT = {
    checks.check_flag,
    checks.check_done,
    checks.check_count,
    checks.check_extra_slots,
    checks.check_run_id,
    checks.check_speeds,
    checks.check_bucket,
    checks.check_service,
    checks.check_region,
    checks.check_printable,
    checks.check_string,
}
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["", "a", "ab", "abc", "a/b", "/a", "a/", "a b", "tab\t", "auto", "range"]),
    st.sampled_from(["pull", "fixed", "10Mi", "1e3", "-1", "1.5", "http://a/b", "2026-11-22"]),
    st.sampled_from(["20261122t101500z-3f9a1c", "x" * 64, "x" * 1025, "x" * 20_000, "ä" * 600]),
)
NUMBERS = st.one_of(
    st.sampled_from([-1, 0, 0.2, 0.5, 0.999, 1, 2, 100, 86_399, 86_400, 10**9, 2**63, 1e300]),
    st.integers(),
    st.floats(allow_nan=False),
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    NUMBERS,
    TEXTS,
    st.lists(st.one_of(NUMBERS, TEXTS), max_size=3),
    st.dictionaries(st.sampled_from(["bucket", "prefix", "name", "other"]), TEXTS, max_size=2),
)


def put(path: str, value: Any) -> dict[str, Any]:
    """A config that is valid but for this value."""
    config = copy.deepcopy(MINIMAL)
    *sections, name = path.split(".")
    inner = config
    for section in sections:
        inner = inner.setdefault(section, {})
    inner[name] = value
    return config


def is_exact(check: Any) -> bool:
    return isinstance(check, checks.NumberCheck | checks.ChoiceCheck) or check in EXACT


def is_beyond_json(value: object) -> bool:
    """JSON Schema takes 1.0 for a whole number, and `$` matches before a line break in Python."""
    whole = isinstance(value, float) and value.is_integer()
    return whole or (isinstance(value, str) and value.endswith("\n"))


@given(st.sampled_from(sorted(KEYS)), VALUES)
def test_the_schema_refuses_nothing_that_the_checks_accept(path: str, value: Any) -> None:
    config = put(path, value)
    if not ConfigReader(config).problems:
        VALIDATOR.validate(config)


@given(st.sampled_from(sorted(p for p, key in KEYS.items() if is_exact(key.check))), VALUES)
def test_of_types_ranges_and_choices_both_say_the_same(path: str, value: Any) -> None:
    config = put(path, value)
    if not is_beyond_json(value):
        assert VALIDATOR.is_valid(config) == (not ConfigReader(config).problems)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"bucket": {"name": "data"}}, id="no service"),
        pytest.param({**MINIMAL, "bucket": None}, id="null for a required section"),
        pytest.param({**MINIMAL, "bukcet": {}}, id="unknown section"),
        pytest.param({**MINIMAL, "plan": {"headrom": 0.1}}, id="unknown key"),
        pytest.param({**MINIMAL, "plan": []}, id="no object"),
    ],
)
def test_both_refuse_a_config_of_another_form(config: dict[str, Any]) -> None:
    assert ConfigReader(config).problems
    assert not VALIDATOR.is_valid(config)


def test_a_config_may_name_its_schema() -> None:
    config = {"$schema": "docs/config.schema.json", **MINIMAL}
    assert ConfigReader(config).problems == []
    VALIDATOR.validate(config)


def test_the_config_of_the_first_tool_is_valid() -> None:
    path = Path(__file__).parents[2] / "data" / "config_first_tool.json"
    VALIDATOR.validate(json.loads(path.read_text("utf-8")))


def test_defaults_are_values_that_the_checks_accept() -> None:
    for path, key in KEYS.items():
        described = SCHEMA
        for name in path.split("."):
            described = described["properties"][name] if "properties" in described else {}
        if "default" in described:
            assert key.check(described["default"]) == key.default


def test_every_section_and_every_key_has_a_description() -> None:
    found = {path[:i] for path in KEYS for i, letter in enumerate(path) if letter == "."}
    assert set(SECTIONS) == found
    assert all(key.about for key in KEYS.values())
    assert all(SECTIONS.values())
