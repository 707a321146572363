# SPDX-License-Identifier: Apache-2.0
"""The canary of a run: a few items that are run first, so that a mistake costs a few items.

The canary is a run of its own, with its own folder and report. The rest is planned with the times
that it measured, and leaves out the items that it has done.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from ...config.load import Config
from ...model.errors import ConfigError, Ending, clean_text
from ...model.run import Report, Tolerance
from ...run.folder import RunState, read_folder
from ...run.layout import RunLayout
from ...run.lines import split_lines
from ...storage.bucket import Bucket
from .indexing import KnownItems

PASSED = frozenset({Ending.DONE, Ending.TOLERATED})


def name_canary(run_id: str) -> str:
    """The id of the canary of a run whose id the config says: every drop of it means the same."""
    return f"{run_id[:-6]}{sha256(run_id.encode()).hexdigest()[:6]}" if run_id else ""


def find_passed(state: Bucket, layout: RunLayout) -> str:
    """The id of the canary that an earlier drop ran for this run; empty if there is none.

    Raises ConfigError if it did not pass.
    """
    name = name_canary(layout.run_id)
    run = read_folder(state, layout.with_run(name), 0) if name else None
    if run is None or run.state is not RunState.ENDED:
        return ""
    if run.end and run.end.ending in {str(each) for each in PASSED} and run.began:
        return name
    ending = clean_text(run.end.ending, 40) if run.end else "unknown"
    raise ConfigError(
        [
            f"run.canary: the canary of run {layout.run_id} was run {name}, and has ended: "
            f"{ending}; drop the config with another run.id, or without one"
        ]
    )


def make_canary(config: Config) -> Config:
    """The config of the canary alone; without a tolerance none of its items may fail."""
    return replace(
        config,
        canary=0,
        must_prove=True,
        run_id=name_canary(config.run_id),
        selection=replace(config.selection, sample=config.canary),
        rules=replace(
            config.rules,
            watch=True,
            tolerated_failures=config.rules.tolerated_failures or Tolerance(),
        ),
    )


def make_rest(config: Config, canary_run: str) -> Config:
    """The config of the rest, after a canary."""
    return replace(config, canary=0, canary_run=canary_run)


def has_passed(canary: Report) -> bool:
    """Whether the rest may be run."""
    return canary.ending in PASSED


def read_canary(state: Bucket, layout: RunLayout) -> KnownItems:
    """The items that the canary has done. Raises StorageError."""
    if not layout.run_id:
        return KnownItems()
    return KnownItems(frozenset(split_lines(state.read_pieces(layout.done))))
