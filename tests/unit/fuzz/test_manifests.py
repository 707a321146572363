# SPDX-License-Identifier: Apache-2.0
"""Manifests of every form, whole and spoilt: an index or one problem that names the line."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from coordinator.index.builder import IndexBuilder
from coordinator.index.manifest import read_inventory, read_objects
from coordinator.index.selection import ItemFilter
from coordinator.model.errors import BatchError
from coordinator.model.planning import ChunkRules
from coordinator.model.selection import Manifest, Rules
from tests.unit.fuzz.cases import FUZZ, ODD_TEXTS, changed, check_texts, limited, scratched

ROW = {"key": "in/a.jpg", "size": 10, "modified": "2026-11-22T10:15:00Z"}
INVENTORY = {
    "fileFormat": "CSV",
    "fileSchema": "Bucket, Key, Size, LastModifiedDate",
    "files": [{"key": "inventory/1.csv.gz", "size": 7}, {"key": "inventory/2.csv.gz"}],
}
RULES = [
    Rules(),
    Rules("in/", include=("*.jpg",), min_size=5),
    Rules(modified_after=datetime(2026, 1, 1, tzinfo=UTC)),
]
FORMS = ["x.txt", "x.jsonl", "x.csv", "x.csv.gz", "inventory"]


def write_csv(rows: list[Any], *, header: bool) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    if header:
        writer.writerow(["key", "size", "modified"])
    for row in rows:
        writer.writerow(row.values() if isinstance(row, dict) else [row])
    return text.getvalue().encode(errors="surrogatepass")


@st.composite
def manifests(draw: Callable[..., Any]) -> tuple[str, bytes]:
    form = draw(st.sampled_from(FORMS))
    rows = draw(changed([[ROW, ROW], [ROW]]))
    rows = rows if isinstance(rows, list) else [rows]
    if form == "x.jsonl":
        content = "\n".join(json.dumps(row) for row in rows).encode()
    elif form == "x.txt":
        content = "\n".join(
            [str(row) for row in rows] + draw(st.lists(st.sampled_from(ODD_TEXTS)))
        ).encode(errors="surrogatepass")
    else:
        content = write_csv(rows, header=form != "inventory")
    content = gzip.compress(content, mtime=0) if draw(st.integers(0, 3)) == 0 else content
    return form, draw(scratched(content)) if draw(st.booleans()) else content


@FUZZ
@given(manifests(), changed([INVENTORY]), st.sampled_from(RULES), st.integers(1, 50), st.booleans())
def test_a_manifest_is_read_or_refused(
    manifest: tuple[str, bytes], inventory: Any, rules: Rules, piece: int, fixed: bool
) -> None:
    form, content = manifest
    pieces = [content[i : i + piece] for i in range(0, len(content), piece)]
    builder = IndexBuilder(ChunkRules(chunk_items=2, chunk_bytes=7) if fixed else None)
    with limited("the manifest"):
        try:
            files = [Manifest(form)]
            if form == "inventory":
                files = read_inventory([json.dumps(inventory).encode()])
            for file in files:
                for line in builder.build_lines(
                    ItemFilter(rules).select(read_objects(file, pieces))
                ):
                    line.decode()
        except BatchError as error:
            check_texts([*error.problems, str(error)])
            return
        builder.index()
