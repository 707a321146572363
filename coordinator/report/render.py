# SPDX-License-Identifier: Apache-2.0
"""`Report` → report.json, report.html and the summary on the terminal.

Pure: bytes and text out, nothing written here. The JSON form is versioned and described by
docs/report.schema.json; the page has no external assets, and whatever a key or an error body
holds is escaped. Called by `__main__` and `batch`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..model.cluster import Capacity, Resources
from ..model.items import Chunk, Index
from ..model.planning import Choice, Estimate
from ..model.run import Outcome, Plan, Report
from ..plan.explain import format_cores, memory

SCHEMA = "oscar-batch/report/1"
PLAN_SCHEMA = "oscar-batch/plan/1"
# Rows of the page's tables; the JSON has all of them.
MAX_ROWS = 200


def render_files(report: Report) -> dict[str, tuple[bytes, str]]:
    """The files of a report: name → content and content type."""
    document = json.dumps(report_document(report), indent=2, ensure_ascii=True)
    return {
        "report.json": (document.encode(), "application/json"),
        "report.html": (render_page(report).encode(errors="replace"), "text/html; charset=utf-8"),
    }


def report_document(report: Report) -> dict[str, Any]:
    """The report as JSON values."""
    plan = report.plan
    return {
        "schema": SCHEMA,
        "run": report.run_id,
        "ending": str(report.ending),
        "exit_code": report.ending.exit_code,
        "message": report.message,
        "started_at": report.started_at.isoformat(timespec="milliseconds"),
        "finished_at": report.finished_at.isoformat(timespec="milliseconds"),
        "setting": report.setting,
        "problems": list(report.problems),
        "warnings": list(report.warnings),
        "stages": [asdict(stage) for stage in report.stages],
        "counts": report.counts(),
        "size_bytes": plan.index.size_bytes if plan else 0,
        "confirmed": False,
        "capacity": capacity_document(report.capacity) if report.capacity else None,
        "index": _index_document(plan) if plan else None,
        "strategy": choice_document(plan.choice) if plan and plan.choice else None,
        "oversized": [asdict(item) for item in plan.oversized] if plan else [],
        "chunks": [_outcome_document(outcome) for outcome in _outcomes(report)],
        "skipped": [asdict(skipped) for skipped in plan.index.skipped] if plan else [],
    }


def plan_document(plan: Plan) -> dict[str, Any]:
    """The plan as JSON values; ranges are 1-based index lines, both ends included."""
    return {
        "schema": PLAN_SCHEMA,
        "run": plan.run_id,
        "service": plan.service,
        "data": str(plan.data),
        "index": _index_document(plan),
        "capacity": capacity_document(plan.capacity),
        "strategy": choice_document(plan.choice) if plan.choice else None,
        "oversized": [asdict(item) for item in plan.oversized],
        "chunks": [_chunk_document(Outcome(chunk)) for chunk in plan.chunks],
        "skipped": [asdict(skipped) for skipped in plan.index.skipped],
    }


def capacity_document(capacity: Capacity) -> dict[str, Any]:
    """The capacity as JSON values."""
    return {
        "slots": capacity.slots,
        "limited_by": capacity.limited_by,
        "explanation": capacity.explanation,
        "nodes": [asdict(node) for node in capacity.nodes],
        "caps": [asdict(cap) for cap in capacity.caps],
        "extra_slots": capacity.extra_slots,
        "warnings": list(capacity.warnings),
    }


def choice_document(choice: Choice) -> dict[str, Any]:
    """How the chunks were cut and why, as JSON values; times are null where none are known."""
    return {
        "name": str(choice.strategy),
        "reason": choice.reason,
        "estimate": asdict(choice.estimate) if choice.estimate else None,
        "cost": asdict(choice.cost),
        "candidates": [
            {
                "strategy": str(candidate.strategy),
                "chunks": candidate.chunks,
                "estimate": asdict(candidate.estimate) if candidate.estimate else None,
            }
            for candidate in choice.candidates
        ],
    }


def cut_document(index: Index, chunks: Sequence[Chunk], choice: Choice) -> dict[str, Any]:
    """A plan without a cluster, as JSON values: how a saved index is cut."""
    return {
        "schema": PLAN_SCHEMA,
        "index": {"items": index.items, "size_bytes": index.size_bytes},
        "strategy": choice_document(choice),
        "chunks": [_chunk_document(Outcome(chunk)) for chunk in chunks],
    }


def render_page(report: Report) -> str:
    """The report as one self-contained page."""
    return _TEMPLATES.get_template("report.html").render(
        report=report,
        counts=report.counts(),
        outcomes=_outcomes(report),
        max_rows=MAX_ROWS,
        seconds=(report.finished_at - report.started_at).total_seconds(),
    )


def render_summary(report: Report) -> str:
    """The report for a terminal: a few lines."""
    lines = [f"{report.ending}: {report.message}"]
    lines += [f"  problem: {problem}" for problem in report.problems]
    if report.capacity:
        lines.append(f"  capacity: {report.capacity.explanation}")
    if report.plan:
        index = report.plan.index
        lines.append(f"  index: {index.items} items, {format_bytes(index.size_bytes)}")
        if report.plan.choice and report.plan.chunks:
            lines.append(f"  plan: {render_choice(report.plan.choice, len(report.plan.chunks))}")
        if index.skipped_count:
            lines.append(f"  skipped: {index.skipped_count} objects, see the report")
        if index.left_out:
            rules = ", ".join(f"{count} by {rule}" for rule, count in index.left_out.items())
            lines.append(f"  left out: {rules}")
    lines += [f"  warning: {warning}" for warning in report.warnings]
    return "\n".join(lines)


def render_capacity(capacity: Capacity) -> str:
    """The capacity for a terminal: the sentence, the first nodes, the warnings."""
    lines = [f"{capacity.slots} at a time: {capacity.explanation}"]
    lines += [
        f"  {node.name}: {node.slots} ({node.limited_by}); "
        f"free {_room(node.free)}; stranded {_room(node.stranded)}"
        for node in capacity.nodes[:MAX_ROWS]
    ]
    hidden = len(capacity.nodes) - MAX_ROWS
    lines += [f"  … {hidden} more nodes, see --json …"] if hidden > 0 else []
    return "\n".join([*lines, *(f"  warning: {warning}" for warning in capacity.warnings)])


def render_choice(choice: Choice, chunks: int) -> str:
    """How and why the chunks were cut, and how long they would take, for a terminal."""
    text = f"{chunks} {'chunk' if chunks == 1 else 'chunks'}, {choice.strategy}"
    if choice.estimate:
        text += f", about {format_estimate(choice.estimate)}"
    return f"{text} ({choice.reason})"


def format_estimate(told: Estimate) -> str:
    """A time with its spread: `42 min 0 s (38 min 10 s to 51 min 5 s)`."""
    spread = f"{format_duration(told.low_s)} to {format_duration(told.high_s)}"
    return f"{format_duration(told.expected_s)} ({spread})"


def render_chunks(chunks: Sequence[Chunk]) -> str:
    """The chunks of a plan for a terminal, the first and last ones of many."""
    lines = [_chunk_line(Outcome(chunk)) for chunk in chunks]
    if len(lines) > 20:
        lines[10:-10] = [f"  … {len(lines) - 20} more chunks, see --json …"]
    return "\n".join(lines)


def format_bytes(size_bytes: float) -> str:
    """Bytes for people: `3.4 MiB`."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} {unit}" if unit == "bytes" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} TiB"


