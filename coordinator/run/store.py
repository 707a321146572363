# SPDX-License-Identifier: Apache-2.0
"""The objects of a run in the bucket: written and read through a `Bucket` that is passed in."""

from __future__ import annotations

import json
import logging
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256

from ..model.errors import Conflict, StorageError, clean_text
from ..model.items import Chunk
from ..model.planning import Cost
from ..model.pull.documents import End
from ..model.pull.lanes import Table
from ..model.pull.rounds import IndexObject
from ..model.run import Plan, Report, Speed
from ..model.service import Folder
from ..plan.timing import MAX_BYTES, read_cost, write_cost
from ..report.document import write_report
from ..report.page import render_page
from ..report.values import BadDocument
from ..storage.bucket import Bucket
from .chunk_table import find_widths, read_table
from .layout import REPORT_HTML, REPORT_JSON, RunLayout, make_report_key
from .plan_document import read_plan, write_plan
from .pull_documents import encode_document

log = logging.getLogger(__name__)

# The size of the table of a million chunks.
_MOST_PLAN_BYTES = 512 * 1024 * 1024
# A row has less than 256 bytes.
_MOST_TABLE_BYTES = 512 * 1024 * 1024

PROGRESS_SCHEMA = "oscar-batch/progress/1"
Files = Mapping[str, tuple[bytes, str]]
"""The files of a report: name → content and content type."""


def save_plan(state: Bucket, key: str, plan: Plan) -> Plan:
    """Writes the plan, unless there is one; returns the plan that is in the bucket."""
    content = json.dumps(write_plan(plan), indent=2).encode()
    try:
        state.put_new(key, content, "application/json")
    except Conflict:
        return load_plan(state, key) or plan
    return plan


def load_plan(state: Bucket, key: str) -> Plan | None:
    """The plan of a run; None if it was not planned. Raises StorageError if it is damaged."""
    content = state.read_small(key, _MOST_PLAN_BYTES)
    if content is None:
        return None
    try:
        return read_plan(json.loads(content))
    except (ValueError, RecursionError) as error:  # BadDocument is a ValueError
        raise StorageError(
            f"{state.name}/{key} cannot be read ({clean_text(str(error), 120)}): the run cannot be "
            "continued without its plan; put the object back, or set run.new: true"
        ) from error


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


def save_cost(state: Bucket, layout: RunLayout, service: str, cost: Cost) -> None:
    """Writes what a run measured, for the next run of the same service."""
    content = write_cost(cost, service, layout.run_id)
    state.write(layout.cost(service), content, "application/json")


def render_files(report: Report) -> Files:
    """The files of a report: name → content and content type."""
    document = json.dumps(write_report(report), indent=2, ensure_ascii=True)
    page = render_page(report).encode(errors="replace")
    return {
        REPORT_JSON: (document.encode(), "application/json"),
        REPORT_HTML: (page, "text/html; charset=utf-8"),
    }


def publish_end(state: Bucket, layout: RunLayout, report: Report, files: Files) -> None:
    """Writes the last object of a run; the first one stays."""
    end = End(
        run=report.run_id,
        ending=str(report.ending),
        counts=report.count_items(),
        finished=report.finished_at.isoformat(timespec="milliseconds"),
        files={name: sha256(content).hexdigest() for name, (content, _) in files.items()},
    )
    with suppress(Conflict):
        state.put_new(layout.end, encode_document(end), "application/json")


def read_round(
    state: Bucket, layout: RunLayout, number: int
) -> tuple[Table, IndexObject, tuple[int, ...], tuple[Chunk, ...]] | None:
    """The chunk table of a round: its widths, its index, the chunks of each lane, and the chunks.

    None if the round was not cut. Raises StorageError if the table is damaged.
    """
    key = layout.table(number)
    content = state.read_small(key, _MOST_TABLE_BYTES)
    if content is None:
        return None
    try:
        table = find_widths(content)
        return table, *read_table(content, table)
    except BadDocument as error:
        raise StorageError(
            f"{state.name}/{key} cannot be read ({error}): the run cannot be continued without it"
        ) from error


def put_stop(state: Bucket, layout: RunLayout) -> None:
    """Writes the `stop` of a run, unless it has one. It is never removed. StorageError."""
    content = json.dumps({"run": layout.run_id, "process": secrets.token_hex(8)}).encode()
    with suppress(Conflict):
        state.put_new(layout.stop, content, "application/json")


def publish_progress(state: Bucket, layout: RunLayout, report: Report, speed: Speed | None) -> None:
    """Writes how far a run is, for programs: a small object beside the report."""
    workers = Counter(str(worker.state) for worker in report.workers)
    members = {
        "schema": PROGRESS_SCHEMA,
        "run": report.run_id,
        "state": str(report.ending),
        "message": report.message,
        "started_at": report.started_at.isoformat(timespec="milliseconds"),
        "updated_at": report.finished_at.isoformat(timespec="milliseconds"),
        "counts": report.count_items(),
        "workers": dict(sorted(workers.items())),
        "items_per_s": speed.items_per_s if speed else None,
        "left_s": speed.left_s if speed and speed.items_per_s else None,
        "left_s_range": [speed.least_left_s, speed.most_left_s]
        if speed and speed.items_per_s
        else None,
    }
    content = json.dumps(members, indent=2).encode()
    state.write(layout.progress, content, "application/json")


def publish_files(files: Files, run_id: str, targets: Sequence[tuple[Bucket, Folder]]) -> None:
    """Writes the files of a report into the folder of the run, in each of the target folders."""
    for bucket, folder in targets:
        for name, (content, content_type) in files.items():
            bucket.write(make_report_key(folder, run_id, name), content, content_type)
