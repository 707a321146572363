# SPDX-License-Identifier: Apache-2.0
"""`Report` ⇄ report.json, and the JSON of capacity, chunks and choice that other documents share.

The form is described by docs/report.schema.json. Ranges of lines are 1-based and include both
ends. The rows of the chunks leave out what only the plan needs, so a report is read back together
with its plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from ..model.cluster import Capacity
from ..model.errors import clean_text
from ..model.items import Chunk
from ..model.planning import Choice
from ..model.pull.findings import Accounts
from ..model.pull.history import History
from ..model.run import Outcome, Plan, Report
from .values import BadDocument, check_schema, read_value

SCHEMA = "oscar-batch/report/1"


def write_report(report: Report) -> dict[str, Any]:
    """The report as JSON values."""
    plan = report.plan
    return {
        "schema": SCHEMA,
        "run": report.run_id,
        "ending": str(report.ending),
        "exit_code": None if report.running else report.ending.exit_code,
        "message": report.message,
        "started_at": report.started_at.isoformat(timespec="milliseconds"),
        "finished_at": report.finished_at.isoformat(timespec="milliseconds"),
        "setting": report.setting,
        "settings": [asdict(setting) for setting in report.settings],
        "origin": asdict(report.origin),
        "problems": list(report.problems),
        "warnings": list(report.warnings),
        "stages": [asdict(stage) for stage in report.stages],
        "counts": report.count_items(),
        "size_bytes": plan.index.size_bytes if plan else 0,
        "confirmed": report.accounts is not None and not report.accounts.unconfirmed,
        "accounts": _write_accounts(report.accounts) if report.accounts else None,
        "capacity": write_capacity(report.capacity) if report.capacity else None,
        "index": write_index(plan) if plan else None,
        "strategy": write_choice(plan.choice) if plan and plan.choice else None,
        "oversized": [asdict(item) for item in plan.oversized] if plan else [],
        "chunks": [_write_outcome(outcome) for outcome in report.outcomes],
        "workers": [_write_moments(asdict(worker)) for worker in report.workers],
        "speed": asdict(report.speed) if report.speed else None,
        "history": _write_history(report.history) if report.history else None,
        "skipped": [asdict(skipped) for skipped in plan.index.skipped] if plan else [],
    }


def read_report(raw: object, plan: Plan | None) -> Report:
    """The report that `write_report` wrote, of a run with this plan. Raises BadDocument."""
    members = check_schema(raw, SCHEMA)
    own: dict[str, Any] = {"run_id": members.get("run"), "plan": None, "outcomes": []}
    report = read_value(Report, {**members, **own})
    chunks = {chunk.number: chunk for chunk in plan.chunks} if plan else {}
    rows = read_value(list[dict[str, Any]], members.get("chunks"), "chunks")
    return replace(report, plan=plan, outcomes=tuple(_read_outcome(row, chunks) for row in rows))


def _write_accounts(accounts: Accounts) -> dict[str, Any]:
    return {**asdict(accounts), "failures": [asdict(failure) for failure in accounts.failures]}


def _write_history(history: History) -> dict[str, Any]:
    groups = [
        {**asdict(group), "examples": [asdict(example) for example in group.examples]}
        for group in history.groups
    ]
    return {
        "spans": [_write_moments(asdict(span)) for span in history.spans],
        "groups": groups,
        "ungrouped": history.ungrouped,
        "slowest": [asdict(item) for item in history.slowest],
        "seconds": [asdict(each) for each in history.seconds],
    }


def _write_moments(members: dict[str, Any]) -> dict[str, Any]:
    """The members with their times as text."""
    return {
        name: value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else value
        for name, value in members.items()
    }


def write_capacity(capacity: Capacity) -> dict[str, Any]:
    """The capacity as JSON values; `read_value` reads it back."""
    return {
        **asdict(capacity),
        "nodes": [asdict(node) for node in capacity.nodes],
        "caps": [asdict(cap) for cap in capacity.caps],
        "warnings": list(capacity.warnings),
    }


def write_choice(choice: Choice) -> dict[str, Any]:
    """How the chunks were cut and why; times are null where none are known."""
    document = asdict(choice)
    name = document.pop("strategy")
    candidates = [asdict(candidate) for candidate in choice.candidates]
    return {"name": str(name), **document, "candidates": candidates}


def read_choice(raw: object) -> Choice | None:
    """The choice that `write_choice` wrote. Raises BadDocument."""
    if raw is None:
        return None
    members = read_value(dict[str, Any], raw, "strategy")
    return read_value(Choice, {**members, "strategy": members.get("name")}, "strategy")


def write_index(plan: Plan) -> dict[str, Any]:
    """Where the index of a run is and what it counts."""
    return {
        "bucket": plan.index_bucket,
        "key": plan.index_key,
        "items": plan.index.items,
        "size_bytes": plan.index.size_bytes,
        "skipped": plan.index.skipped_count,
        "left_out": dict(plan.index.left_out),
        "largest": [asdict(item) for item in plan.index.largest],
        "sizes": [asdict(each) for each in plan.index.sizes],
    }


def write_chunk(chunk: Chunk) -> dict[str, Any]:
    """The lines of a chunk and its size, as users count them."""
    return {
        "number": chunk.number,
        "start": chunk.first_line,
        "end": chunk.last_line,
        "items": chunk.items,
        "size_bytes": chunk.size_bytes,
    }


def _write_outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        **write_chunk(outcome.chunk),
        "state": str(outcome.state),
        "attempts": outcome.attempts,
        "job": outcome.job,
        "detail": outcome.detail,
    }


def _read_outcome(row: Mapping[str, Any], chunks: Mapping[int, Chunk]) -> Outcome:
    number = row.get("number")
    if not isinstance(number, int) or number not in chunks:
        raise BadDocument(f"chunks: the plan has no chunk {clean_text(str(number), 40)}")
    return read_value(Outcome, {**row, "chunk": asdict(chunks[number])}, f"chunk {number}")
