# SPDX-License-Identifier: Apache-2.0
"""A data folder without objects: which folders are named instead."""

from __future__ import annotations

import pytest

from coordinator.drive.planning.indexing import refuse_empty_folder
from coordinator.model.errors import ConfigError
from coordinator.model.items import Index
from coordinator.model.selection import Selection
from coordinator.model.service import Folder
from tests.unit.fakes import FakeBucket


@pytest.mark.parametrize(
    ("prefix", "keys", "said"),
    [
        ("inptu/", ["input/a", "output/a"], "did you mean input/?"),
        ("Input/", ["input/a", "other/a"], "did you mean input/?"),
        ("2024/inptu/", ["2024/input/a", "input/a"], "did you mean 2024/input/?"),
        ("2042/input/", ["2024/input/a"], "did you mean 2024/?"),
        ("2024/input/", ["2024/a.jpg"], "did you mean 2024/?"),
        ("input/", ["input/", "inputs/a"], "did you mean inputs/?"),
        ("zzz/", ["a/1", "b/1"], "there are a/, b/"),
        ("zzz/", [f"{n}/1" for n in range(8)], "there are 0/, 1/, 2/, 3/, 4/ and 3 more"),
        ("zzz/", ["file"], "the bucket has no other folders"),
        ("", [], "put the files into the bucket first"),
    ],
)
def test_the_nearest_folders_that_exist_are_named(prefix: str, keys: list[str], said: str) -> None:
    data = FakeBucket("data", dict.fromkeys(keys, b"x"))
    with pytest.raises(ConfigError) as refused:
        refuse_empty_folder(data, Folder("data", prefix), Selection(), Index(0, 0))
    assert str(refused.value) == f"bucket.folder_prefix: data/{prefix} holds no objects; {said}"
