# SPDX-License-Identifier: Apache-2.0
"""`run`: runs a config. OSCAR hides exit codes, so the run leaves a report however it ends."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event

from ... import __version__
from ...batch import Clients, run_batch
from ...config.load import Config
from ...drive.progress import Progress
from ...drive.submission import Clock
from ...model.errors import AlreadyStarted, BatchError, ConfigError, Ending, StorageError
from ...model.run import Origin, Report
from ...oscar.client import OscarClient
from ...report.document import write_report
from ...report.text import render_summary
from ...run.layout import RunLayout
from ...run.store import Files, publish_end, publish_files, render_files
from ...storage.bucket import Bucket
from ..inputs import read_config
from ..output import OutputError, name_run, print_document, print_error, print_result
from ..signals import hold_interrupts

log = logging.getLogger(__name__)


def execute(arguments: argparse.Namespace) -> int:
    """Runs a config, or plans it with `--dry-run`, and leaves the report in a folder."""
    report, files = run_config(arguments.config, dry_run=arguments.dry_run)
    if not arguments.dry_run:
        with hold_interrupts():
            _write_files(files, arguments.output / report.run_id)
    try:
        if arguments.json:
            print_document(write_report(report))
        else:
            print_result(render_summary(report))
    except OutputError as error:  # what became of the run counts more
        print_error(str(error))
    return report.ending.exit_code


def make_clients(config: Config) -> Clients:
    """Real clients for a config. Opens no connection."""
    access, locations = config.storage, config.locations
    return Clients(
        oscar=OscarClient(config.cluster, secrets=config.secrets),
        data=Bucket(access, locations.data.bucket),
        state=Bucket(access, locations.state.bucket),
        report=Bucket(access, locations.report.bucket) if locations.report else None,
        clock=Clock(time.monotonic, Event.wait),
    )


def run_config(
    path: Path | None,
    *,
    dry_run: bool = False,
    slots: int | None = None,
    adapt: Callable[[Config], Config] = lambda config: config,
    connect: Callable[[Config], Clients] = make_clients,
) -> tuple[Report, Files]:
    """The report of a run, however it ends, and its files; `slots` replace its capacity."""
    progress = Progress(origin=Origin(path.name if path else "", __version__))
    publish: Callable[[Report], Report] | None = None
    name_run(progress.run_id)

    def run() -> Report:
        nonlocal publish
        config = adapt(read_config(path))
        rules = replace(config.capacity_rules, slots=slots)
        config = replace(config, dry_run=config.dry_run or dry_run, capacity_rules=rules)
        progress.run_id = config.run_id or progress.run_id
        name_run(progress.run_id)
        progress.setting, progress.secrets = config.describe(), config.secrets
        progress.settings = config.settings
        clients = connect(config)
        publish = partial(_publish, config, clients, progress)
        return run_batch(config, clients, progress)

    try:
        report = _find_ending(run, progress)
    except KeyboardInterrupt:  # while the report was made: no more than two come
        report = progress.make_interrupted_report()
    # Nothing is written for a dry run, nor for a run that was refused before it began.
    if publish and progress.begun:
        with hold_interrupts():
            report = publish(report)
    return report, render_files(report)


def _find_ending(run: Callable[[], Report], progress: Progress) -> Report:
    """The report of a run that may raise anything. Raises AlreadyStarted and KeyboardInterrupt."""
    try:
        return run()
    except AlreadyStarted:
        raise  # the other process writes the report
    except BatchError as error:
        problems = error.problems if isinstance(error, ConfigError) else ()
        return progress.make_report(error.ending, error.problems[0], problems)
    except KeyboardInterrupt:
        return progress.make_interrupted_report()
    except Exception as error:
        log.error("this is a defect of OSCAR-Batch", exc_info=True)
        message = f"internal error ({type(error).__name__}), see the log"
        return progress.make_report(Ending.BROKEN, message)


def _publish(config: Config, clients: Clients, progress: Progress, report: Report) -> Report:
    """Puts the files of the report into the bucket; the report, with a warning if that failed."""
    targets = [(clients.state, config.locations.state)]
    if clients.report and config.locations.report:
        targets.append((clients.report, config.locations.report))
    try:
        files = render_files(report)
        publish_files(files, report.run_id, targets)
        layout = RunLayout(config.locations, report.run_id)
        publish_end(clients.state, layout, report, files)
    except StorageError as error:
        progress.warn(f"the report is not in the bucket: {error}")
    except KeyboardInterrupt:
        progress.warn("the report is not in the bucket: its writing was interrupted")
    return replace(report, warnings=tuple(progress.warnings))


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
