# SPDX-License-Identifier: Apache-2.0
"""`cancel`: ends a run for good. If no coordinator is alive, `cancel` ends the run itself.

Then it drives the run like a coordinator that continues it, because the end of a run is the same
work for both. The `stop` prevents it from starting anything.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

from ....config.load import Config
from ....drive.clients import Clients
from ....drive.runs.cancelling import aim_at, find_run, wait_for_holder
from ....model.errors import Ending
from ....report.document import write_report
from ....report.text import render_summary
from ....run.folder import RunFolder, RunState
from ....run.layout import RunLayout
from ....run.store import put_stop
from ...inputs import read_config
from ...output import print_document, print_error, print_result
from ..run import make_clients, run_config
from .text import render_end


def execute(arguments: argparse.Namespace) -> int:
    """Cancels a run; the exit code is 0 once it has ended."""
    return cancel(arguments, make_clients, time.sleep)


def cancel(
    arguments: argparse.Namespace,
    connect: Callable[[Config], Clients],
    wait: Callable[[float], object],
) -> int:
    """Cancels a run with these servers. Raises BatchError and KeyboardInterrupt."""
    config = read_config(arguments.config)
    clients = connect(config)
    layout, ttl_s = RunLayout(config.locations, arguments.run), clients.timing.lease_ttl_s
    run = find_run(clients.state, layout, ttl_s)
    if run.state is RunState.ENDED:
        return _show_end(run, as_json=arguments.json)
    put_stop(clients.state, layout)
    try:
        while True:
            run = wait_for_holder(clients.state, layout, ttl_s, wait)
            if run.state is RunState.ENDED:
                return _show_end(run, as_json=arguments.json)
            report = run_config(arguments.config, adapt=partial(aim_at, run=run), connect=connect)
            if report.ending not in {Ending.HELD, Ending.NOTHING_TO_DO}:
                break
    except KeyboardInterrupt:
        _say_in_force(layout.run_id)
        raise
    if arguments.json:
        print_document(write_report(report))
    else:
        print_result(render_summary(report))
    if find_run(clients.state, layout, ttl_s).state is RunState.ENDED:
        return 0
    _say_in_force(layout.run_id)
    return report.ending.exit_code or Ending.BROKEN.exit_code


def _show_end(run: RunFolder, *, as_json: bool) -> int:
    if as_json:
        counts = run.end.counts if run.end else {}
        ending = run.end.ending if run.end else None
        print_document({"run": run.run_id, "ending": ending, "counts": counts})
    else:
        print_result(render_end(run))
    return 0


def _say_in_force(run_id: str) -> None:
    print_error(
        f"run {run_id} has not ended yet; its stop stays in force: its workers take no more "
        "items. Run the same command again, or wait for its coordinator to end the run"
    )
