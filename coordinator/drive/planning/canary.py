# SPDX-License-Identifier: Apache-2.0
"""The canary of a run: a few items that are run first, so that a mistake costs a few items.

It is a run of its own, with its own folder and report. The rest is planned with what it measured,
and leaves out what it did.
"""

from __future__ import annotations

from dataclasses import replace

from ...config.load import Config
from ...model.errors import Ending
from ...model.run import Report, Tolerance
from ...run.layout import RunLayout
from ...run.lines import split_lines
from ...storage.bucket import Bucket
from .indexing import KnownItems


def make_canary(config: Config) -> Config:
    """The config of the canary alone; without a tolerance none of its items may fail."""
    return replace(
        config,
        canary=0,
        must_prove=True,
        run_id="",
        selection=replace(config.selection, sample=config.canary),
        rules=replace(
            config.rules,
            watch=True,
            tolerated_failures=config.rules.tolerated_failures or Tolerance(),
        ),
    )


def make_rest(config: Config, canary: Report) -> Config:
    """The config of what is left after a canary."""
    return replace(config, canary=0, canary_run=canary.run_id)


def has_passed(canary: Report) -> bool:
    """Whether the rest may be run."""
    return canary.ending in {Ending.DONE, Ending.TOLERATED}


def read_canary(state: Bucket, layout: RunLayout) -> KnownItems:
    """The items that the canary has done. Raises StorageError."""
    if not layout.run_id:
        return KnownItems()
    return KnownItems(frozenset(split_lines(state.read_pieces(layout.done))))
