# SPDX-License-Identifier: Apache-2.0
"""`oscar-batch kit`: the script of a service, in every form."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from coordinator import __version__
from coordinator.cli.main import main
from coordinator.cli.verbs.kit import find_worker
from worker import oscar_batch_worker

COMMAND = "prog --name '{name}' {input}"


def test_the_script_is_whole_and_marked(tmp_path: Path) -> None:
    target = tmp_path / "script.sh"
    assert main(["kit", "--command", COMMAND, "--jobs", "3", "-o", str(target)]) == 0
    script = target.read_text()
    lines = script.splitlines()
    assert lines[:2] == ["#!/bin/sh", "# oscar-batch worker 1"]
    assert find_worker().read_text() in script
    # The trap of OSCAR 4: a job with a mount fails without this folder.
    assert "mkdir -p /tmpfolder" in script
    assert "--command 'prog --name '\"'\"'{name}'\"'\"' {input}' --jobs 3 &" in script
    for shell in (["sh", "-n"], ["bash", "--posix", "-n"]):
        subprocess.run([*shell, str(target)], check=True)


def test_a_script_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kit", "--stdin", "python3 model.py"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("#!/bin/sh\n# oscar-batch worker 1\n")
    assert "--stdin 'python3 model.py' &" in said.out
    assert said.err == ""


@pytest.mark.parametrize(
    ("module", "call"),
    [("my.module", '"$python" -u -m my.module &'), ("/opt/a b.py", "'/opt/a b.py' &")],
)
def test_a_module_finds_the_worker(
    module: str, call: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kit", "--module", module]) == 0
    said = capsys.readouterr().out
    assert 'PYTHONPATH="$OSCAR_BATCH_HOME${PYTHONPATH:+:$PYTHONPATH}" ' in said
    assert call in said


def test_buckets_are_named_for_the_definition(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kit", "--command", "true", "--bucket", "a", "--bucket", "b"]) == 0
    said = capsys.readouterr()
    assert "OSCAR_BATCH_DATA: a,b" in said.err
    assert "OSCAR_BATCH_DATA" not in said.out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--command", " "], "--command: names no program"),
        (["--module", "m", "--jobs", "2"], "--jobs"),
        (["--command", "true", "--jobs", "0"], "--jobs"),
    ],
)
def test_what_cannot_work_is_refused(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kit", *arguments]) == 2
    assert problem in capsys.readouterr().err


def test_the_worker_has_the_version_of_the_package() -> None:
    assert __version__ == oscar_batch_worker.VERSION
