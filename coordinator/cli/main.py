# SPDX-License-Identifier: Apache-2.0
"""Runs the verb of a command line. Only the module of that verb is imported."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from ..model.errors import BatchError, Ending
from .arguments import parse_arguments
from .logs import start_log


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    arguments = parse_arguments(argv)
    start_log()
    # Kubernetes ends a pod with SIGTERM: handled like Ctrl-C, a run still leaves a report.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        verb = importlib.import_module(f".{arguments.verb}", __package__)
        return int(verb.execute(arguments))
    except BatchError as error:
        for problem in error.problems:
            print(f"oscar-batch: {problem}", file=sys.stderr)
        return error.ending.exit_code
    except KeyboardInterrupt:
        return Ending.INTERRUPTED.exit_code


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
