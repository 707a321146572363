# SPDX-License-Identifier: Apache-2.0
"""The scripts of `completion`, asked by the shells themselves where these are installed."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from coordinator.cli.arguments import make_parser
from coordinator.cli.main import main
from coordinator.cli.setup_arguments import DOCUMENTS, SHELLS
from coordinator.cli.verbs.setup.completion import read_verbs

VERBS = {verb.name for verb in read_verbs(make_parser())}
ASKED = [
    pytest.param("oscar-batch val", {"validate"}, id="a verb"),
    pytest.param("oscar-batch ", VERBS, id="all verbs"),
    pytest.param("oscar-batch schema ", set(DOCUMENTS), id="a choice"),
    pytest.param("oscar-batch kit --std", {"--stdin"}, id="an option"),
    pytest.param("oscar-batch run conf", {"config one.json"}, id="a file"),
    pytest.param("oscar-batch kit -o conf", {"config one.json"}, id="the file of an option"),
]
BASH = """
source "$1"
words=$2
read -ra COMP_WORDS <<<"$words"
case "$words" in *' ') COMP_WORDS+=('') ;; esac
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_oscar_batch
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with one file to complete, and the script of every shell beside it."""
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "config one.json").touch()
    for shell in SHELLS:
        assert main(["completion", shell]) == 0
        (tmp_path / shell).write_text(capsys.readouterr().out)
    return inner


def find_shell(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def ask(command: list[str], folder: Path) -> set[str]:
    """What a shell prints, line by line, without descriptions."""
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        command, cwd=folder, env=home, capture_output=True, text=True, check=True, timeout=60
    )
    return {line.partition("\t")[0] for line in done.stdout.splitlines() if line}


@pytest.mark.parametrize(("words", "found"), ASKED)
def test_bash(folder: Path, words: str, found: set[str]) -> None:
    bash = find_shell("bash")
    script = str(folder.parent / "bash")
    assert ask([bash, "-c", BASH, "bash", script, words], folder) >= found


@pytest.mark.parametrize(("words", "found"), ASKED)
def test_fish(folder: Path, words: str, found: set[str]) -> None:
    fish = find_shell("fish")
    script = f"source {folder.parent / 'fish'}; complete -C '{words}'"
    answers = {answer.replace("\\ ", " ") for answer in ask([fish, "-N", "-c", script], folder)}
    assert answers >= found


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        pytest.param("oscar-batch val", "oscar-batch validate ", id="a verb"),
        pytest.param("oscar-batch schema conf", "oscar-batch schema config ", id="a choice"),
        pytest.param("oscar-batch kit --std", "oscar-batch kit --stdin ", id="an option"),
        pytest.param("oscar-batch run conf", r"oscar-batch run config\ one.json ", id="a file"),
    ],
)
def test_zsh(folder: Path, typed: str, completed: str) -> None:
    """Typed into a terminal, because zsh completes nowhere else."""
    zsh = find_shell("zsh")
    terminal, far_end = pty.openpty()
    setting = {"HOME": str(folder), "TERM": "dumb", "PATH": "/usr/bin:/bin"}
    shell = subprocess.Popen(
        [zsh, "-f", "-i"],
        cwd=folder,
        env=setting,
        stdin=far_end,
        stdout=far_end,
        stderr=far_end,
        start_new_session=True,
    )
    os.close(far_end)
    setup = f"autoload -U compinit; compinit -u -D; . {folder.parent / 'zsh'}; print re''ady\n"
    try:
        os.write(terminal, setup.encode())
        read_until(terminal, "ready")
        os.write(terminal, f"{typed}\t".encode())
        shown = read_until(terminal, completed)
    finally:
        shell.kill()
        shell.wait()
        os.close(terminal)
    assert completed in shown


def read_until(terminal: int, wanted: str) -> str:
    """What a terminal shows until this text; at most a minute of it."""
    shown, end = "", time.monotonic() + 60
    while wanted not in shown and (left := end - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            shown += os.read(terminal, 4096).decode(errors="replace")
    return shown


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_knows_every_option(folder: Path, shell: str) -> None:
    script = (folder.parent / shell).read_text()
    for verb in read_verbs(make_parser()):
        for option in verb.options:
            for name in option.names:
                assert (name.lstrip("-") if shell == "fish" else name) in script
