# SPDX-License-Identifier: Apache-2.0
"""`runs`: lists all runs of a state folder, the newest first."""

from __future__ import annotations

import argparse

from ....drive.runs.status import read_counts, write_folder
from ....model.pull.lanes import Timing
from ....run.folder import find_runs
from ....run.layout import RunLayout
from ....storage.bucket import Bucket
from ...inputs import read_config
from ...output import print_document, print_result
from .text import render_runs


def execute(arguments: argparse.Namespace) -> int:
    """Prints a line for each run."""
    config = read_config(arguments.config)
    place = config.locations.state
    state = Bucket(config.storage, place.bucket)
    found = find_runs(state, RunLayout(config.locations, ""), Timing().lease_ttl_s)
    runs = [(run, read_counts(state, run)) for run in found]
    if arguments.json:
        rows = [{**write_folder(run), "counts": counts} for run, counts in runs]
        print_document({"schema": "oscar-batch/runs/1", "state": str(place), "runs": rows})
    elif runs:
        print_result("\n".join(render_runs(runs)))
    else:
        print_result(f"no run in {place}")
    return 0
