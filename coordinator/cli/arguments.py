# SPDX-License-Identifier: Apache-2.0
"""The verbs and their options. Imports nothing heavy: `--help` answers at once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .. import __version__
from .run_arguments import add_run_verbs
from .setup_arguments import add_setup_verbs

_DESCRIPTION = "Process a backlog of files on OSCAR: list a bucket, plan, invoke a service."
_EXIT_CODES = (
    "Exit codes: 0 all done, submitted or nothing to do, 1 items failed or pending, or some "
    "invocations refused or unproven, "
    "2 bad config or usage, 3 cluster or storage unavailable or nothing proven, 4 no capacity, "
    "5 another coordinator drives the run, 130 interrupted."
)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses argv; `verb_module` of the result, in `verbs`, executes the command."""
    return make_parser().parse_args(argv)


def make_parser() -> argparse.ArgumentParser:
    """The parser of all verbs and their options."""
    parser = argparse.ArgumentParser(
        prog="oscar-batch", description=_DESCRIPTION, epilog=_EXIT_CODES
    )
    parser.add_argument("--version", action="version", version=f"oscar-batch {__version__}")
    verbs = parser.add_subparsers(required=True, metavar="COMMAND", dest="verb")
    _add_run(verbs.add_parser("run", help="run a config from end to end and leave a report"))
    _add_submit(
        verbs.add_parser("submit", help="drop a config for the coordinator; follow its run")
    )
    _add_try(verbs.add_parser("try", help="run a few files, and show what became of each"))
    _add_plan(verbs.add_parser("plan", help="show what a run would do, without any side effect"))
    _add_capacity(verbs.add_parser("capacity", help="show how many invocations fit now, and why"))
    deploy = verbs.add_parser("deploy", help="create or update the services of an FDL file")
    deploy.add_argument(
        "fdl", type=Path, nargs="?", metavar="FDL", help="(default: the coordinator's own)"
    )
    deploy.add_argument("--insecure", action="store_true", help="do not verify OSCAR's certificate")
    _add_kit(verbs.add_parser("kit", help="print the script of a service that handles one file"))
    packages = dict.fromkeys(add_run_verbs(verbs), "runs.")
    packages |= dict.fromkeys(add_setup_verbs(verbs), "setup.")
    for name, verb in verbs.choices.items():
        verb.set_defaults(verb_module=packages.get(name, "") + name)
        verb.add_argument(
            "-v", "--verbose", action="store_true", help="a longer log, and the place of a defect"
        )
    return parser


def _add_kit(kit: argparse.ArgumentParser) -> None:
    form = kit.add_mutually_exclusive_group(required=True)
    form.add_argument(
        "--command",
        metavar="'PROG {input} {output_dir}'",
        help="started for every item; also {key}, {name} and {stem} are replaced",
    )
    form.add_argument(
        "--stdin", metavar="'PROG'", help="started once; gets and answers a JSON line per item"
    )
    form.add_argument(
        "--module", metavar="MODULE", help="a Python module or file that uses oscar_batch_worker"
    )
    kit.add_argument("--sh", action="store_true", help="for images without Python; with --command")
    kit.add_argument("--jobs", type=int, default=1, metavar="N", help="items at a time")
    kit.add_argument(
        "--bucket",
        action="append",
        metavar="B",
        help="also print what allows this bucket of data; may be repeated",
    )
    kit.add_argument("-o", dest="output", type=Path, metavar="FILE", help="write the script there")


def _add_run(run: argparse.ArgumentParser) -> None:
    _add_config(run)
    run.add_argument("--dry-run", action="store_true", help="plan only; start and write nothing")
    run.add_argument(
        "--output",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder for the report; every run gets its own folder in it (default: here)",
    )


def _add_try(trial: argparse.ArgumentParser) -> None:
    _add_config(trial)
    trial.add_argument(
        "-n", dest="count", type=int, choices=range(1, 101), default=3, metavar="N",
        help="how many, spread over the listing: 1 to 100 (default: 3)",
    )  # fmt: skip


def _add_submit(submit: argparse.ArgumentParser) -> None:
    _add_config(submit)
    submit.add_argument(
        "--service", default="oscar-batch", metavar="NAME", help="the coordinator's service"
    )
    submit.add_argument("--no-follow", action="store_true", help="return when the run has begun")
    submit.add_argument(
        "--patience",
        type=float,
        default=60.0,
        metavar="S",
        help="seconds until a config whose run has not begun is dropped again (default: 60)",
    )


def _add_plan(plan: argparse.ArgumentParser) -> None:
    _add_config(plan, nargs="?")
    plan.add_argument(
        "--slots", type=int, metavar="N", help="invocations that run at the same time"
    )
    plan.add_argument(
        "--canary",
        type=int,
        choices=range(1, 10_001),
        metavar="N",
        help="run N items first, spread over the listing; use their times to plan the rest",
    )
    saved = plan.add_argument_group("from a saved index and --slots, without a cluster")
    saved.add_argument(
        "--index", type=Path, metavar="FILE", help="a file of lines: key, tab, size in bytes"
    )
    saved.add_argument("--strategy", metavar="NAME", help="auto, balanced, factoring or fixed")
    saved.add_argument("--chunk-items", type=int, metavar="N", help="for the strategy fixed")
    saved.add_argument("--chunk-bytes", metavar="N", help="for the strategy fixed; or 10Mi")
    saved.add_argument("--min-chunk-items", type=int, metavar="N")
    saved.add_argument(
        "--startup",
        type=float,
        metavar="S",
        help="seconds that an invocation needs to start up",
    )
    saved.add_argument("--seconds-per-item", type=float, metavar="S")
    saved.add_argument("--seconds-per-mb", type=float, metavar="S", help="per 10^6 bytes")
    saved.add_argument(
        "--speeds",
        type=float,
        nargs="+",
        metavar="X",
        help="relative speeds of the slots; 1 if all are alike",
    )


def _add_capacity(capacity: argparse.ArgumentParser) -> None:
    _add_config(capacity, nargs="?")
    saved = capacity.add_argument_group("from saved answers, without a cluster")
    saved.add_argument("--status", type=Path, metavar="FILE", help="of GET /system/status")
    saved.add_argument("--service", type=Path, metavar="FILE", help="of GET /system/services/NAME")
    saved.add_argument("--quota", type=Path, metavar="FILE", help="of GET /system/quotas/user")
    saved.add_argument(
        "--headroom",
        type=float,
        metavar="X",
        help="share of the free resources left to others (default: 0.2)",
    )


def _add_config(verb: argparse.ArgumentParser, *, nargs: str | None = None) -> None:
    verb.add_argument(
        "config", type=Path, nargs=nargs, metavar="CONFIG", help="config.json, or YAML"
    )
    verb.add_argument("--json", action="store_true", help="print JSON")
