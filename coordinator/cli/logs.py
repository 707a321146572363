# SPDX-License-Identifier: Apache-2.0
"""The log on stderr, with the id of the run on every line."""

from __future__ import annotations

import logging
import sys


class _RunFilter(logging.Filter):
    """Adds the id of the run to every record, whatever thread and module it comes from."""

    run_id = "-"

    def filter(self, record: logging.LogRecord) -> bool:
        record.run_id = self.run_id
        return True


_RUN = _RunFilter()


def start_log() -> None:
    """Sends log lines of level INFO and above to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_RUN)
    logging.basicConfig(
        handlers=[handler],
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(run_id)s: %(message)s",
        datefmt="%H:%M:%S",
    )


def name_run(run_id: str) -> None:
    """Puts this id on all log lines that follow."""
    _RUN.run_id = run_id
