# SPDX-License-Identifier: Apache-2.0
"""Writes the report of a run into the bucket, while the run works and when it has ended."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace

from ..model.errors import BatchError, Ending, HeldByOther, StorageError
from ..model.run import Report
from ..model.service import Folder, Locations
from ..run.layout import RunLayout
from ..run.store import publish_end, publish_files, publish_progress, render_files
from ..storage.bucket import Bucket
from .progress import Progress

log = logging.getLogger(__name__)

# The report so far is written this often, and takes at most this part of the time: less while the
# objects are listed, because the listing waits for it.
_EVERY_S, _SHARE, _LISTING_SHARE = 10.0, 0.05, 0.005


class Publisher:
    """Writes the files of one run's report to the state folder and to that of the copies."""

    def __init__(
        self,
        locations: Locations,
        state: Bucket,
        copies: Bucket | None,
        progress: Progress,
        now_s: Callable[[], float],
    ) -> None:
        self._locations, self._state, self._progress = locations, state, progress
        self._now_s = now_s
        self._began_s, self._spent_s = -math.inf, 0.0
        """Of the last report: when it was begun, and how long it took."""
        self._targets: list[tuple[Bucket, Folder]] = [(state, locations.state)]
        if copies and locations.report:
            self._targets.append((copies, locations.report))

    def refresh(self) -> None:
        """Writes the report so far if it is time; a failure is only logged."""
        began_s = self._now_s()
        share = _SHARE if self._progress.plan else _LISTING_SHARE
        pause_s = max(_EVERY_S, self._spent_s / share)
        early = began_s < self._began_s + pause_s and not self._progress.due
        if early or self._progress.lease is None:
            return
        self._progress.due = False
        report = self._progress.make_report(Ending.RUNNING, self._progress.describe())
        try:
            publish_files(render_files(report), report.run_id, self._targets)
            layout = RunLayout(self._locations, report.run_id)
            publish_progress(self._state, layout, report, self._progress.speed)
        except StorageError as error:
            log.warning("the report so far is not in the bucket: %s", error)
        self._began_s, self._spent_s = began_s, self._now_s() - began_s

    def publish(self, report: Report) -> Report:
        """Writes the final files, and the end of a run that is over.

        Returns the report, with a warning if that failed. Raises HeldByOther.
        """
        progress, layout = self._progress, RunLayout(self._locations, report.run_id)
        try:
            if progress.lease:
                progress.lease.check_holder()
            files = render_files(report)
            publish_files(files, report.run_id, self._targets)
            publish_progress(self._state, layout, report, None)
            if progress.over:
                publish_end(self._state, layout, report, files)
                progress.remove_earlier()
            if progress.lease:
                progress.lease.leave()
        except HeldByOther:
            raise
        except BatchError as error:
            progress.warn(f"the report is not in the bucket: {error}")
        except KeyboardInterrupt:
            progress.warn("the report is not in the bucket: its writing was interrupted")
        return replace(report, warnings=tuple(progress.warnings))
