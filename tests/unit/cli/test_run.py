# SPDX-License-Identifier: Apache-2.0
"""`run`: every ending leaves a report, in a file and in the bucket."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from coordinator.cli.main import main
from coordinator.cli.output import _Log, hide_in_log, print_document, start_log
from coordinator.cli.signals import limit_interrupts
from coordinator.cli.verbs import deploy as deploy_verb
from coordinator.cli.verbs import plan as plan_verb
from coordinator.cli.verbs import run as run_verb
from coordinator.config.load import Config
from coordinator.drive.clients import Clients
from coordinator.drive.jobs import accounting
from coordinator.drive.progress import Progress
from coordinator.drive.pull.ledger import Ledger
from coordinator.drive.submission import Clock
from coordinator.model.access import ClusterAccess
from coordinator.model.cluster import Basis, Cluster, Node, Phase, Resources
from coordinator.model.errors import BatchError, ClusterError, ConfigError, Ending, StorageError
from coordinator.model.run import Reply, Report, State, Verdict
from coordinator.model.service import Folder, Service
from coordinator.report.text import render_capacity, render_summary
from coordinator.run.store import Files
from tests.unit import make
from tests.unit.fakes import FakeBucket, FakeOscar
from tests.unit.manager import manager

CONFIG: dict[str, Any] = {
    "MinIO": {"url": "https://minio", "access_key": "reader", "secret_key": "canary-minio"},
    "oscar_cluster": {"url": "https://oscar", "auth_token": {"token": "canary-oscar"}},
    "bucket": {"name": "data", "folder_prefix": "in"},
    "service": {"name": "target"},
}


class World:
    """A config file, and storage and OSCAR in memory behind it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "config.json"
        self.data, self.reports = FakeBucket("data", {"in/a": b"x"}), FakeBucket("reports")
        self.oscar = FakeOscar()
        self.clock = Clock(time.monotonic, threading.Event.wait)

    def run(self, *, dry_run: bool = False, **sections: object) -> Report:
        self.path.write_text(json.dumps({**CONFIG, **sections}))
        return run_verb.run_config(
            self.path, dry_run=dry_run, connect=self.connect, deliver=self.deliver
        )

    def deliver(self, report: Report, files: Files) -> None:
        self.files = files

    def repeat(self, report: Report) -> Callable[..., Report]:
        """Stands for `run_config`: the same report, with the files of the last run."""

        def run_config(*_: object, deliver: run_verb.Deliver, **__: object) -> Report:
            deliver(report, self.files)
            return report

        return run_config

    def connect(self, config: Config) -> Clients:
        copy = self.reports if config.locations.report else None
        return Clients(
            self.oscar, self.data, self.data, copy, self.clock, open_bucket=lambda *_: self.data
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_report_is_put_beside_the_plan_and_where_the_config_asks(world: World) -> None:
    report = world.run(report={"bucket": "reports", "prefix": "runs"})
    state = f".oscar-batch/{report.run_id}/"
    for name, (content, _) in world.files.items():
        assert world.data.objects[f"{state}{name}"] == content
        assert world.reports.objects[f"runs/{report.run_id}/{name}"] == content
    assert json.loads(world.files["report.json"][0])["ending"] == "submitted"


def test_a_dry_run_writes_no_report_into_the_bucket(world: World) -> None:
    assert world.run(dry_run=True).ending is Ending.PLANNED
    assert world.run(run={"dry_run": True}).ending is Ending.PLANNED
    assert list(world.data.objects) == ["in/a"]


def test_a_report_that_cannot_be_published_is_a_warning_in_the_local_one(world: World) -> None:
    world.reports.broken = {"write"}
    report = world.run(report={"bucket": "reports"})
    assert report.ending is Ending.SUBMITTED
    (warning,) = [each for each in report.warnings if "not in the bucket" in each]
    assert json.loads(world.files["report.json"][0])["warnings"][-1] == warning
    assert b"not in the bucket" in world.files["report.html"][0]


@pytest.mark.parametrize(
    ("error", "ending", "message"),
    [
        pytest.param(
            ConfigError(["a: wrong", "b: too"]), Ending.BAD_CONFIG, "a: wrong", id="config"
        ),
        pytest.param(ClusterError("no OSCAR"), Ending.UNAVAILABLE, "no OSCAR", id="cluster"),
        pytest.param(StorageError("no MinIO"), Ending.UNAVAILABLE, "no MinIO", id="storage"),
        pytest.param(
            KeyboardInterrupt(), Ending.INTERRUPTED, "before anything was sent", id="Ctrl-C"
        ),
        pytest.param(
            ZeroDivisionError("secret"),
            Ending.BROKEN,
            "internal error (ZeroDivisionError), see the log",
            id="a defect",
        ),
    ],
)
def test_every_error_has_its_ending_and_a_report(
    world: World, error: BaseException, ending: Ending, message: str
) -> None:
    world.oscar.error = error
    report = world.run()
    assert (report.ending, report.message) == (ending, message)
    assert report.setting["service"] == "target"
    assert [stage.name for stage in report.stages] == ["service"]
    written = json.loads(world.files["report.json"][0])
    assert (written["ending"], written["exit_code"]) == (str(ending), ending.exit_code)
    assert written["problems"] == (["a: wrong", "b: too"] if ending is Ending.BAD_CONFIG else [])


def test_a_new_error_ends_a_run_as_it_says_itself(world: World) -> None:
    class Full(BatchError):
        ending = Ending.NO_CAPACITY

    world.oscar.error = Full("the queue is full")
    assert world.run().ending is Ending.NO_CAPACITY


@pytest.fixture
def _own_handler() -> Iterator[None]:
    # Who starts the tests in the background lets them ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with limit_interrupts():
        yield
    signal.signal(signal.SIGINT, before)


def kill_when_the_report_is_written(world: World, number: signal.Signals, times: int) -> None:
    def write(key: str, content: bytes, content_type: str) -> None:
        if "report.json" in key and b'"running"' not in content:
            for _ in range(times):
                os.kill(os.getpid(), number)
        FakeBucket.write(world.data, key, content, content_type)

    world.data.write = write  # type: ignore[method-assign]


@pytest.mark.usefixtures("_own_handler")
@pytest.mark.parametrize(("number", "times"), [(signal.SIGTERM, 3), (signal.SIGINT, 1)])
def test_a_signal_while_the_report_is_published_does_not_stop_that(
    world: World, number: signal.Signals, times: int
) -> None:
    kill_when_the_report_is_written(world, number, times)
    report = world.run()
    assert (report.ending, report.warnings) == (Ending.SUBMITTED, ())
    state = f".oscar-batch/{report.run_id}/"
    assert {f"{state}report.json", f"{state}report.html"} <= set(world.data.objects)


@pytest.mark.usefixtures("_own_handler")
def test_a_second_ctrl_c_leaves_without_the_report_in_the_bucket(world: World) -> None:
    kill_when_the_report_is_written(world, signal.SIGINT, 2)
    report = world.run()
    assert report.ending is Ending.SUBMITTED
    assert report.warnings == ("the report is not in the bucket: its writing was interrupted",)


@pytest.mark.usefixtures("_own_handler")
def test_a_second_sigterm_while_invoking_leaves_what_is_known_in_the_bucket(world: World) -> None:
    """The first one stops the submission, which waits for its answers; the second ends that."""
    waiting, leave = threading.Event(), threading.Event()

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "waiting for the answers" in record.getMessage():
                waiting.set()

    def answer(_service: Service, job: str) -> Reply:
        if job.endswith("-1-1"):
            return Reply(Verdict.ACCEPTED)
        if job.endswith("-2-1"):
            os.kill(os.getpid(), signal.SIGTERM)
            assert waiting.wait(20)
            os.kill(os.getpid(), signal.SIGTERM)
        assert leave.wait(20)
        return Reply(Verdict.ACCEPTED)

    world.data.objects |= {f"in/{n}": b"x" for n in range(9)}
    world.oscar.answer = answer
    logger, watch = logging.getLogger("coordinator.drive.submission"), Watch()
    logger.addHandler(watch)
    try:
        report = world.run(plan={"chunk_items": 1})
    finally:
        leave.set()
        logger.removeHandler(watch)
    states = [outcome.state for outcome in report.outcomes]
    assert (report.ending, states[:2], states[-1]) == (
        Ending.INTERRUPTED,
        [State.INVOKED, State.UNCERTAIN],
        State.PENDING,
    )
    written = json.loads(world.data.objects[f".oscar-batch/{report.run_id}/report.json"])
    assert [chunk["state"] for chunk in written["chunks"]] == states
    assert "unproven: chunk" in report.message


@pytest.mark.usefixtures("_own_handler")
@pytest.mark.parametrize("mode", ["event", "range", "pull"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("times", [1, 2, 4])
def test_signals_in_the_watch_stage_leave_a_report(
    world: World, monkeypatch: pytest.MonkeyPatch, mode: str, number: signal.Signals, times: int
) -> None:
    """The first one ends the watch, and each later one comes while that is written down."""
    sent = 0

    def kill() -> None:
        nonlocal sent
        if sent < times:
            sent += 1
            os.kill(os.getpid(), number)

    def wait(event: threading.Event, _seconds: float) -> bool:
        if threading.current_thread() is threading.main_thread():  # others send invocations
            kill()
        return event.is_set()

    def kill_first(module: object, name: str) -> None:
        call = getattr(module, name)

        def killing(*arguments: Any, **options: Any) -> Any:
            if sent:
                kill()
            return call(*arguments, **options)

        monkeypatch.setattr(module, name, killing)

    kill_first(accounting, "account_items")
    kill_first(accounting, "list_outcomes")
    kill_first(Ledger, "account")
    kill_first(Progress, "make_report")
    kill_first(Progress, "make_interrupted_report")
    world.clock = Clock(time.monotonic, wait)
    world.oscar.phase = Phase.RUNNING
    service = make.service(inputs=(Folder("uploads", "in/"),), mount=Folder("data", ""))
    world.oscar.services = [replace(service, has_kit=mode == "pull")]
    verify = {"verify": {"prefix": "out", "suffix": ".done"}} if mode == "range" else {}
    report = world.run(service={"name": "target", "mode": mode}, run=verify)
    state = f".oscar-batch/{report.run_id}/"
    assert (report.ending, sent) == (Ending.INTERRUPTED, times), report.message
    assert json.loads(world.data.objects[f"{state}report.json"])["message"] == report.message
    assert f"{state}report.html" in world.data.objects
    assert "before anything was sent" not in report.message
    assert world.oscar.jobs


def test_an_error_after_the_start_of_a_run_leaves_the_report_in_the_bucket_too(
    world: World,
) -> None:
    report = world.run(bucket={"name": "data", "folder_prefix": "inn"})
    assert report.ending is Ending.BAD_CONFIG
    assert f".oscar-batch/{report.run_id}/report.json" in world.data.objects


def test_a_run_that_is_refused_before_it_begins_writes_nothing(world: World) -> None:
    world.oscar.error = ClusterError("no OSCAR")
    world.run()
    assert list(world.data.objects) == ["in/a"]


@pytest.mark.usefixtures("_own_handler")
def test_sigterm_leaves_a_report_as_ctrl_c_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As Kubernetes ends a pod: while the cluster is asked for the service."""
    with manager({}) as cluster:
        cluster.on_request = lambda: os.kill(os.getpid(), signal.SIGTERM)
        url = cluster.oscar._access.url
        config = {**CONFIG, "oscar_cluster": {**CONFIG["oscar_cluster"], "url": url}}
        path = tmp_path / "config.json"
        path.write_text(json.dumps(config))
        code = main(["run", str(path), "--output", str(tmp_path / "out"), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert (code, report["ending"]) == (130, "interrupted")
    (folder,) = (tmp_path / "out").iterdir()
    assert json.loads((folder / "report.json").read_text()) == report


@pytest.mark.usefixtures("_own_handler")
def test_a_verb_without_a_report_ends_with_the_code_of_an_interruption(tmp_path: Path) -> None:
    with manager({}) as cluster:
        cluster.on_request = lambda: os.kill(os.getpid(), signal.SIGTERM)
        url = cluster.oscar._access.url
        config = {**CONFIG, "oscar_cluster": {**CONFIG["oscar_cluster"], "url": url}}
        path = tmp_path / "config.json"
        path.write_text(json.dumps(config))
        assert main(["capacity", str(path)]) == 130


def test_plan_starts_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = world.run(dry_run=True)
    asked: list[bool] = []

    def run_config(_path: Path, *, dry_run: bool, slots: int | None) -> Report:
        asked.append(dry_run)
        return report

    monkeypatch.setattr(plan_verb, "run_config", run_config)
    assert main(["plan", str(world.path), "--json"]) == 0
    assert asked == [True]
    assert json.loads(capsys.readouterr().out)["run"] == report.run_id


@pytest.mark.parametrize("option", [["--headroom", "0.1"], ["--quota", "file"]])
def test_options_of_saved_answers_are_refused_beside_a_config(
    world: World, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    world.path.write_text(json.dumps(CONFIG))
    assert main(["capacity", str(world.path), *option]) == 2
    assert "belong to --status and --service" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "verify"), [([], True), (["--insecure"], False)])
def test_deploy_verifies_the_certificate_by_default(
    monkeypatch: pytest.MonkeyPatch, options: list[str], verify: bool
) -> None:
    accesses: list[ClusterAccess] = []
    monkeypatch.setattr(deploy_verb, "OscarClient", accesses.append)
    monkeypatch.setattr(deploy_verb, "deploy", lambda *_: iter(["done"]))
    for name, value in {"URL": "https://oscar", "TOKEN": "canary"}.items():
        monkeypatch.setenv(f"OSCAR_BATCH_OSCAR_{name}", value)
    assert main(["deploy", "x.yaml", *options]) == 0
    assert [access.verify for access in accesses] == [verify]


@pytest.mark.usefixtures("_own_handler")
@pytest.mark.parametrize(
    ("ending", "code"), [(Ending.SUBMITTED, 0), (Ending.PARTLY_SUBMITTED, 1), (Ending.BROKEN, 3)]
)
def test_the_exit_code_is_that_of_the_ending(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ending: Ending,
    code: int,
) -> None:
    report = replace(world.run(), ending=ending)
    monkeypatch.setattr(run_verb, "run_config", world.repeat(report))
    assert main(["run", str(world.path), "--output", str(tmp_path)]) == code
    assert capsys.readouterr().out.startswith(f"{ending}: 1 items submitted")


def test_a_plan_for_other_slots_does_not_ask_for_the_capacity(world: World) -> None:
    world.data.objects |= {f"in/{i}": b"x" for i in range(9)}
    world.path.write_text(json.dumps({**CONFIG, "plan": {"max_parallel": 1}}))
    report = run_verb.run_config(world.path, dry_run=True, slots=5, connect=world.connect)
    assert report.capacity is not None
    assert (report.capacity.slots, report.capacity.limited_by) == (5, "slots")
    assert "because --slots was given" in report.capacity.warnings[0]


def test_run_with_dry_run_leaves_no_file(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = world.run(dry_run=True)
    monkeypatch.setattr(run_verb, "run_config", world.repeat(report))
    before = sorted(tmp_path.rglob("*"))
    assert main(["run", str(world.path), "--dry-run", "--output", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.startswith("planned: ")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["report.json", "report.html"])
def test_a_report_that_the_disk_has_no_room_for_is_on_stdout_and_not_half_in_a_file(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    report = replace(world.run(), ending=Ending.PARTLY_SUBMITTED)
    monkeypatch.setattr(run_verb, "run_config", world.repeat(report))
    whole, write = world.files[name][0], Path.write_bytes

    def fill(path: Path, content: bytes) -> int:
        if content != whole:
            return write(path, content)
        write(path, content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill)
    code = main(["run", str(world.path), "--output", str(tmp_path / "out"), "--json"])
    said = capsys.readouterr()
    assert (code, json.loads(said.out)["run"]) == (1, report.run_id)
    assert "No space left on device; it is on stdout" in said.err
    for path in (path for path in tmp_path.glob("out/*/*")):
        assert path.read_bytes() == world.files[path.name][0]


def test_no_secret_of_the_config_is_in_the_log_or_the_report(
    world: World, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    world.oscar.error = ClusterError("it said canary-minio and Y2FuYXJ5LW9zY2Fy and \x1b[1m")
    report = world.run()
    assert report.message == "it said … and … and \\x1b[1m"
    page = world.files["report.html"][0].decode().replace("run.canary", "")
    assert "canary" not in caplog.text + page


def test_the_line_of_progress_ends_with_the_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[bool] = []
    monkeypatch.setattr(run_verb, "end_progress", lambda: ended.append(True))
    world.run()
    assert ended == [True]


def test_the_id_of_the_run_is_on_every_log_line(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    level = root.level
    try:
        start_log(verbose=True)
        report = world.run()
    finally:
        root.handlers = before
        root.setLevel(level)
        logging.getLogger("coordinator").setLevel(logging.NOTSET)
    lines = capsys.readouterr().err.splitlines()
    assert any("chunk 1: invoked" in line for line in lines)
    assert all(f" {report.run_id}: " in line for line in lines)


def test_no_text_of_a_server_shows_a_secret_in_what_a_run_leaves(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """The name of a node, a key that cannot be listed: whatever a server may choose."""
    node = Node("wn-canary-minio", Resources(4_000, 64 * 2**30))
    world.oscar.cluster = Cluster((node,), Basis.REQUESTS)
    world.oscar.services = [make.service(mount=Folder("data", ""))]
    world.data.objects |= {"in/canary-oscar\n": b"x", "in/canary-service-token\r": b"x"}
    report = world.run()
    texts = [content.decode() for content, _ in world.files.values()]
    texts += [render_summary(report), render_capacity(report.capacity)] if report.capacity else []
    assert report.ending is Ending.SUBMITTED
    assert "canary" not in " ".join(texts).replace("run.canary", "")
    assert " ".join(texts).count("wn-…") > 1


def test_json_on_stdout_shows_no_secret_that_json_spells_otherwise(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Log, "secrets", frozenset())
    hide_in_log(['can"ary\\ü'])
    print_document({"nodes": [{"name": 'a can"ary\\ü'}], "ending": Ending.DONE})
    assert json.loads(capsys.readouterr().out) == {"nodes": [{"name": "a …"}], "ending": "done"}


def test_a_config_that_cannot_continue_a_run_does_not_end_it(world: World) -> None:
    """Its payload is wrong, and the run of the same data and service has a plan already."""
    template = '{"start": {{ start }}, "other": {{ 5 // (start - 2) }}}'
    service = {"name": "target", "payload": template}
    world.oscar.phase = Phase.RUNNING
    waits = 0

    def wait(event: threading.Event, _seconds: float) -> bool:
        nonlocal waits
        waits += 1
        if waits > 3:
            raise KeyboardInterrupt
        return event.is_set()

    world.clock = Clock(time.monotonic, wait)
    world.data.objects |= {"in/b": b"x", "in/c": b"x"}
    verify = {"verify": {"prefix": "out", "suffix": ".done"}}
    first = world.run(run=verify, plan={"chunk_items": 1})
    assert first.ending is Ending.INTERRUPTED
    again = world.run(run=verify, service=service)
    assert (again.run_id, again.ending) == (first.run_id, Ending.BAD_CONFIG)
    assert f".oscar-batch/{first.run_id}/end.json" not in world.data.objects
