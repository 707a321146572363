# SPDX-License-Identifier: Apache-2.0
"""`run`: runs a config. OSCAR hides exit codes, so the run leaves a report however it ends."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event

from ... import __version__
from ...batch import run_batch
from ...config.load import Config
from ...drive.clients import Clients
from ...drive.entering.checks import has_unfinished
from ...drive.entering.renewal import LeaseRenewer
from ...drive.planning.canary import find_passed, has_passed, make_canary, make_rest
from ...drive.progress import Progress
from ...drive.publishing import Publisher
from ...drive.submission import Clock, Pace
from ...model.errors import (
    AlreadyEnded,
    BatchError,
    ConfigError,
    Ending,
    HeldByOther,
    StopRequested,
)
from ...model.pull.lanes import Timing
from ...model.run import Origin, Report
from ...oscar.client import OscarClient
from ...report.document import write_report
from ...report.text import render_summary
from ...run.layout import RunLayout
from ...run.store import Files, render_files
from ...storage.bucket import Bucket
from ..inputs import read_config, read_posts_per_s
from ..output import (
    OutputError,
    end_progress,
    name_run,
    print_document,
    print_error,
    print_progress,
    print_result,
)
from ..signals import hold_interrupts

log = logging.getLogger(__name__)

Deliver = Callable[[Report, Files], None]
"""Gets the report of a run and its files."""

BURST = 10
"""OSCAR's manager accepts a few invocations at once, and then a few a second."""


def execute(arguments: argparse.Namespace) -> int:
    """Runs a config, or plans it with `--dry-run`, and leaves the report in a folder."""

    def deliver(report: Report, files: Files) -> None:
        _write_files(files, arguments.output / report.run_id)

    planned = arguments.dry_run
    report = run_with_canary(
        arguments.config, dry_run=planned, deliver=leave_nothing if planned else deliver
    )
    try:
        if arguments.json:
            print_document(write_report(report))
        else:
            print_result(render_summary(report))
    except OutputError as error:  # what became of the run counts more
        print_error(str(error))
    return report.ending.exit_code


def leave_nothing(report: Report, files: Files) -> None:
    """Leaves no files of a report on this machine."""


def make_clients(config: Config) -> Clients:
    """Real clients for a config. Opens no connection."""
    access, locations = config.storage, config.locations
    clock = Clock(time.monotonic, Event.wait)
    return Clients(
        oscar=OscarClient(config.cluster, secrets=config.secrets),
        data=Bucket(access, locations.data.bucket),
        state=Bucket(access, locations.state.bucket),
        report=Bucket(access, locations.report.bucket) if locations.report else None,
        clock=clock,
        pace=Pace(posts_per_s=read_posts_per_s(), burst=BURST),
        renewer=LeaseRenewer(clock, Timing().lease_ttl_s),
    )


def run_with_canary(
    path: Path | None,
    *,
    dry_run: bool = False,
    canary: int | None = None,
    connect: Callable[[Config], Clients] | None = None,
    deliver: Deliver | None = None,
) -> Report:
    """Runs the canary and then the rest; the report of the rest, or of a canary that failed.

    `canary` replaces `run.canary`. An unfinished run is continued without another canary.
    """
    connect = connect or make_clients
    found: list[Config] = []

    def adapt(config: Config) -> Config:
        config = replace(config, canary=config.canary if canary is None else canary)
        asked = config.canary and not config.redrive and not (config.dry_run or dry_run)
        clients = connect(config) if canary or asked else None
        if clients and not has_unfinished(config, clients):
            # A canary from the command line does not belong to the run that is dropped.
            named = RunLayout(config.locations, "" if canary else config.run_id)
            if passed := find_passed(clients.state, named):
                return make_rest(config, passed)
            found.append(config)
            return make_canary(replace(config, run_id=named.run_id))
        return replace(config, canary=0, dry_run=config.dry_run or dry_run)

    deliver = deliver or leave_nothing
    report = run_config(path, adapt=adapt, connect=connect, deliver=deliver)
    if not found or not has_passed(report):
        return report
    log.info("the canary passed: %s", report.message)
    rest = make_rest(found[0], report.run_id)
    return run_config(
        path, dry_run=dry_run, adapt=lambda config: rest, connect=connect, deliver=deliver
    )


