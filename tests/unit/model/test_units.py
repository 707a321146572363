# SPDX-License-Identifier: Apache-2.0
"""Kubernetes quantities: the forms of its documentation, and what it rejects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.model.units import (
    format_bytes,
    format_duration,
    parse_bytes,
    parse_millicores,
    parse_quantity,
)

MIB, GIB = 1024**2, 1024**3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500m", 500),
        ("0.5", 500),
        ("1", 1000),
        ("1.", 1000),
        (".25", 250),
        ("+2", 2000),
        ("100m", 100),
        ("0.1", 100),
        ("1e3", 1_000_000),
        ("2k", 2_000_000),
        ("0", 0),
        ("0.0005", 1),
        ("1500u", 2),
        ("1n", 1),
    ],
)
def test_cpu_is_read_as_whole_millicores(text: str, expected: int) -> None:
    assert parse_millicores(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3500Mi", 3500 * MIB),
        ("3Gi", 3 * GIB),
        ("1.5Gi", 1536 * MIB),
        ("1G", 10**9),
        ("1e9", 10**9),
        ("1E3", 1000),
        ("12e6", 12_000_000),
        ("128974848", 128_974_848),
        ("129e6", 129_000_000),
        ("129M", 129_000_000),
        ("128974848000m", 128_974_848),
        ("123Mi", 123 * MIB),
        ("100m", 1),
        ("128Ki", 131_072),
        ("1k", 1000),
        ("1Ti", 1024**4),
        ("1P", 10**15),
        ("1Ei", 1024**6),
        ("12E", 12 * 10**18),
        ("1e-3", 1),
    ],
)
def test_memory_is_read_as_whole_bytes(text: str, expected: int) -> None:
    assert parse_bytes(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1 Gi",
        " 1",
        "1\n",
        "Gi",
        "m",
        ".",
        "1e3m",
        "1e3Mi",
        "1GiB",
        "1gi",
        "1K",
        "1GB",
        "1,5",
        "0x10",
        "1_000",
        "٣Gi",
        "inf",
        "nan",
        "--1",
        "1e",
        "1e1.5",
        "1e99",
    ],
)
def test_what_kubernetes_rejects_is_rejected_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"Kubernetes quantit") as caught:
        parse_quantity(text)
    assert repr(text) in str(caught.value)


@given(st.integers(min_value=0, max_value=10**15))
def test_fractions_are_rounded_up_never_down(milli: int) -> None:
    assert parse_bytes(f"{milli}m") == -(-milli // 1000)


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        # From the documentation of resource.Quantity in apimachinery.
        pytest.param("1.5", "1500m", id="1.5 is serialized as 1500m"),
        pytest.param("1.5Gi", "1536Mi", id="1.5Gi is serialized as 1536Mi"),
        # Of its table of canonical forms.
        ("1e3", "1e3"),
        ("1E", "1E"),
        ("1000m", "1"),
        ("1024Ki", "1Mi"),
        ("0.1Gi", "107374182400m"),
        ("100000k", "100M"),
        ("1000e3", "1e6"),
        ("0.0001k", "100m"),
        ("1024Mi", "1Gi"),
        ("2000000n", "2m"),
        ("4000u", "4m"),
    ],
)
def test_a_quantity_and_its_canonical_form_are_the_same(typed: str, canonical: str) -> None:
    assert parse_quantity(typed) == parse_quantity(canonical)


@given(
    st.integers(min_value=-(10**6), max_value=10**6),
    st.sampled_from(["", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi"]),
)
def test_a_whole_quantity_comes_back_from_its_value(number: int, suffix: str) -> None:
    value = parse_bytes(f"{number}{suffix}")
    assert parse_bytes(str(value)) == value
    assert parse_bytes(f"{value * 1000}m") == value
    base = 1024 if suffix.endswith("i") else 1000
    assert value == number * base ** (" kMGTP".lower().index(suffix[0].lower()) if suffix else 0)


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 bytes"),
        (1, "1 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KiB"),
        (1_048_575, "1 MiB"),
        (3_565_158, "3.4 MiB"),
        (300 * 2**20, "300 MiB"),
        (1288490189, "1.2 GiB"),
        (64 * 2**30, "64 GiB"),
        (-(2**30), "-1 GiB"),
        (2**40, "1 TiB"),
        (2**60, "1048576 TiB"),
    ],
)
def test_bytes_for_people(size_bytes: int, text: str) -> None:
    assert format_bytes(size_bytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.023, "23 ms"), (4.21, "4.2 s"), (200.4, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
