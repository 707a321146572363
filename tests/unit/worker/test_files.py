# SPDX-License-Identifier: Apache-2.0
"""What becomes of an item whose input or output the storage does not take."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.worker.test_s3 import Scripted, answer
from worker.oscar_batch_worker import (
    S3,
    Definition,
    Files,
    Folders,
    Item,
    OutputPath,
    StorageError,
    read_invocation,
)

BODY = """{"schema": "oscar-batch/worker/1", "run": "r", "worker": "0001-00001", "round": 1,
"lane": 1,
"state": "b/run/", "data": "b/in/", "index": "b/i", "table": {"header_bytes": 1, "row_bytes": 1},
"proof": {"strip": ".jpg", "suffix": ".json"}}"""


def make(s3: S3, root: Path) -> tuple[Files, Item]:
    output = OutputPath("minio.default", "b", "out/", (), ())
    definition = Definition({}, (output,), "")
    files = Files({"minio.default": s3}, definition, read_invocation(BODY), str(root))
    item = Item(1, "in/sub/a.jpg", str(root / "1"))
    files.folders.take(item.output_dir)
    return files, item


@pytest.mark.parametrize("status", [403, 404, 500])
def test_an_answer_that_refuses_fails_the_item(status: int, tmp_path: Path) -> None:
    files, item = make(Scripted(answer(status), patience_s=3), tmp_path)
    files.fetch(item)
    assert item.problem is not None
    kind = "missing" if status == 404 else "input"
    assert (item.problem.kind, str(status) in item.problem.reason) == (kind, True)
    (tmp_path / "1.out" / "x").touch()
    failure = files.store(item)
    assert failure is not None
    assert failure.kind == "upload"


def test_a_storage_that_is_away_fails_no_item(tmp_path: Path) -> None:
    files, item = make(Scripted(ConnectionRefusedError(), patience_s=3), tmp_path)
    with pytest.raises(StorageError, match="away for too long"):
        files.fetch(item)
    (tmp_path / "1.out" / "x").touch()
    with pytest.raises(StorageError, match="away for too long"):
        files.store(item)


def test_what_proves_an_item_is_stored_last(tmp_path: Path) -> None:
    s3 = Scripted(answer(200))
    files, item = make(s3, tmp_path)
    for name in ("a.json", "b.json", "0", "z"):
        (tmp_path / "1.out" / name).touch()
    assert files.store(item) is None
    stored = [each.removeprefix("PUT b/out/sub/") for each in s3.sent if each.startswith("PUT")]
    assert stored == ["0", "b.json", "z", "a.json"]


def test_an_empty_folder_is_used_again_and_a_full_one_is_not(tmp_path: Path) -> None:
    folders, first, second = Folders(), tmp_path / "1", tmp_path / "2"
    folders.take(str(first))
    inode = first.stat().st_ino
    first.chmod(0)
    folders.drop(str(first))
    folders.take(str(second))
    assert (first.exists(), second.stat().st_ino, second.stat().st_mode & 0o777) == (
        False,
        inode,
        0o700,
    )
    (second / "left").touch()
    folders.drop(str(second))
    assert not second.exists()
    second.symlink_to(tmp_path)
    folders.drop(str(second))
    assert not second.is_symlink()
    assert tmp_path.exists()
