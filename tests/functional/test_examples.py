# SPDX-License-Identifier: Apache-2.0
"""Every example runs as its README says: deployed, its data uploaded, a config submitted."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from examples.catalogue import EXAMPLES
from examples.demo import NODES, Demo
from sandbox.handle import Sandbox, run_sandbox
from tests.functional.coordination import content, keys_of

pytestmark = pytest.mark.any_storage

MISSING = {
    "digits": "" if find_spec("sklearn") else "scikit-learn is not installed: make examples",
    "spectrograms": "" if shutil.which("ffmpeg") else "ffmpeg is not installed",
}
Run = Callable[[str, int], Sandbox]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox that has the images of all examples."""
    options = ["--nodes", NODES]
    for example in EXAMPLES.values():
        if not MISSING.get(example.name):
            folder = tmp_path_factory.mktemp("images") / example.name
            options += ["--image", example.fill_image(folder)]
    with run_sandbox(tmp_path_factory.mktemp("examples"), options) as found:
        yield found


@pytest.fixture
def run(box: Sandbox, tmp_path: Path) -> Run:
    """Runs the demo of an example, and holds that every item has its output."""

    def start(name: str, count: int) -> Sandbox:
        if MISSING.get(name):
            pytest.skip(MISSING[name])
        demo = Demo(EXAMPLES[name], box, tmp_path)
        ending = demo.run(count)
        assert ending.good, str(ending)
        assert len(demo.list_outputs()) == count
        return box

    return start


@pytest.mark.parametrize(
    ("name", "count", "confirmed"),
    [
        ("grayify", 12, True),
        ("spectrograms", 4, True),
        ("turbidity", 12, True),
        ("words", 8, False),
    ],
)
def test_every_item_of_an_example_gets_its_output(
    run: Run, tmp_path: Path, name: str, count: int, confirmed: bool
) -> None:
    run(name, count)

    report = json.loads((tmp_path / "report.json").read_text())
    assert report["confirmed"] == confirmed
    assert report["counts"]["done"] == (count if confirmed else 0)


def test_the_checksums_are_those_of_the_files(run: Run, tmp_path: Path) -> None:
    box = run("checksum", 8)

    for item in (tmp_path / "items").rglob("*.txt"):
        key = f"sums/{item.relative_to(tmp_path / 'items').as_posix()}.sha256"
        digest = hashlib.sha256(item.read_bytes()).hexdigest()
        assert content(box, "checksum-out", key).decode().split() == [digest, "-"]


def test_one_process_of_a_slot_classifies_all_its_pictures(run: Run) -> None:
    box = run("digits", 12)

    keys = keys_of(box, "digits-out", "found/")
    found = [json.loads(content(box, "digits-out", key)) for key in keys]
    jobs = box.list_jobs("digits")
    assert len({(each["node"], each["pid"]) for each in found}) <= len(jobs)
    assert len(jobs) < len(found)
