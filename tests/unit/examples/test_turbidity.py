# SPDX-License-Identifier: Apache-2.0
"""The example of a program that reads a range of an index: its lines, and the names in a mount."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from examples.turbidity import turbidity
from examples.turbidity.turbidity import MARK, name_in_mount

KEYS = ["a/one.jpg", "a/two.JPG", "tab\there.jpg", "four.jpg"]


def test_a_range_gives_an_output_for_each_of_its_lines(tmp_path: Path) -> None:
    for key in KEYS:
        photo = tmp_path / "in" / name_in_mount(key)
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), 128).save(photo, "JPEG")
    (tmp_path / "in" / "four.jpg").write_bytes(b"no photograph")
    index = tmp_path / "index.txt"
    index.write_text("".join(f"{key}\n" for key in KEYS))

    command = [sys.executable, turbidity.__file__, "-i", str(index), "-d", str(tmp_path / "in")]
    command += ["--start", "2", "--end", "4", "-o", str(tmp_path / "out")]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)

    outputs = {
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.json")
    }
    assert outputs == {"a/two.JPG.json", "tab\there.jpg.json"}
    found = json.loads((tmp_path / "out" / "a" / "two.JPG.json").read_text())
    assert found == {"brightness": 128.0, "contrast": 0.0}
    assert ended.stdout.startswith("four.jpg: UnidentifiedImageError: ")


KEY = st.text(st.sampled_from("a/\t\x7f\u2409\u2421 "), max_size=6)


@given(KEY, KEY)
def test_no_two_keys_have_the_same_name_in_the_mount(one: str, other: str) -> None:
    assume(one != other)
    assert name_in_mount(one) != name_in_mount(other)


def test_a_key_that_the_mount_cannot_open_is_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="cannot open"):
        name_in_mount(f"a{MARK}b")
