# SPDX-License-Identifier: Apache-2.0
"""Runs the verb of a command line. Only the module of that verb is imported."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence

from ..model.errors import BatchError, Ending
from .arguments import parse_arguments
from .output import prepare_streams, print_error, start_log
from .signals import limit_interrupts

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    prepare_streams()
    arguments = parse_arguments(argv)
    # The log of a run in OSCAR is all that its owner gets to see.
    start_log(verbose=arguments.verbose, tracebacks=arguments.verb == "run")
    try:
        with limit_interrupts():
            verb = importlib.import_module(f".verbs.{arguments.verb_module}", __package__)
            return int(verb.execute(arguments))
    except BatchError as error:
        for problem in error.problems:
            print_error(problem)
        return error.ending.exit_code
    except KeyboardInterrupt:
        return Ending.INTERRUPTED.exit_code
    except Exception as error:
        log.debug("this is a defect of OSCAR-Batch", exc_info=True)
        print_error(
            f"internal error ({type(error).__name__}): this is a defect of OSCAR-Batch; please "
            "report it with what the option -v shows"
        )
        return Ending.BROKEN.exit_code
