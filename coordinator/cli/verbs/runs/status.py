# SPDX-License-Identifier: Apache-2.0
"""`status`: shows how far a run is, from its folder alone; `--follow` until it has ended."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from ....drive.runs.status import RunStatus, StatusReader, find_newest, write_status
from ....model.errors import Ending
from ....model.pull.lanes import Timing
from ....run.folder import RunState
from ....run.layout import RunLayout
from ....storage.bucket import Bucket
from ...inputs import read_config
from ...output import print_document, print_result, write_stdout
from .text import render_line, render_status

# A line comes as often as in a run. On a terminal a block replaces the last one.
_LINE_S, _BLOCK_S = 10.0, 2.0


def execute(arguments: argparse.Namespace) -> int:
    """Prints the status of a run; the exit code is 0, or with `--follow` that of its ending."""
    config = read_config(arguments.config)
    state = Bucket(config.storage, config.locations.state.bucket)
    layout, ttl_s = RunLayout(config.locations, arguments.run or ""), Timing().lease_ttl_s
    if not arguments.run:
        layout = find_newest(state, layout, config.service, ttl_s)
    reader = StatusReader(state, layout, ttl_s)
    if arguments.follow:
        live = sys.stdout.isatty() and not arguments.json
        return follow(reader, _choose_show(live, as_json=arguments.json), live=live)
    status = reader.read()
    if arguments.json:
        print_document(write_status(status))
    else:
        print_result("\n".join(render_status(status)))
    return 0


def follow(
    reader: StatusReader,
    show: Callable[[RunStatus], None],
    *,
    live: bool,
    wait: Callable[[float], object] = time.sleep,
) -> int:
    """Shows the run until it has ended; the exit code of its ending."""
    while True:
        status = reader.read()
        show(status)
        if status.folder.state is RunState.ENDED:
            return find_exit_code(status.folder.end.ending if status.folder.end else "")
        wait(_BLOCK_S if live else _LINE_S)


def find_exit_code(ending: str) -> int:
    """The exit code of an ending, by its name in end.json."""
    known = {str(each): each.exit_code for each in Ending}
    return known.get(ending, Ending.BROKEN.exit_code)


def _choose_show(live: bool, *, as_json: bool) -> Callable[[RunStatus], None]:
    """Chooses how to show a status: as JSON, as a block that replaces the last, or as a line."""
    shown = 0

    def replace_block(status: RunStatus) -> None:
        nonlocal shown
        width = _find_width()
        lines = [line[:width] for line in render_status(status)]
        if shown:
            write_stdout(f"\x1b[{shown}F\x1b[J")
        shown = len(lines)
        print_result("\n".join(lines))

    def add_line(status: RunStatus) -> None:
        whole = status.folder.state is RunState.ENDED
        print_result("\n".join(render_status(status)) if whole else render_line(status))

    if as_json:
        return lambda status: print_document(write_status(status))
    return replace_block if live else add_line


def _find_width() -> int:
    """The columns of the terminal. A line that wraps cannot be replaced."""
    with suppress(OSError):
        return os.get_terminal_size(sys.stdout.fileno()).columns - 1
    return 79
