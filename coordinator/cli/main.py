# SPDX-License-Identifier: Apache-2.0
"""argv → wired clients → the spine → files, summary, exit code.

The only room that prints, writes local files and exits. Results go to stdout, the log and errors
to stderr. OSCAR hides exit codes, so every ending of `run` leaves its report in a file as well.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

from ..batch import Clients, find_capacity, publish_report, run_batch
from ..config.credentials import Platform
from ..config.load import Config, load_config
from ..drive.progress import Progress
from ..model.errors import BatchError, ConfigError, Ending, StorageError
from ..model.run import Report
from ..oscar.client import OscarClient
from ..report.render import (
    capacity_document,
    cut_document,
    format_bytes,
    plan_document,
    render_capacity,
    render_choice,
    render_chunks,
    render_files,
    render_summary,
    report_document,
)
from . import offline
from .deploy import deploy

log = logging.getLogger("coordinator")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
    )
    # Kubernetes ends a pod with SIGTERM: treated like Ctrl-C, it still leaves a report.
    signal.signal(signal.SIGTERM, _interrupt)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except BatchError as error:
        problems = error.problems if isinstance(error, ConfigError) else (str(error),)
        for problem in problems:
            print(f"oscar-batch: {problem}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return Ending.INTERRUPTED.exit_code


def _run(arguments: argparse.Namespace) -> int:
    report = _told(arguments.config, dry_run=arguments.dry_run)
    folder = _write(report, arguments.output)
    print(
        json.dumps(report_document(report), indent=2) if arguments.json else render_summary(report)
    )
    log.info("%s: report in %s", report.run_id, folder)
    return report.ending.exit_code


def _plan(arguments: argparse.Namespace) -> int:
    if arguments.index:
        return _cut(arguments)
    report = _told(_named(arguments), dry_run=True)
    if report.plan is None:
        print(render_summary(report), file=sys.stderr)
    elif arguments.json:
        print(json.dumps(plan_document(report.plan), indent=2))
    else:
        print(render_summary(report))
        print(render_chunks(report.plan.chunks))
    return report.ending.exit_code


def _cut(arguments: argparse.Namespace) -> int:
    index, chunks, choice = offline.cut(arguments)
    if arguments.json:
        print(json.dumps(cut_document(index, chunks, choice), indent=2))
    else:
        print(f"{index.items} items, {format_bytes(index.size_bytes)}")
        print(render_choice(choice, len(chunks)))
        print(render_chunks(chunks))
    return 0


def _capacity(arguments: argparse.Namespace) -> int:
    if arguments.status or arguments.service:
        capacity = offline.capacity(arguments)
    else:
        config = _load(_named(arguments))
        if arguments.headroom is not None or arguments.quota:
            raise ConfigError(["--headroom and --quota belong to --status and --service"])
        oscar = OscarClient(config.cluster)
        capacity = find_capacity(config, oscar, oscar.read_service(config.service))
    if arguments.json:
        print(json.dumps(capacity_document(capacity), indent=2))
    else:
        print(render_capacity(capacity))
    return 0 if capacity.slots else Ending.NO_CAPACITY.exit_code


def _named(arguments: argparse.Namespace) -> Path:
    """The config file, which the offline forms do without."""
    if arguments.config is None:
        raise ConfigError(["name a config file, or see --help for what works without one"])
    return Path(arguments.config)


def _validate(arguments: argparse.Namespace) -> int:
    config = _load(arguments.config)
    print(f"{arguments.config}: valid")
    for name, value in config.describe().items():
        print(f"  {name}: {value}")
    return 0


def _deploy(arguments: argparse.Namespace) -> int:
    offers = Platform.from_environment(os.environ).clusters
    if not offers:
        raise ConfigError(
            [
                "set OSCAR_BATCH_OSCAR_URL and OSCAR_BATCH_OSCAR_USERNAME, "
                "OSCAR_BATCH_OSCAR_PASSWORD (or OSCAR_BATCH_OSCAR_TOKEN) in the environment"
            ]
        )
    access = replace(offers[0], verify=not arguments.insecure)
    for line in deploy(arguments.fdl, OscarClient(access), os.environ):
        print(line)
    return 0


def _told(path: Path, *, dry_run: bool) -> Report:
    """The report of a run, however it ends."""
    story = Progress()
    try:
        config = _load(path)
        config = replace(config, dry_run=config.dry_run or dry_run)
        story.setting = config.describe()
        return _published(config, story)
    except ConfigError as error:
        return story.report(Ending.BAD_CONFIG, error.problems[0], problems=error.problems)
    except BatchError as error:
        return story.report(Ending.UNAVAILABLE, str(error))
    except KeyboardInterrupt:
        return story.report(Ending.INTERRUPTED, "interrupted")
    except Exception as error:
        log.exception("%s: this is a defect of OSCAR-Batch", story.run_id)
        return story.report(Ending.BROKEN, f"internal error ({type(error).__name__}), see the log")


def _published(config: Config, story: Progress) -> Report:
    """The run's report, also put into its folder in the bucket unless it is a dry run."""
    outside = Clients.of(config)
    report = run_batch(config, outside, story)
    if config.dry_run:
        return report
    try:
        publish_report(config, outside, report)
    except StorageError as error:
        story.warn(f"the report is not in the bucket: {error}")
        return replace(report, warnings=tuple(story.warnings))
    return report


def _load(path: Path) -> Config:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError([f"cannot read {path}: {error.strerror}"]) from error
    return load_config(content, Platform.from_environment(os.environ))


def _write(report: Report, output: Path) -> Path:
    """Writes the report's files into a folder of the run's own, so that no run overwrites one."""
    folder = output / report.run_id
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, (content, _) in render_files(report).items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise ConfigError([f"cannot write the report to {folder}: {error.strerror}"]) from error
    return folder


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="oscar-batch",
        description="Process a backlog of files on OSCAR: list a bucket, plan, invoke a service.",
        epilog="Exit codes: 0 submitted or nothing to do, 1 some invocations refused, 2 bad config "
        "or usage, 3 cluster or storage unavailable, 4 no capacity, 130 interrupted.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = _command(commands, "run", _run, "run a config from end to end and leave a report")
    run.add_argument("--dry-run", action="store_true", help="plan only; start and write nothing")
    run.add_argument(
        "--output",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder for the report; every run gets its own folder in it (default: here)",
    )
    purpose = "show what a run would do, without any side effect"
    offline.plan_options(_command(commands, "plan", _plan, purpose, config="?"))
    purpose = "show how many invocations fit now, and why"
    offline.capacity_options(_command(commands, "capacity", _capacity, purpose, config="?"))
    validate = commands.add_parser("validate", help="check a config without contacting anything")
    validate.add_argument("config", type=Path, metavar="CONFIG")
    validate.set_defaults(command=_validate)
    apply = commands.add_parser("deploy", help="create or update the services of an FDL file")
    apply.add_argument("fdl", type=Path, metavar="FDL")
    apply.add_argument("--insecure", action="store_true", help="do not verify OSCAR's certificate")
    apply.set_defaults(command=_deploy)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    action: Callable[[argparse.Namespace], int],
    purpose: str,
    *,
    config: str | None = None,
) -> argparse.ArgumentParser:
    """A command with a config file; `config="?"` where it can do without one."""
    command = commands.add_parser(name, help=purpose, description=purpose)
    about = "config.json, or YAML"
    command.add_argument("config", type=Path, nargs=config, metavar="CONFIG", help=about)
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(command=action)
    return command


if __name__ == "__main__":
    sys.exit(main())