def run_config(
    path: Path | None,
    *,
    dry_run: bool = False,
    slots: int | None = None,
    adapt: Callable[[Config], Config] = lambda config: config,
    connect: Callable[[Config], Clients] = make_clients,
    deliver: Deliver = leave_nothing,
) -> Report:
    """Runs a config and delivers its report, however it ends; `slots` replaces the capacity."""
    progress = Progress(origin=Origin(path.name if path else "", __version__))
    publisher: Publisher | None = None
    renewer: LeaseRenewer | None = None
    name_run(progress.run_id)

    def run() -> Report:
        nonlocal publisher, renewer
        config = adapt(read_config(path))
        rules = replace(config.capacity_rules, slots=slots)
        config = replace(config, dry_run=config.dry_run or dry_run, capacity_rules=rules)
        _describe_run(config, progress)
        clients = connect(config)
        renewer = clients.renewer
        publisher = _make_publisher(config, clients, progress)
        return run_batch(config, clients, progress)

    try:
        report = _find_ending(run, progress)
    except KeyboardInterrupt:  # came while the report was made; no third one is raised
        report = progress.make_interrupted_report()
    name_run(progress.run_id)
    with hold_interrupts():  # until the report is in the bucket and delivered
        report = _publish(publisher, report, progress)
        if renewer:
            renewer.stop()
        deliver(report, render_files(report))
    end_progress()
    return report


def _describe_run(config: Config, progress: Progress) -> None:
    """Copies to the progress what the config says about the run and its report."""
    progress.ask("" if config.redrive else config.run_id)
    name_run(progress.run_id)
    progress.setting, progress.secrets = config.describe(), config.secrets
    progress.settings = config.settings


def _make_publisher(config: Config, clients: Clients, progress: Progress) -> Publisher:
    now_s = clients.clock.now_s
    publisher = Publisher(config.locations, clients.state, clients.report, progress, now_s)
    progress.publish, progress.say = publisher.refresh, print_progress
    return publisher


def _publish(publisher: Publisher | None, report: Report, progress: Progress) -> Report:
    """Publishes the report; under its own id if another coordinator took over the run."""
    # A dry run writes nothing, nor does a run that was refused before it began.
    if publisher is None or not progress.begun:
        return report
    try:
        return publisher.publish(report)
    except HeldByOther as error:
        progress.leave()
        return publisher.publish(progress.make_report(error.ending, str(error)))


def _find_ending(run: Callable[[], Report], progress: Progress) -> Report:
    """Runs it; every exception but KeyboardInterrupt becomes a report."""
    try:
        return run()
    except AlreadyEnded as error:
        progress.begun = False  # its report is the last word on the run
        return progress.make_report(error.ending, str(error))
    except HeldByOther as error:
        progress.leave()
        return progress.make_report(error.ending, str(error))
    except BatchError as error:
        # A run without a plan has done nothing yet: this is its end. One that is continued is not
        # ended by a config that cannot continue it.
        ends = isinstance(error, ConfigError | StopRequested)
        progress.over = ends and progress.plan is None
        problems = error.problems if isinstance(error, ConfigError) else ()
        return progress.make_report(error.ending, error.problems[0], problems)
    except KeyboardInterrupt:
        return progress.make_interrupted_report()
    except Exception as error:
        log.error("this is a defect of OSCAR-Batch", exc_info=True)
        message = f"internal error ({type(error).__name__}), see the log"
        return progress.make_report(Ending.BROKEN, message)


def _write_files(files: Files, folder: Path) -> None:
    """Writes the files of a report into the folder of the run, each of them whole or not at all."""
    part = folder / ".part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, (content, _) in files.items():
            part.write_bytes(content)
            part.replace(folder / name)
    except OSError as error:
        print_error(f"cannot write the report to {folder}: {error.strerror}; it is on stdout")
        with suppress(OSError):
            part.unlink(missing_ok=True)
            folder.rmdir()  # unless a file of it is whole
    else:
        log.info("report in %s", folder)
