# SPDX-License-Identifier: Apache-2.0
"""Lines come whole from pieces of any size, and go back into a text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coordinator.run.lines import join_lines, split_lines


@given(st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b""))), st.data())
def test_lines_come_whole_from_pieces(lines: list[bytes], data: st.DataObject) -> None:
    text = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert list(split_lines(pieces)) == lines
    assert b"".join(join_lines(iter(lines))) == text
