# SPDX-License-Identifier: Apache-2.0
"""JSON and YAML as files hold them: JSON's types only, and a limit for everything."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from coordinator.config.document import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_VALUES,
    MAX_YAML_BYTES,
    decode_document,
    show_key,
)
from coordinator.model.errors import ConfigError


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        decode_document(text.encode())
    return caught.value.problems


SCALARS = (
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e6, 1e6) | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=5)


@given(OBJECTS)
def test_json_is_read_as_the_standard_library_reads_it(value: dict[str, Any]) -> None:
    assert decode_document(json.dumps(value).encode()) == value


@given(st.dictionaries(st.text(), st.recursive(st.text(), st.lists, max_leaves=5)))
def test_yaml_that_quotes_its_strings_means_the_same(value: dict[str, Any]) -> None:
    assert decode_document(b"---\n" + yaml.safe_dump(value, default_style='"').encode()) == value


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("", None), ("~", None), ("null", None), ("true", True), ("False", False),
        ("7", 7), ("-7", -7), ("+7", 7), ("0", 0), ("0.5", 0.5), (".5", 0.5), ("1e3", 1000.0),
        ("yes", "yes"), ("off", "off"), ("010", "010"), ("0x10", "0x10"), ("1_000", "1_000"),
        ("1:30:00", "1:30:00"), ("2026-11-22", "2026-11-22"), (".inf", ".inf"), (".nan", ".nan"),
        ("'7'", "7"), ('"true"', "true"), ("|\n  7", "7"), ("=", "="),
    ],
)  # fmt: skip
def test_a_yaml_scalar_is_of_one_of_jsons_types(written: str, value: object) -> None:
    read = decode_document(f"a: {written}".encode())["a"]
    assert (read, type(read)) == (value, type(value))


def test_an_alias_counts_as_what_it_stands_for() -> None:
    assert decode_document(b"a: &x [1, 2]\nb: *x") == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: !secret b", "tags are not read (line 1)"),
        ("a: !!python/object:os.system b", "tags are not read (line 1)"),
        ("a: 1\n<<: {b: 1}", "merge keys are not read (line 2)"),
        ("a: &a [*a]", "an alias has no anchor before it (line 1)"),
        ("? [a]\n: b", "a key is no string (line 1)"),
        ("a: 1\n---\nb: 1", "a second document starts (line 2)"),
    ],
)
def test_what_is_no_json_in_yaml_is_refused(text: str, said: str) -> None:
    assert problems(text) == (f"the file cannot be used: {said}",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3", ["a: is given twice, in line 1 and in line 3"]),
        ("s:\n  k: 1\n  k: 2", ["s.k: is given twice, in line 2 and in line 3"]),
        ('{"a": 1,\n\n"a": 2}', ["a: is given twice, in line 1 and in line 3"]),
        ('{"s": [{"k": {}, "k": 1}]}', ["s.k: is given twice, in line 1 and in line 1"]),
        (
            '{"s": {"k": "\\"k\\": {", "k"\n : 1},\n"s": 1}',
            [
                "s.k: is given twice, in line 1 and in line 1",
                "s: is given twice, in line 1 and in line 3",
            ],
        ),
        (
            "a: 1\na: 2\na: 3",
            [
                "a: is given twice, in line 1 and in line 2",
                "a: is given twice, in line 2 and in line 3",
            ],
        ),
    ],
)
def test_a_key_that_is_given_twice_names_both_lines(text: str, expected: list[str]) -> None:
    assert list(problems(text)) == [f"{each}; keep one of them" for each in expected]


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE_BOMB = "a: &a {x: 1}\n" + "".join(
    f"{new}: &{new} {{<<: [{', '.join([f'*{old}'] * 9)}]}}\n"
    for old, new in zip("abcdefghijklm", "bcdefghijklmn", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(BOMB, id="aliases of aliases"),
        pytest.param(MERGE_BOMB, id="merge keys of merge keys"),
        pytest.param(
            "{" + ",".join(f'"k{i}":0' for i in range(80_000)) + "}", id="many keys, JSON"
        ),
        pytest.param("\n".join(f"k{i}: 0" for i in range(8_000)), id="many keys, YAML"),
        pytest.param("[" + "0," * 500_000 + "0]", id="many numbers"),
        pytest.param("[" * 1_000_000, id="deep JSON"),
        pytest.param("a: " + "[" * (MAX_YAML_BYTES - 4), id="deep YAML"),
        pytest.param("a: " + "{b: " * 10_000, id="deep objects, YAML"),
        pytest.param("- " * 30_000, id="deep lists, YAML"),
        pytest.param("? " * 30_000, id="deep keys, YAML"),
        pytest.param("a" * (MAX_YAML_BYTES + 1), id="large YAML"),
        pytest.param("{" + " " * MAX_BYTES + "}", id="large JSON"),
        pytest.param('{"a":0,' * 30_000, id="unbalanced"),
        pytest.param('{"a":"' + '\\"' * 400_000, id="an endless string"),
    ],
)
def test_what_is_too_much_is_refused_within_a_second(text: str) -> None:
    start = time.process_time()
    found = problems(text)
    assert time.process_time() - start < 1
    assert len(found) == 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"a":' + "9" * 900_000 + "}", id="digits, JSON"),
        pytest.param('{"a":0.' + "9" * 900_000 + "}", id="decimals, JSON"),
        pytest.param("a: " + "9" * 60_000, id="digits, YAML"),
        pytest.param("a: " + "59:" * 20_000 + "59", id="sexagesimal"),
        pytest.param('{"a":"' + "\\n" * 400_000 + '"}', id="escapes"),
        pytest.param("a: " + "x " * 30_000, id="blanks"),
    ],
)
def test_a_long_value_is_read_within_a_second(text: str) -> None:
    start = time.process_time()
    assert decode_document(text.encode()).keys() == {"a"}
    assert time.process_time() - start < 1


def test_the_limits_themselves_are_accepted() -> None:
    assert decode_document(("[" * MAX_DEPTH + "]" * MAX_DEPTH).encode())
    assert problems("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))
    assert len(decode_document(str([0] * MAX_VALUES).encode())) == MAX_VALUES
    assert problems(str([0] * (MAX_VALUES + 1)))


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("headroom", "headroom"),
        ("secret_key", "secret_key"),
        ("secret_key:hunter", "secret_key…"),
        ("password=hunter", "password…"),
        ("tokenhunter", "token…"),
        ("AKIA5ECRET", "(a key that is not shown)"),
        ("a b", "(a key that is not shown)"),
        ("x" * 41, "(a key that is not shown)"),
        ("\x1b[31m", "(a key that is not shown)"),
        ("", "(a key that is not shown)"),
    ],
)
def test_a_key_is_shown_only_if_it_is_no_secret(key: str, shown: str) -> None:
    assert show_key(key) == shown
