# SPDX-License-Identifier: Apache-2.0
"""The objects of a run in the bucket: written and read through a `Bucket` that is passed in."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256

from ..model.errors import AlreadyStarted, Conflict, StorageError
from ..model.planning import Cost
from ..model.pull.documents import End
from ..model.run import Plan, Report
from ..model.service import Folder
from ..plan.timing import MAX_BYTES, read_cost
from ..report.document import write_report
from ..report.page import render_page
from ..storage.bucket import Bucket
from .layout import REPORT_HTML, REPORT_JSON, RunLayout, make_report_key
from .plan_document import write_plan
from .pull_documents import encode_document

log = logging.getLogger(__name__)

Files = Mapping[str, tuple[bytes, str]]
"""The files of a report: name → content and content type."""


def claim_run(state: Bucket, key: str, run_id: str) -> None:
    """Creates the first object of a run. Raises AlreadyStarted if another process has."""
    content = json.dumps({"run": run_id, "process": secrets.token_hex(8)}).encode()
    try:
        state.put_new(key, content, "application/json")
    except Conflict as error:
        raise AlreadyStarted(
            f"run {run_id} was started by an earlier drop of this config; this drop changes nothing"
        ) from error


def save_plan(state: Bucket, key: str, plan: Plan) -> None:
    """Writes the plan beside the index."""
    state.write(key, json.dumps(write_plan(plan), indent=2).encode(), "application/json")


def load_last_cost(state: Bucket, key: str) -> Cost | None:
    """What the last run of the service measured; None if that is not known.

    A plan can be made without it, so an error of the storage is only logged.
    """
    try:
        content = state.read_small(key, MAX_BYTES)
    except StorageError as error:
        log.info("the cost of an earlier run cannot be read: %s", error)
        return None
    return read_cost(content) if content else None


def render_files(report: Report) -> Files:
    """The files of a report: name → content and content type."""
    document = json.dumps(write_report(report), indent=2, ensure_ascii=True)
    page = render_page(report).encode(errors="replace")
    return {
        REPORT_JSON: (document.encode(), "application/json"),
        REPORT_HTML: (page, "text/html; charset=utf-8"),
    }


def publish_end(state: Bucket, layout: RunLayout, report: Report, files: Files) -> None:
    """Writes the last object of a run whose chunks all have a result; the first one stays."""
    if report.accounts is None or report.accounts.open_chunks:
        return
    end = End(
        run=report.run_id,
        ending=str(report.ending),
        counts=report.count_items(),
        finished=report.finished_at.isoformat(timespec="milliseconds"),
        files={name: sha256(content).hexdigest() for name, (content, _) in files.items()},
    )
    with suppress(Conflict):
        state.put_new(layout.end, encode_document(end), "application/json")


def publish_files(files: Files, run_id: str, targets: Sequence[tuple[Bucket, Folder]]) -> None:
    """Writes the files of a report into the folder of the run, in each of the target folders."""
    for bucket, folder in targets:
        for name, (content, content_type) in files.items():
            bucket.write(make_report_key(folder, run_id, name), content, content_type)
