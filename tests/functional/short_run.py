# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.functional.short_run CONFIG`: a run with the times of the protocol shortened."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from coordinator.cli.verbs.run import make_clients, run_config
from coordinator.config.load import Config
from coordinator.drive.clients import Clients
from coordinator.model.pull.lanes import Timing
from coordinator.report.text import render_summary

# `Last-Modified` may have whole seconds, so none is much shorter than three.
TIMING = Timing(beat_s=1, lost_after_s=4, look_gap_s=3, storage_patience_s=30, lease_ttl_s=9)


def connect(config: Config) -> Clients:
    return replace(make_clients(config), timing=TIMING)


def main() -> int:
    report = run_config(Path(sys.argv[1]), dry_run=False, connect=connect)
    print(render_summary(report))
    return report.ending.exit_code


if __name__ == "__main__":
    sys.exit(main())
