# SPDX-License-Identifier: Apache-2.0
"""Streams that break, disks that are full, encodings that lack letters, and defects."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coordinator.cli import output
from coordinator.cli.main import main
from coordinator.cli.output import (
    clean_line,
    end_progress,
    hide_in_log,
    name_run,
    print_progress,
    start_log,
)
from coordinator.cli.verbs import capacity as capacity_verb
from coordinator.cli.verbs.setup import validate as validate_verb

ROOT = Path(__file__).parents[3]
CONFIG = ROOT / "tests" / "data" / "config_first_tool.json"


@pytest.fixture(autouse=True)
def _forget_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output._Log, "secrets", frozenset())
    monkeypatch.setattr(output._Log, "next_progress_s", 0.0)


@contextmanager
def own_log() -> Iterator[None]:
    """The root logger without the handlers that pytest adds to it before every test."""
    root, own = logging.getLogger(), logging.getLogger("coordinator")
    before = root.handlers, root.level, own.level
    root.handlers = []
    try:
        yield
    finally:
        root.handlers = before[0]
        root.setLevel(before[1])
        own.setLevel(before[2])


def start(*arguments: str, **streams: object) -> subprocess.CompletedProcess[bytes]:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "coordinator", *arguments]
    return subprocess.run(command, env=environ, check=False, **streams)  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def index(tmp_path: Path) -> str:
    path = tmp_path / "index.tsv"
    path.write_text("".join(f"key-{i}\t5\n" for i in range(20_000)))
    return str(path)


def test_a_reader_that_has_enough_is_no_error(index: str) -> None:
    options = ["--slots", "9000", "--strategy", "balanced", "--json"]
    reading, writing = os.pipe()
    os.close(reading)
    done = start("plan", "--index", index, *options, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk_below_stdout_is_said_in_one_line() -> None:
    with open("/dev/full", "wb") as full:
        done = start("validate", str(CONFIG), stdout=full, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr.count(b"\n")) == (3, 1)
    assert b"cannot write the result to stdout: No space left on device" in done.stderr


def test_a_full_disk_below_stderr_changes_no_exit_code() -> None:
    with open("/dev/full", "wb") as full:
        done = start("validate", "absent.json", stdout=subprocess.PIPE, stderr=full)
    assert (done.returncode, done.stdout) == (2, b"")


def test_letters_that_the_terminal_does_not_have_are_shown_by_their_codes(tmp_path: Path) -> None:
    config = json.loads(CONFIG.read_text())
    config["bucket"]["folder_prefix"] = "Straße/日/\x9b31m\u202e"
    (tmp_path / "config.json").write_text(json.dumps(config))
    path = str(tmp_path / "config.json")
    done = start("validate", path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"Stra\xdfe/\u65e5/\x9b31m\u202e" in done.stdout
    assert b"\x1b" not in done.stdout


@pytest.mark.parametrize("options", [[], ["-v"]], ids=["plain", "verbose"])
@pytest.mark.parametrize("verb", ["validate", "capacity"])
def test_a_defect_is_one_line_and_exit_code_3(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verb: str,
    options: list[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        hide_in_log(["canary-secret"])
        raise ZeroDivisionError("canary-secret\x1b[31m")

    monkeypatch.setattr(validate_verb, "load_config", fail)
    monkeypatch.setattr(capacity_verb, "read_config", fail)
    with own_log():
        code = main([verb, str(CONFIG), *options])
    said = capsys.readouterr().err
    assert (code, "internal error (ZeroDivisionError)" in said) == (3, True)
    assert ("Traceback" in said, said.count("\n") == 1) == (bool(options), not options)
    assert "canary" not in said
    assert "\x1b" not in said


def test_a_line_of_the_log_is_one_line_short_and_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hide_in_log(["canary-secret", "short"])
    with own_log():
        start_log()
        name_run("this-run")
        logging.getLogger("coordinator").info("a canary-secret\n\x1b[31m short %s", "x" * 1000)
    said = capsys.readouterr().err
    assert " INFO this-run: a … \\x1b[31m short xxx" in said
    assert (said.count("\n"), len(said) < 540) == (1, True)


def test_a_line_for_people_is_cleaned() -> None:
    assert clean_line("a\r\n\x07b") == "a \\x07b"


def test_validate_for_the_service_says_what_it_assumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("OSCAR_BATCH_")]:
        monkeypatch.delenv(name)
    path = tmp_path / "config.json"
    path.write_text('{"bucket": {"name": "observatory"}, "service": {"name": "grayify"}}')
    assert main(["validate", str(path)]) == 2
    assert capsys.readouterr().err.count("is missing") == 2
    assert main(["validate", str(path), "--in-service"]) == 0
    said = capsys.readouterr().out
    assert "assumed: the service has credentials for the MinIO of the cluster" in said
    assert "assumed: the service has credentials for the cluster that the service was" in said
    path.write_text('{"bucket": {"name": "observatory"}, "service": {"name": "grayify"}, "x": 1}')
    assert main(["validate", str(path), "--in-service"]) == 2
    assert "x: is not a known key" in capsys.readouterr().err


def test_validate_for_the_service_keeps_what_the_config_brings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["validate", str(CONFIG), "--in-service"]) == 0
    assert "has credentials" not in capsys.readouterr().out


def test_validate_shows_no_secret_that_is_given_as_an_address_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = json.loads(CONFIG.read_text())
    config["MinIO"] |= {"url": "canary5ecretKey", "secret_key": "canary5ecretKey"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert main(["validate", str(tmp_path / "config.json")]) == 0
    assert "canary" not in capsys.readouterr().out.lower()


class Terminal(io.StringIO):
    """A terminal of 60 columns."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError("no file")


def test_progress_is_a_line_that_is_replaced_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((60, 20)))
    monkeypatch.setattr(Terminal, "fileno", lambda self: 2)
    times = iter([100.0, 100.1, 100.3])
    print_progress("1 done\x1b[2J " + "x" * 100, read_clock=lambda: next(times))
    print_progress("too soon", read_clock=lambda: next(times))
    print_progress("2 done", read_clock=lambda: next(times))
    end_progress()
    end_progress()
    assert isinstance(sys.stderr, Terminal)
    first, second = sys.stderr.getvalue().split("\r\x1b[K")[1:]
    assert first.startswith("1 done\\x1b[2J xxx")
    assert len(first) == 59
    assert second == "2 done\n"


def test_progress_is_in_the_log_elsewhere(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    times = iter([100.0, 109.9, 110.0])
    with caplog.at_level("INFO"):
        for text in ("1 done", "too soon", "2 done"):
            print_progress(text, read_clock=lambda: next(times))
    end_progress()
    assert (caplog.messages, capsys.readouterr().err) == (["1 done", "2 done"], "")
