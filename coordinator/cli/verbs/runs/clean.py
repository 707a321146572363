# SPDX-License-Identifier: Apache-2.0
"""`clean`: removes the folders of runs that have ended, after asking."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable

from ....config.checks import MOST_DAYS
from ....config.load import Config
from ....drive.runs.cancelling import find_run
from ....drive.runs.removing import find_obstacle, is_older, remove_run
from ....model.errors import ConfigError
from ....model.pull.lanes import Timing
from ....run.folder import RunFolder, RunState, find_runs
from ....run.layout import RunLayout
from ....storage.bucket import Bucket
from ...inputs import read_config
from ...output import print_document, print_note, print_result
from ...questions import can_ask, confirm
from .text import render_end

log = logging.getLogger(__name__)


def execute(arguments: argparse.Namespace) -> int:
    """Removes the chosen runs. If it raises BatchError, nothing was removed."""
    config = read_config(arguments.config)
    return clean(arguments, config, Bucket(config.storage, config.locations.state.bucket))


def clean(
    arguments: argparse.Namespace,
    config: Config,
    state: Bucket,
    agree: Callable[[str], bool] = confirm,
) -> int:
    """Removes the chosen runs of a state folder. Raises BatchError."""
    layout, timing = RunLayout(config.locations, ""), Timing()
    days = arguments.older_than
    if days is not None and not 0 <= days < MOST_DAYS:
        raise ConfigError([f"--older-than: must be a number of days from 0 to {MOST_DAYS}"])
    if arguments.runs:
        chosen = _take_named(state, layout, arguments.runs, timing)
    else:
        chosen = _find_ended(state, layout, timing)
    if days is not None:
        chosen = [run for run in chosen if is_older(state, run, days)]
    if not (chosen and (arguments.yes or _ask(chosen, agree))):
        print_result("nothing is removed")
        return 0
    counts = {run.run_id: remove_run(state, run.layout) for run in chosen}
    if arguments.json:
        print_document({"removed": counts})
    else:
        lines = [f"run {run_id}: {count:,} objects removed" for run_id, count in counts.items()]
        print_result("\n".join(lines))
    return 0


def _take_named(
    state: Bucket, layout: RunLayout, names: list[str], timing: Timing
) -> list[RunFolder]:
    """The runs of these ids. Raises ConfigError if one of them must stay."""
    runs = [find_run(state, layout.with_run(name), timing.lease_ttl_s) for name in names]
    obstacles = {run.run_id: find_obstacle(state, run, timing.lost_after_s) for run in runs}
    if problems := [f"run {name}: {why}" for name, why in obstacles.items() if why]:
        raise ConfigError([*problems, "nothing is removed"])
    return runs


def _find_ended(state: Bucket, layout: RunLayout, timing: Timing) -> list[RunFolder]:
    """All runs that may be removed; logs why each other run with a folder stays."""
    found = []
    for run in find_runs(state, layout, timing.lease_ttl_s):
        if run.state is RunState.ENDED and run.began is None:
            continue
        if why := find_obstacle(state, run, timing.lost_after_s):
            log.info("run %s stays: %s", run.run_id, why)
        else:
            found.append(run)
    return found


def _ask(runs: list[RunFolder], agree: Callable[[str], bool]) -> bool:
    """Whether a person agrees. Raises ConfigError where nobody can be asked."""
    if agree is confirm and not can_ask():
        raise ConfigError(["there is no terminal to ask on: use --yes to remove without asking"])
    for run in runs:
        print_note(render_end(run))
    count = "the folder of this run" if len(runs) == 1 else f"the folders of these {len(runs)} runs"
    return agree(f"Remove {count}, with lists and reports?")
