# SPDX-License-Identifier: Apache-2.0
"""Globs: what they match, and that no glob and no key takes long."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coordinator.model.globs import compile_globs


def matches(glob: str, key: str) -> bool:
    return bool(compile_globs([glob])(key.encode(), 0))


@pytest.mark.parametrize(
    ("glob", "matched", "unmatched"),
    [
        ("*.jpg", ["a.jpg", "x/y/a.jpg", ".jpg", "a\nb.jpg"], ["a.JPG", "a.jpg/b", "a.jpeg"]),
        ("/*.jpg", ["a.jpg"], ["x/a.jpg"]),
        ("x/*.jpg", ["x/a.jpg"], ["x/y/a.jpg", "z/x/a.jpg"]),
        ("x/**", ["x/a", "x/y/z"], ["x", "y/x/a", "xx/a"]),
        ("**/x/*", ["x/a", "a/b/x/c"], ["xx/a", "a/x"]),
        ("x/**/y.jpg", ["x/y.jpg", "x/a/b/y.jpg"], ["x/ay.jpg"]),
        ("?.jpg", ["a.jpg", "ü.jpg", "日.jpg", "\U0001f600.jpg"], ["ab.jpg", ".jpg"]),
        ("[a-c0].jpg", ["b.jpg", "0.jpg"], ["d.jpg", "-.jpg"]),
        ("[!a].jpg", ["b.jpg", "ü.jpg"], ["a.jpg"]),
        ("x/a[!b]c", ["x/a-c"], ["x/a/c"]),
        ("a+b (1).j[p]g", ["a+b (1).jpg"], ["aab (1).jpg"]),
        ("[", ["["], ["a"]),
        ("Straße*", ["Straße 1"], ["Strasse 1"]),
        ("**.jpg", ["a.jpg", "x/y/a.jpg"], ["a.jpeg"]),
        ("2024**", ["2024", "2024/a", "2024-1/b", "x/2024/a"], ["a2024", "202"]),
        ("a**b*c/d", ["ab/b1c/d", "abc/d", "a/x/bc/d"], ["ab/c/d", "abc/x/d", "abcd"]),
        ("**/a*/**/b*/c", ["x/a1/b/c", "a/a/b/b/c", "a/y/b/z/b9/c"], ["a/c", "b/a/c", "a/b/c/d"]),
        ("*_*_*_*.jpg", ["a_b_c_d.jpg", "x/___.jpg"], ["a_b_c.jpg", "_/_/_/_.jpg"]),
    ],
)
def test_globs(glob: str, matched: list[str], unmatched: list[str]) -> None:
    found = [key for key in matched + unmatched if matches(glob, key)]
    assert found == matched


@pytest.mark.parametrize("glob", ["", "/", "[z-a]", "[ü]"])
def test_what_is_no_glob_is_refused(glob: str) -> None:
    with pytest.raises(ValueError, match=r"must be a glob|choice|ASCII"):
        compile_globs([glob])


def translate_plainly(glob: str) -> re.Pattern[str]:
    """The expression that says what a glob means, and may take forever."""
    path, text, at = (glob.lstrip("/") if "/" in glob else f"**/{glob}"), "", 0
    plain = {"*": "[^/]*", "?": "[^/]"}
    while at < len(path):
        if path.startswith("**/", at) and (at == 0 or path[at - 1] == "/"):
            text, at = text + "(?:.*/)?", at + 3
        elif path.startswith("**", at):
            text, at = text + ".*", at + 2
        else:
            text, at = text + plain.get(path[at], re.escape(path[at])), at + 1
    return re.compile(text, re.DOTALL)


GLOBS = st.lists(
    st.sampled_from(["a", "b", "ü", "*", "*", "**", "**/", "/", "?"]), min_size=1, max_size=9
)
KEYS = st.text(st.sampled_from("aabbü/é\n"), max_size=14)


@settings(max_examples=600)
@given(GLOBS.map("".join).filter(lambda glob: bool(glob.strip("/"))), st.lists(KEYS, max_size=12))
@example("a**b*c", ["ab/bc", "abc", "ab/c"])
@example("**/*/a/**", ["b/a/", "a/", "b/b/a/a"])
@example("a*/**/b**a", ["a/ba", "aa/x/bb/a"])
def test_a_glob_matches_what_it_says(glob: str, keys: list[str]) -> None:
    expected = [bool(translate_plainly(glob).fullmatch(key)) for key in keys]
    assert [matches(glob, key) for key in keys] == expected


@given(st.lists(GLOBS.map("".join), min_size=1, max_size=4), KEYS)
def test_several_globs_match_what_one_of_them_does(globs: list[str], key: str) -> None:
    globs = [glob for glob in globs if glob.strip("/")] or ["a"]
    expected = any(matches(glob, key) for glob in globs)
    assert bool(compile_globs(globs)(b"in/" + key.encode(), 3)) == expected


@pytest.mark.parametrize(
    "glob",
    [
        "*_*_*_*.jpg", "*a" * 40 + "b", "**/a" * 40 + "/b", "**a" * 40 + "b",
        "**/*a*a*/" * 12 + "b",
        "a**" + "*a" * 40 + "b", "**a*b" * 20, "?*" * 60 + "b", "[!b]*" * 60 + "c",
        "*/" * 30 + "*b",
    ],
)  # fmt: skip
@pytest.mark.parametrize("key", ["_", "a", "/", "a/", "ü", "_a/"])
def test_no_glob_takes_long_on_a_hostile_key(glob: str, key: str) -> None:
    match = compile_globs([glob])
    whole = (key * 1024)[:1024].encode()[:1024]
    start = time.process_time()
    match(whole, 0)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("glob", ["*a*a*a*b", "**/a*/**/a*/b", "a**a*a*b", "**a**a**b"])
def test_time_grows_with_the_length_of_the_key_and_no_faster(glob: str) -> None:
    match = compile_globs([glob])

    def measure(length: int) -> float:
        key, start = b"a" * length, time.process_time()
        match(key, 0)
        return time.process_time() - start

    short, long = (min(measure(length) for _ in range(5)) for length in (4_000, 64_000))
    # 16 times the length: 256 times the time if it were quadratic.
    assert long < 60 * max(short, 1e-5)
