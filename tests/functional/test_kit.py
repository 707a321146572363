# SPDX-License-Identifier: Apache-2.0
"""The worker kit on a real S3 server: forms, inputs, outputs, lanes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sandbox.handle import Sandbox
from tests.functional.kit_setting import KitSetting, killing, make_mark, split
from tests.functional.servers import Server

Make = Callable[..., KitSetting]
COPY = "cp {input} {output_dir}/{name}"


@pytest.fixture
def make(sandbox: Sandbox, name: str, tmp_path: Path) -> Iterator[Make]:
    """A setting with a bucket of its own."""
    server = Server("any", sandbox)
    server.client.make_bucket(name)
    with ExitStack() as stack:

        def create(**options: Any) -> KitSetting:
            return stack.enter_context(killing(KitSetting(server, name, tmp_path, **options)))

        yield create


@pytest.mark.parametrize("mounted", [True, False], ids=["mount", "s3"])
def test_a_command_runs_for_every_item_and_its_outputs_are_stored(
    make: Make, mounted: bool
) -> None:
    setting = make(mounted=mounted)
    keys = ["input/a.txt", "input/sub/b c.txt", "input/sub/deep/ü.txt"]
    for key in keys:
        setting.add_item(key, f"content of {key}", mounted=mounted)
    setting.write_run(split(keys, 1, 2))

    setting.run_kit("--command", COPY)

    assert setting.states() == {1: "done", 2: "done", 3: "done"}
    results = ["results/a.txt", "results/sub/b c.txt", "results/sub/deep/ü.txt"]
    assert setting.list("results/") == results
    assert setting.read("results/sub/b c.txt") == b"content of input/sub/b c.txt"
    stat = setting.server.client.stat_object(setting.bucket, "results/sub/b c.txt")
    assert stat.content_type == "text/plain"
    assert stat.metadata is not None
    assert stat.metadata["x-amz-meta-item"] == make_mark("input/sub/b c.txt")
    (beat,) = setting.beats()
    assert (beat["state"], beat["why"], beat["chunks"], beat["done"]) == (
        "ended",
        "no work left",
        2,
        3,
    )
