# SPDX-License-Identifier: Apache-2.0
"""Results on stdout; on stderr errors and the log, a line per event with the id of the run.

No secret and no control character is written, and a stream that cannot be written ends no run.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TextIO

from ..model.errors import (
    MAX_MESSAGE,
    SHORTEST_HIDDEN,
    BatchError,
    Ending,
    clean_text,
    escape_text,
    hide_in_value,
    hide_secrets,
)

log = logging.getLogger(__name__)

# Moves to the start of the line and clears it.
_CLEAR = "\r\x1b[K"
# A line of progress comes no more often than this, in seconds.
_ON_TERMINAL_S, _ELSEWHERE_S = 0.2, 10.0


class OutputError(BatchError):
    """The result could not be written to stdout."""

    ending = Ending.UNAVAILABLE


def prepare_streams() -> None:
    """Characters that a terminal's encoding does not have are shown by their codes."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError):  # a stream of a test has no encoding to set
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def end_progress() -> None:
    """Ends the line of progress, if there is one."""
    if _Log.live:
        _Log.live = False
        print_note("")


def print_result(text: str) -> None:
    """Prints a result. Raises OutputError; a reader that has enough (`| head`) is no error."""
    shown = hide_secrets(text, _Log.secrets, SHORTEST_HIDDEN)
    write_stdout("\n".join(escape_text(line) for line in shown.split("\n")) + "\n")


def print_document(members: object) -> None:
    """Prints a result as JSON, with secrets removed. Raises OutputError."""
    write_stdout(json.dumps(hide_in_value(members, _Log.secrets), indent=2) + "\n")


def write_stdout(text: str) -> None:
    """Writes text as it is. Raises OutputError."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard(sys.stdout)
    except OSError as error:
        _discard(sys.stdout)
        raise OutputError(f"cannot write the result to stdout: {error.strerror}") from error


def print_error(text: str) -> None:
    """Prints one line to stderr, if that is possible at all."""
    print_note(f"oscar-batch: {clean_line(text)}")


def print_note(text: str, *, end: str = "\n") -> None:
    """Prints text of our own to stderr, if that is possible at all."""
    try:
        print(text, end=end, file=sys.stderr, flush=True)
    except OSError:
        _discard(sys.stderr)


def print_progress(text: str, *, read_clock: Callable[[], float] = time.monotonic) -> None:
    """Shows a line of progress: on a terminal it replaces the last one, elsewhere it is logged.

    It is called after every page of a listing, so most lines are left out.
    """
    now_s = read_clock()
    if now_s < _Log.next_progress_s:
        return
    terminal = sys.stderr.isatty()
    _Log.next_progress_s = now_s + (_ON_TERMINAL_S if terminal else _ELSEWHERE_S)
    if not terminal:
        log.info("%s", text)
        return
    with suppress(OSError):
        width = os.get_terminal_size(sys.stderr.fileno()).columns
        print_note(f"{_CLEAR}{clean_line(text)[: max(20, width - 1)]}", end="")
        _Log.live = True


def _discard(stream: TextIO) -> None:
    """Sends what is left in a stream nowhere: else Python tries it again at its end, and fails."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class _Log:
    """What all lines of the log have in common."""

    run_id = "-"
    live = False
    """Whether the line that the cursor is on shows progress."""
    next_progress_s = 0.0
    secrets: frozenset[str] = frozenset()


class _Formatter(logging.Formatter):
    """Formats a record of any thread and module."""

    def __init__(self, *, tracebacks: bool) -> None:
        super().__init__("%(asctime)s %(levelname)s %(run_id)s: %(line)s", datefmt="%H:%M:%S")
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        record.run_id, record.line = _Log.run_id, clean_line(record.getMessage())
        record.asctime = self.formatTime(record, self.datefmt)
        text = (_CLEAR if _Log.live else "") + self.formatMessage(record)
        _Log.live = False
        if not (record.exc_info and self._tracebacks):
            return text
        trace = hide_secrets(self.formatException(record.exc_info), _Log.secrets, SHORTEST_HIDDEN)
        return "\n".join([text, *(escape_text(line)[:MAX_MESSAGE] for line in trace.split("\n"))])


def start_log(*, verbose: bool = False, tracebacks: bool = False) -> None:
    """Sends log lines to stderr: of level INFO and above, or all of them."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(tracebacks=verbose or tracebacks))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    logging.raiseExceptions = False  # a full disk below stderr ends nothing
    if verbose:
        logging.getLogger(__package__.partition(".")[0]).setLevel(logging.DEBUG)


def name_run(run_id: str) -> None:
    """Puts this id on all log lines that follow."""
    _Log.run_id = run_id


def hide_in_log(secrets: Iterable[str]) -> None:
    """Leaves these out of all lines that follow."""
    _Log.secrets |= set(secrets)


def clean_line(text: str) -> str:
    """A message on one line that can be shown anywhere."""
    return clean_text(hide_secrets(text, _Log.secrets, SHORTEST_HIDDEN), MAX_MESSAGE)
