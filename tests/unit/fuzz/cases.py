# SPDX-License-Identifier: Apache-2.0
"""What all fuzz tests share: hostile values, changed documents, and what no case may do.

`OSCAR_BATCH_FUZZ` is the number of cases of all targets together; without it the tests are quick
and the same in every run.
"""

from __future__ import annotations

import copy
import gc
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

TARGETS = 4
CASES = int(os.environ.get("OSCAR_BATCH_FUZZ", "2000"))
MOST_SECONDS = 1.0

SECRET_KEY = "canary5ecretKey"
PASSWORD = "canary:pass w0rd/"
TOKEN = "canaryT0ken.abc"
SERVICE_TOKEN = "canaryServiceT0ken"
CANARIES = (SECRET_KEY, PASSWORD, TOKEN, SERVICE_TOKEN)

FUZZ = settings(
    max_examples=max(1, CASES // TARGETS),
    deadline=None,
    derandomize="OSCAR_BATCH_FUZZ" not in os.environ,
    database=None,
    # Not `explain`, which traces every line: a case that failed for another reason becomes slow.
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)

ODD_TEXTS = [
    *("", " ", "\x1b[31m\x9b2J\u202e\u2066", "\ud800", "\x00", "a\r\nX-Y: z", "ü日\U0001f600"),
    *(
        "x" * 3000,
        "9" * 5000,
        "1e400",
        "-1",
        "1.5",
        "0x10",
        "NaN",
        "1:2:3",
        "true",
        "null",
        "9" * 400,
    ),
    *("../../etc/passwd", "a/b", "%s%n{}{{", "\\", "<a&b>", "http://[::1", "https://u:p@h", "::"),
    *("2026-13-45T99:99:99Z", "*" * 60, "[" * 40, "**/**/*a*b*", "!!python/object:x", "&a", "<<"),
    *CANARIES,
]
ODD_NUMBERS = [0, -1, 1, 7, 2**31, 2**53, 2**63, 2**64, 10**30, -(10**30), 0.5, -0.0, 1e308, 1e-308]
ODD_NUMBERS += [10**400, float("inf"), float("-inf"), float("nan")]
ODD = st.sampled_from([None, True, False, *ODD_NUMBERS, *ODD_TEXTS]) | st.text(max_size=8)
VALUES: st.SearchStrategy[Any] = st.one_of(
    ODD,
    st.lists(ODD, max_size=3),
    st.dictionaries(st.sampled_from(["path", "name", "key", "a", "max"]), ODD, max_size=3),
    st.just([[[[{}]]]]),
)

CONTROLS = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
NOISE = [b"", b"\x00", b"\xff\xfe", b"<", b"&", b":", b"\n", b'"', b"9" * 30]


@contextmanager
def limited(name: str) -> Iterator[None]:
    """Fails if the block takes too much processor time.

    The garbage is collected afterwards: what 25,000 cases leave in Hypothesis takes over a second.
    """
    gc.disable()
    start = time.process_time()
    try:
        yield
    finally:
        spent = time.process_time() - start
        gc.enable()
    assert spent < MOST_SECONDS, f"{name} took {spent:.1f} s"


def check_texts(
    texts: Iterable[str], *, most: int = 499, canaries: Iterable[str] = CANARIES
) -> None:
    """Fails for a text that shows a secret or a control character, or that is too long."""
    for text in texts:
        assert not CONTROLS.search(text), text
        assert len(text) <= most, text
        lowered = text.lower()
        for canary in canaries:
            assert canary.lower() not in lowered, text


def find_paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a document has values, itself included."""
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    return [path, *(found for key, each in inner for found in find_paths(each, (*path, key)))]


@st.composite
def changed(draw: Callable[..., Any], documents: list[Any], most: int = 4) -> Any:
    """One of the documents with some of its values replaced, removed or put elsewhere."""
    document = copy.deepcopy(draw(st.sampled_from(documents)))
    for _ in range(draw(st.integers(0, most))):
        path = draw(st.sampled_from(find_paths(document)))
        if not path:
            document = copy.deepcopy(draw(VALUES)) if draw(st.integers(0, 9)) == 0 else document
            continue
        parent = document
        for key in path[:-1]:
            parent = parent[key]
        action = draw(st.sampled_from(["replace", "replace", "remove", "rename", "repeat"]))
        if action == "replace":
            parent[path[-1]] = copy.deepcopy(draw(VALUES))
        elif action == "remove":
            del parent[path[-1]]
        elif isinstance(parent, dict):
            name = draw(st.text(max_size=6) | st.sampled_from(ODD_TEXTS))
            value = parent.pop(path[-1]) if action == "rename" else parent[path[-1]]
            parent[name] = copy.deepcopy(value)
        else:
            parent.append(copy.deepcopy(parent[path[-1]]))
    return document


@st.composite
def scratched(draw: Callable[..., Any], content: bytes) -> bytes:
    """The bytes with some of them changed, cut out, repeated or put in."""
    data = bytearray(content)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        size = draw(st.integers(0, 30))
        new = draw(st.sampled_from(NOISE))
        action = draw(st.sampled_from(["cut", "put", "repeat", "end"]))
        if action == "cut":
            del data[at : at + size]
        elif action == "put":
            data[at:at] = new
        elif action == "repeat":
            data[at:at] = data[at : at + size]
        elif draw(st.integers(0, 4)) == 0:
            del data[at:]
    return bytes(data)
