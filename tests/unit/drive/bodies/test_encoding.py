# SPDX-License-Identifier: Apache-2.0
"""The form of a body: JSON reads the same values, and no shell finds anything to change."""

from __future__ import annotations

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.drive.bodies.encoding import encode_body

TEXT = st.text(max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(VALUES)
def test_json_reads_the_same_values(value: object) -> None:
    assert json.loads(encode_body(value)) == value


@given(VALUES)
def test_a_body_is_one_word_of_safe_characters(value: object) -> None:
    plain = re.sub(r"\\u[0-9a-f]{4}", "", encode_body(value).decode("ascii"))
    assert re.fullmatch(r"[A-Za-z0-9_.:/@+,=%{}\[\]\"-]+", plain)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_number_for_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode_body({"x": number})
