# SPDX-License-Identifier: Apache-2.0
"""The mode of a run: the table of `drive.entering.modes`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coordinator.drive.entering.modes import choose_mode
from coordinator.model.service import Folder, Mode
from tests.unit import make

DATA = Folder("data", "input/")
BUCKET, INNER, OTHER = Folder("data", ""), Folder("data", "else/"), Folder("other", "input/")
INPUT = Folder("uploads", "in/")
NONE = None


@pytest.mark.parametrize(
    ("asked", "kit", "mount", "has_input", "mode"),
    [
        ("auto", True, NONE, False, "pull"),
        ("auto", True, BUCKET, True, "pull"),
        ("pull", True, NONE, False, "pull"),
        ("pull", True, BUCKET, True, "pull"),
        ("pull", False, BUCKET, False, NONE),
        ("pull", False, NONE, True, NONE),
        ("auto", False, BUCKET, False, "range"),
        ("auto", False, INNER, False, "range"),
        ("auto", False, BUCKET, True, NONE),
        ("auto", False, NONE, True, "event"),
        ("auto", False, OTHER, True, "event"),
        ("auto", False, NONE, False, NONE),
        ("event", False, NONE, False, "event"),
        ("event", False, BUCKET, True, "event"),
        ("event", True, NONE, True, "event"),
        ("auto", False, OTHER, False, NONE),
        ("range", True, NONE, True, "range"),
        ("range", False, BUCKET, True, "range"),
        ("range", False, NONE, True, NONE),
        ("range", False, NONE, False, NONE),
        ("range", False, OTHER, False, NONE),
    ],
)
def test_the_definition_and_the_config_decide_the_mode(
    asked: str, kit: bool, mount: Folder | None, has_input: bool, mode: str | None
) -> None:
    service = make.service(mount=mount, inputs=(INPUT,) if has_input else ())
    choice = choose_mode(Mode(asked), replace(service, has_kit=kit), DATA)
    assert choice.mode == mode
    assert "target" in choice.reason


def test_a_refusal_names_the_key_to_change_and_what_to_do() -> None:
    unsuited = choose_mode(Mode.AUTO, make.service(), DATA).reason
    assert unsuited.startswith("service.name: target neither mounts bucket data nor has")
    assert "give the service a mount of data" in unsuited
    both = choose_mode(Mode.AUTO, make.service(mount=BUCKET, inputs=(INPUT,)), DATA).reason
    assert both.startswith("service.mode: ")
    assert "set service.mode: range" in both
    assert both.endswith("set service.mode: event")
