# SPDX-License-Identifier: Apache-2.0
"""Asks for the end of a run, and waits until it has ended or nobody drives it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from ...config.load import Config
from ...model.errors import ConfigError
from ...run.folder import RunFolder, RunState, read_folder
from ...run.layout import RunLayout
from ...run.lease import compute_ttl_s
from ...storage.bucket import Bucket

log = logging.getLogger(__name__)

LOOK_S = 2.0


def wait_for_holder(
    state: Bucket, layout: RunLayout, ttl_s: float, wait: Callable[[float], object]
) -> RunFolder:
    """Waits until a run has ended, or until nobody drives it. Raises StorageError."""
    ttl_s = compute_ttl_s(ttl_s, exclusive=state.honours_condition(layout.probe))
    said = False
    while True:
        run = find_run(state, layout, ttl_s)
        if run.state is RunState.ENDED or not run.lease.is_held(ttl_s):
            return run
        if not said:
            log.info("the coordinator of run %s brings it to its end", layout.run_id)
        said = True
        wait(LOOK_S)


def find_run(state: Bucket, layout: RunLayout, ttl_s: float) -> RunFolder:
    """What the folder of a run says. Raises ConfigError if there is no such run."""
    run = read_folder(state, layout, ttl_s)
    if run is None:
        where = layout.locations.state
        raise ConfigError([f"there is no run {layout.run_id} in {where}; `runs` lists all"])
    return run


def aim_at(config: Config, run: RunFolder) -> Config:
    """Makes the config that continues this run. The items are those of its plan."""
    return replace(
        config,
        run_id=run.run_id,
        redrive=False,
        second=False,
        dry_run=False,
        service="" if run.planned else config.service,
        payload="",
        rules=replace(config.rules, watch=True),
    )
