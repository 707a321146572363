# SPDX-License-Identifier: Apache-2.0
"""Foreign text made fit for a message."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from coordinator.model.errors import (
    AlreadyStarted,
    BatchError,
    ClusterError,
    ConfigError,
    Conflict,
    Ending,
    NoStatus,
    StorageError,
    clean_text,
)

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
BIDI = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(ANY_TEXT, st.integers(min_value=1, max_value=300))
def test_trimmed_text_is_never_longer_than_its_limit(text: str, limit: int) -> None:
    assert len(clean_text(text, limit)) <= limit


@given(ANY_TEXT)
def test_trimmed_text_has_no_control_characters(text: str) -> None:
    assert not [c for c in clean_text(text) if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}]


@given(st.text(st.sampled_from(sorted(BIDI | {"a"}))))
def test_trimmed_text_cannot_turn_the_direction_of_reading(text: str) -> None:
    assert BIDI.isdisjoint(clean_text(text))


@given(ANY_TEXT)
def test_trimmed_text_can_be_written_to_a_file(text: str) -> None:
    assert clean_text(text).encode().decode() == clean_text(text)


def test_text_that_needs_no_trimming_is_kept() -> None:
    assert clean_text("jobs.batch “a” — already exists") == "jobs.batch “a” — already exists"


def test_what_was_cut_off_is_marked() -> None:
    assert clean_text("abcdef", 4) == "abc…"


def test_a_config_error_has_all_its_problems() -> None:
    error = ConfigError(["a: is wrong", "b: too"])
    assert (error.problems, str(error)) == (("a: is wrong", "b: too"), "a: is wrong; b: too")


def subclasses(kind: type[BatchError]) -> list[type[BatchError]]:
    return [kind, *(inner for each in kind.__subclasses__() for inner in subclasses(each))]


def test_every_error_says_how_it_ends_a_run() -> None:
    endings = {
        kind: kind.ending for each in BatchError.__subclasses__() for kind in subclasses(each)
    }
    assert endings == {
        ConfigError: Ending.BAD_CONFIG,
        ClusterError: Ending.UNAVAILABLE,
        NoStatus: Ending.UNAVAILABLE,
        StorageError: Ending.UNAVAILABLE,
        AlreadyStarted: Ending.NOTHING_TO_DO,
        Conflict: Ending.UNAVAILABLE,
        **{kind: Ending.UNAVAILABLE for kind in endings if kind.__name__ == "_Refused"},
    }
    assert not hasattr(BatchError, "ending"), "a new error must name its own"


def test_the_exit_codes() -> None:
    assert {str(ending): ending.exit_code for ending in Ending} == {
        "submitted": 0,
        "nothing to do": 0,
        "planned": 0,
        "partly submitted": 1,
        "bad config": 2,
        "unavailable": 3,
        "unproven": 3,
        "internal error": 3,
        "no capacity": 4,
        "interrupted": 130,
    }