def format_duration(seconds: float) -> str:
    """A time for people: `23 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _room(free: Resources) -> str:
    gpus = f", {free.gpus} GPU" if free.gpus else ""
    return f"{format_cores(free.cpu_millicores)}, {memory(free.memory_bytes)}{gpus}"


def _outcomes(report: Report) -> tuple[Outcome, ...]:
    """Every chunk with its outcome; those of a plan that was not acted on are pending."""
    if report.outcomes or not report.plan:
        return report.outcomes
    return tuple(Outcome(chunk) for chunk in report.plan.chunks)


def _index_document(plan: Plan) -> dict[str, Any]:
    return {
        "bucket": plan.index_bucket,
        "key": plan.index_key,
        "items": plan.index.items,
        "size_bytes": plan.index.size_bytes,
        "skipped": plan.index.skipped_count,
        "left_out": dict(plan.index.left_out),
    }


def _chunk_document(outcome: Outcome) -> dict[str, Any]:
    chunk = outcome.chunk
    return {
        "number": chunk.number,
        "start": chunk.first_line,
        "end": chunk.last_line,
        "items": chunk.items,
        "size_bytes": chunk.size_bytes,
    }


def _outcome_document(outcome: Outcome) -> dict[str, Any]:
    return {
        **_chunk_document(outcome),
        "state": str(outcome.state),
        "attempts": outcome.attempts,
        "job": outcome.job,
        "detail": outcome.detail,
    }


def _chunk_line(outcome: Outcome) -> str:
    chunk = outcome.chunk
    where = f"lines {chunk.first_line} to {chunk.last_line}"
    items = "1 item" if chunk.items == 1 else f"{chunk.items} items"
    return f"  chunk {chunk.number}: {where}, {items}, {format_bytes(chunk.size_bytes)}"


_TEMPLATES = Environment(
    loader=PackageLoader(__package__),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {
    "size": format_bytes,
    "duration": format_duration,
    "estimate": format_estimate,
    "room": _room,
}
