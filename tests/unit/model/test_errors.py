# SPDX-License-Identifier: Apache-2.0
"""Foreign text made fit for a message."""

from __future__ import annotations

import unicodedata
from base64 import b64encode
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.model.errors import (
    MAX_MESSAGE,
    MAX_PROBLEMS,
    AlreadyEnded,
    BatchError,
    ClusterError,
    ConfigError,
    Conflict,
    Ending,
    HeldByOther,
    LimitReached,
    NoStatus,
    NoToken,
    StopRequested,
    StorageError,
    clean_foreign,
    clean_text,
    hide_in_value,
    hide_secrets,
)
from coordinator.model.pull.findings import Worker

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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\x9bb", "a\\x9bb"),
        ("a\u202eb\u200f", "a\\u202eb\\u200f"),
        ("a\U000e0041b", "a\\U000e0041b"),
        (" a\r\n\tb ", "a b"),
    ],
)
def test_what_a_terminal_would_act_on_is_escaped(text: str, shown: str) -> None:
    assert clean_text(text) == shown


@pytest.mark.parametrize(
    "said",
    [
        "Authorization: Bearer {}",
        '{{"headers": {{"Authorization": "Basic {}"}}}}',
        "Location: https://user:{}@oscar.example.org/",
        "https://{}@oscar.example.org",
        "secret_key={}&x=1",
        "<SecretAccessKey>{}</SecretAccessKey>",
        "<AWSAccessKeyId>{}</AWSAccessKeyId>",
        '"password": "{}"',
        "X-Amz-Signature={}",
        "bearer {} is expired",
    ],
)
def test_what_looks_like_a_credential_is_not_repeated(said: str) -> None:
    assert "aGVsbG8td29ybGQ" not in clean_foreign(said.format("aGVsbG8td29ybGQ"))


def test_what_stands_behind_the_name_of_a_credential_is_hidden_everywhere_else() -> None:
    said = clean_foreign('{"abc0123456789": 1, "token": "abc0123456789", "cpu": "1"}')
    assert "abc0123456789" not in said
    assert "cpu" in said


def test_what_only_names_a_credential_is_kept() -> None:
    said = '403 secrets "minio" already exists; basic auth is off'
    assert clean_foreign(said) == said


@pytest.mark.parametrize("spelling", ["p/w d", "p%2Fw%20d", "cC93IGQ=", "P/W D"])
def test_a_known_secret_is_hidden_in_every_spelling(spelling: str) -> None:
    assert clean_foreign(f"it said {spelling}.", ["p/w d", "P/W D", "ab"]) == "it said …."


@pytest.mark.parametrize(
    "spelling",
    [
        *('a"b  &c/d', 'a"b &c/d', 'a\\"b  &c/d', "a&quot;b  &amp;c/d"),
        *('a"b  &amp;c/d', "a%22b%20%20%26c%2Fd", "a%22b%20%20%26c/d", "a%22b++%26c%2Fd"),
        *(b64encode(b'a"b  &c/d').decode(), b64encode(b'a"b  &c/d').decode().rstrip("=")),
    ],
)
def test_a_secret_is_hidden_as_json_xml_urls_and_headers_spell_it(spelling: str) -> None:
    assert hide_secrets(f"it said {spelling}.", ['a"b  &c/d']) == "it said …."


def test_a_secret_with_blanks_around_it_hides_no_short_word() -> None:
    assert hide_secrets("ab and   ab  .", ["  ab  "]) == "ab and …."


def test_no_text_of_a_value_shows_a_secret() -> None:
    """Members of dataclasses, lists and objects; names of members and enums are our own."""
    worker = Worker("0001-00001", 1, "job", "invoked", node="the-canary", detail="canary")
    found = hide_in_value({"the-canary": [worker, "-the-canary-", 7]}, ["the-canary", "canary"])
    assert found == {"the-canary": [replace(worker, node="…"), "-…-", 7]}  # six letters: a word
    assert hide_in_value((Ending.INTERRUPTED,), ["interrupted"]) == (Ending.INTERRUPTED,)
    assert hide_in_value(worker, ["another-one"]) is worker


def test_a_message_is_short_and_escaped_whatever_it_quotes() -> None:
    error = StorageError("x" * 1000)
    assert (len(str(error)), str(error)[-1]) == (MAX_MESSAGE, "…")
    assert str(ClusterError("a\x1bb")) == "a\\x1bb"


def test_a_config_error_has_a_limited_number_of_problems() -> None:
    error = ConfigError([f"k{i}: is wrong\x1b" for i in range(50)])
    assert error.problems[:2] == ("k0: is wrong\\x1b", "k1: is wrong\\x1b")
    assert error.problems[-1] == f"and {50 - MAX_PROBLEMS} more problems"
    assert len(str(error)) <= MAX_MESSAGE


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
    expected: dict[type[BatchError], Ending] = {
        ConfigError: Ending.BAD_CONFIG,
        ClusterError: Ending.UNAVAILABLE,
        NoStatus: Ending.UNAVAILABLE,
        NoToken: Ending.UNAVAILABLE,
        StorageError: Ending.UNAVAILABLE,
        AlreadyEnded: Ending.NOTHING_TO_DO,
        HeldByOther: Ending.HELD,
        StopRequested: Ending.STOPPED,
        LimitReached: Ending.STOPPED,
        Conflict: Ending.UNAVAILABLE,
        **{
            kind: Ending.UNAVAILABLE
            for kind in endings
            if kind.__name__ in {"Refused", "OutputError"}
        },
    }
    assert endings == expected
    assert not hasattr(BatchError, "ending"), "a new error must name its own"


def test_the_exit_codes() -> None:
    assert {str(ending): ending.exit_code for ending in Ending} == {
        "running": 0,
        "submitted": 0,
        "nothing to do": 0,
        "planned": 0,
        "partly submitted": 1,
        "done": 0,
        "partly done": 1,
        "done, failures tolerated": 0,
        "stopped": 1,
        "held by another coordinator": 5,
        "bad config": 2,
        "unavailable": 3,
        "unproven": 3,
        "internal error": 3,
        "no capacity": 4,
        "interrupted": 130,
    }
