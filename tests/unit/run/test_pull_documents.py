# SPDX-License-Identifier: Apache-2.0
"""What coordinator and workers write: read back as the same value, and nothing else is accepted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.model.pull.documents import (
    Beat,
    BeatState,
    ChunkResult,
    Claim,
    End,
    ItemOutcome,
    ItemState,
    Mark,
    Post,
)
from coordinator.report.values import BadDocument
from coordinator.run.pull_documents import Document, decode_document, encode_document
from tests.unit.values import COUNT, SECONDS, TEXT, many

DONE = st.builds(ItemOutcome, COUNT, st.sampled_from(ItemState), SECONDS, st.integers(1, 9)).filter(
    lambda item: item.state is not ItemState.FAILED
)
FAILED = st.builds(
    ItemOutcome,
    COUNT,
    st.just(ItemState.FAILED),
    SECONDS,
    st.integers(1, 9),
    TEXT,
    TEXT,
    TEXT,
    TEXT,
)
ITEMS = many(DONE | FAILED)
MAYBE = st.none() | COUNT
DOCUMENTS = st.one_of(
    st.builds(Claim, TEXT, COUNT, TEXT),
    st.builds(Post, TEXT, COUNT, COUNT, TEXT, TEXT, TEXT, TEXT),
    st.builds(Mark, TEXT, COUNT, MAYBE, ITEMS),
    st.builds(ChunkResult, TEXT, COUNT, COUNT, COUNT, COUNT, TEXT, TEXT, st.booleans(), ITEMS),
    st.builds(End, TEXT, TEXT, st.dictionaries(TEXT, COUNT), TEXT, st.dictionaries(TEXT, TEXT)),
    st.builds(
        Beat,
        process=TEXT,
        state=st.sampled_from(BeatState),
        why=TEXT,
        signal=MAYBE,
        chunk=st.none() | TEXT,
        item=st.none() | TEXT,
        done=COUNT,
        startup_s=st.none() | SECONDS,
        node=TEXT,
    ),
)


@given(DOCUMENTS)
def test_a_document_is_read_back_as_it_was_written(document: Document) -> None:
    assert decode_document(type(document), encode_document(document)) == document


RESULT = json.loads(encode_document(ChunkResult("p", 1, 2, 3, 1, "a", "b")))


def test_unknown_members_are_ignored_and_null_means_none() -> None:
    items = [{"line": 1, "state": "done", "key": None, "more": 1}]
    changed = {**RESULT, "items": items, "sealed": None, "more": {}}
    found = decode_document(ChunkResult, json.dumps(changed).encode())
    assert found == ChunkResult("p", 1, 2, 3, 1, "a", "b", items=(ItemOutcome(1, ItemState.DONE),))


@pytest.mark.parametrize(
    ("document", "said"),
    [
        pytest.param({**RESULT, "schema": "oscar-batch/result/2"}, "result/2", id="a newer schema"),
        pytest.param([], "not a JSON object", id="a list"),
        pytest.param({**RESULT, "lane": "3"}, "lane: must be int", id="a text for a number"),
        pytest.param({**RESULT, "process": None}, "process: is missing", id="null"),
        pytest.param({**RESULT, "items": 1}, "items: must be list", id="no list of items"),
        pytest.param({**RESULT, "items": [1]}, r"items[0]: must be dict", id="no item"),
        pytest.param({**RESULT, "items": [{"line": True}]}, "items[0].line", id="no line"),
        pytest.param(
            {**RESULT, "items": [{"line": 1, "state": "so so"}]}, "'so so' is not known", id="state"
        ),
    ],
)
def test_a_damaged_document_is_refused_with_its_place(document: Any, said: str) -> None:
    with pytest.raises(BadDocument) as caught:
        decode_document(ChunkResult, json.dumps(document).encode())
    assert said in str(caught.value)


def test_what_is_no_json_is_no_document() -> None:
    with pytest.raises(BadDocument, match="not JSON"):
        decode_document(Beat, b'{"schema": "oscar-b')


def test_an_item_that_is_done_takes_few_bytes() -> None:
    """A run of 10^7 items has as many of these."""
    one = ChunkResult("p", 1, 1, 1, 1, "", "", items=(ItemOutcome(1, ItemState.DONE, 0.25),))
    assert len(encode_document(one)) - len(json.dumps(RESULT)) < 70
