# SPDX-License-Identifier: Apache-2.0
"""The command line without a network: every ending leaves a report and the right exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import pytest

from coordinator.cli.main import main

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))
GOOD = (ROOT / "tests" / "data" / "config_first_tool.json").read_bytes()
BAD = [
    pytest.param(b"", "is empty", id="empty"),
    pytest.param(b"[]", "not a list", id="an array"),
    pytest.param(b"{", "not valid JSON", id="cut off"),
    pytest.param(b"\xff\xfe\x00", "not UTF-8", id="binary"),
    pytest.param(b" " * 5 * 2**20, "at most 1 MiB", id="5 MB"),
    pytest.param(b'{"a":' * 100_000, "32 deep", id="deeply nested"),
    pytest.param(b"{}", "bucket.name: is missing", id="nothing in it"),
    pytest.param(b'{"bukcet": {}}', "did you mean bucket?", id="an unknown key"),
    pytest.param(b'{"\\ud800": {}}', "is not a known key", id="half a character"),
    pytest.param(GOOD[:-2] + b',"plan":{"headroom":1e999}}', "plan.headroom", id="infinity"),
]


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("OSCAR_BATCH_")]:
        monkeypatch.delenv(name)


@dataclass
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


class Shell:
    """Runs commands of the program in this process."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.output = folder / "out"
        self.config = folder / "config.json"
        self._capture = capture

    def __call__(self, *arguments: str, content: bytes | None = None) -> Ran:
        if content is not None:
            self.config.write_bytes(content)
        try:
            code = main(arguments)
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        said = self._capture.readouterr()
        return Ran(code, said.out, said.err)

    def run(self, content: bytes | None, *options: str) -> Ran:
        return self(
            "run", str(self.config), "--output", str(self.output), *options, content=content
        )


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, capsys)


@pytest.mark.parametrize(("content", "said"), BAD)
def test_a_bad_config_leaves_both_reports_in_a_folder_of_the_runs_own(
    shell: Shell, caplog: pytest.LogCaptureFixture, content: bytes, said: str
) -> None:
    ran = shell.run(content)
    (folder,) = shell.output.iterdir()
    report = json.loads((folder / "report.json").read_text())
    jsonschema.validate(report, SCHEMA)
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json"]
    assert (report["run"], report["ending"]) == (folder.name, "bad config")
    assert said in " ".join(report["problems"])
    assert (ran.code, said in ran.out) == (2, True)
    assert "Traceback" not in ran.err + caplog.text


def test_a_missing_config_leaves_a_report_too(shell: Shell) -> None:
    ran = shell.run(None)
    (folder,) = shell.output.iterdir()
    assert (ran.code, (folder / "report.html").exists()) == (2, True)
    assert "No such file" in ran.out


def test_an_unreachable_cluster_leaves_a_report(shell: Shell) -> None:
    nowhere = GOOD.replace(b"oscar.example.org", b"http://127.0.0.1:9")
    ran = shell.run(nowhere, "--json")
    (folder,) = shell.output.iterdir()
    report = json.loads(ran.out)
    jsonschema.validate(report, SCHEMA)
    assert (ran.code, report["ending"]) == (3, "unavailable")
    assert "nothing accepts connections" in report["message"]
    assert report == json.loads((folder / "report.json").read_text())


def test_no_secret_is_in_what_a_failed_run_leaves(
    shell: Shell, caplog: pytest.LogCaptureFixture
) -> None:
    ran = shell.run(GOOD.replace(b"oscar.example.org", b"http://127.0.0.1:9"))
    written = "".join(path.read_text() for path in shell.output.rglob("report.*"))
    shown = ran.out + ran.err + caplog.text + written
    assert "canary" not in shown.replace("run.canary", "")


def test_two_runs_share_no_folder(shell: Shell) -> None:
    shell.run(b"[]")
    shell.run(b"[]")
    assert len(list(shell.output.iterdir())) == 2


def test_a_folder_that_cannot_be_written_is_said_in_one_line(shell: Shell) -> None:
    shell.output.write_text("a file is in the way")
    ran = shell.run(b"[]")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "cannot write the report" in ran.err


def test_validate_accepts_a_good_config_and_shows_what_it_means(shell: Shell) -> None:
    ran = shell("validate", str(shell.config), content=GOOD)
    assert (ran.code, ran.err) == (0, "")
    assert "data: fish-detector/input/" in ran.out
    assert "canary" not in ran.out


@pytest.mark.parametrize(("content", "said"), BAD)
def test_validate_names_every_problem_on_a_line(shell: Shell, content: bytes, said: str) -> None:
    ran = shell("validate", str(shell.config), content=content)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert all(line.startswith("oscar-batch: ") for line in ran.err.splitlines())


def test_validate_reads_the_template_of_the_invocations(shell: Shell) -> None:
    service = {"name": "target", "payload": '{"a":\n{{ strat }}}'}
    content = json.dumps({**json.loads(GOOD), "service": service}).encode()
    ran = shell("validate", str(shell.config), content=content)
    assert ran.code == 2
    problem = "service.payload: line 2: strat is not a variable; did you mean start?"
    assert ran.err.splitlines() == [f"oscar-batch: {problem}"]


def test_plan_reports_a_bad_config_on_stderr_and_leaves_nothing(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = shell("plan", str(shell.config), "--json", content=b"[]")
    assert (ran.code, ran.out) == (2, "")
    assert "not a list" in ran.err
    assert list(tmp_path.iterdir()) == [shell.config]


def test_capacity_reports_a_bad_config(shell: Shell) -> None:
    ran = shell("capacity", str(shell.config), content=b"[]")
    assert (ran.code, "not a list" in ran.err) == (2, True)


def test_deploy_needs_to_know_where_to(shell: Shell) -> None:
    ran = shell("deploy", "absent.yaml")
    assert (ran.code, "set OSCAR_BATCH_OSCAR_URL" in ran.err) == (2, True)


@pytest.mark.parametrize("arguments", [[], ["frobnicate"], ["run"], ["run", "a", "--nonsense"]])
def test_wrong_usage_is_exit_code_2(shell: Shell, arguments: list[str]) -> None:
    ran = shell(*arguments)
    assert (ran.code, ran.err.startswith("usage: oscar-batch")) == (2, True)


@pytest.mark.parametrize("command", ["run", "plan", "capacity", "validate", "deploy"])
def test_the_help_mentions_each_command(shell: Shell, command: str) -> None:
    ran = shell("--help")
    assert (ran.code, f"\n    {command} " in ran.out) == (0, True)


def test_as_a_program_results_and_log_are_apart_and_no_traceback_is_seen(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b'{"bukcet": {}}')
    done = subprocess.run(
        [sys.executable, "-m", "coordinator", "run", str(tmp_path / "config.json"), "--json"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, json.loads(done.stdout)["ending"]) == (2, "bad config")
    assert b"report in" in done.stderr
    assert b"Traceback" not in done.stderr
