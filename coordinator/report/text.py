# SPDX-License-Identifier: Apache-2.0
"""`Report`, capacity and chunks → a few lines of text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from ..model.cluster import Capacity, Resources
from ..model.errors import Ending, clean_text
from ..model.items import Chunk
from ..model.planning import Choice, Estimate
from ..model.pull.findings import Accounts
from ..model.run import Report
from ..model.units import format_bytes, format_cores, format_duration

# Nodes that are listed; the JSON has all of them.
MAX_NODES = 200
# Failed items that are listed; failed.jsonl has all of them.
MAX_FAILURES = 10


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
    lines += _render_failures(report.accounts) if report.accounts else []
    sent = any(each.attempts for each in report.outcomes) or bool(report.workers)
    if sent and not report.accounts:
        lines.append("  done: unconfirmed, because a run does not watch the jobs it starts")
    lines += [f"  warning: {warning}" for warning in report.warnings]
    if report.plan and report.ending is not Ending.PLANNED:
        folder = report.plan.folder
        lines.append(f"  report: {folder.bucket}/{folder.prefix}report.html")
    return "\n".join(lines)


def _render_failures(accounts: Accounts) -> list[str]:
    """The first failed items, each with the reason and the last line that its program wrote."""
    lines = []
    for failure in accounts.failures[:MAX_FAILURES]:
        said = clean_text(failure.stderr.strip().rpartition("\n")[2], 120)
        lines.append(
            f"  failed: {clean_text(failure.key, 120)}: {clean_text(failure.reason)}"
            + (f" ({said})" if said else "")
        )
    hidden = accounts.failed - len(lines)
    return [*lines, f"  … {hidden} more failed items, see failed.jsonl …"] if hidden > 0 else lines


def render_capacity(capacity: Capacity) -> str:
    """The capacity for a terminal: the sentence, the first nodes, the warnings."""
    lines = [f"{capacity.slots} at a time: {capacity.explanation}"]
    lines += [
        f"  {node.name}: {node.slots} ({node.limited_by}); "
        f"free {format_free(node.free)}; stranded {format_free(node.stranded)}"
        for node in capacity.nodes[:MAX_NODES]
    ]
    hidden = len(capacity.nodes) - MAX_NODES
    lines += [f"  … {hidden} more nodes, see --json …"] if hidden > 0 else []
    return "\n".join([*lines, *(f"  warning: {warning}" for warning in capacity.warnings)])


def render_choice(choice: Choice, chunks: int) -> str:
    """How and why the chunks were cut, and how long they would take, for a terminal."""
    text = f"{chunks} {'chunk' if chunks == 1 else 'chunks'}, {choice.strategy}"
    if choice.estimate:
        text += f", about {format_estimate(choice.estimate)}"
    return f"{text} ({choice.reason})"


def render_chunks(chunks: Sequence[Chunk]) -> str:
    """The chunks of a plan for a terminal, the first and last ones of many."""
    lines = [_render_chunk(chunk) for chunk in chunks]
    if len(lines) > 20:
        lines[10:-10] = [f"  … {len(lines) - 20} more chunks, see --json …"]
    return "\n".join(lines)


def format_estimate(times: Estimate) -> str:
    """A time with its spread: `42 min 0 s (38 min 10 s to 51 min 5 s)`."""
    spread = f"{format_duration(times.low_s)} to {format_duration(times.high_s)}"
    return f"{format_duration(times.expected_s)} ({spread})"


def format_free(free: Resources) -> str:
    """Free resources: `1.5 CPU, 2 GiB`."""
    gpus = f", {free.gpus} GPU" if free.gpus else ""
    return f"{format_cores(free.cpu_millicores)}, {format_bytes(free.memory_bytes)}{gpus}"


def _render_chunk(chunk: Chunk) -> str:
    where = f"lines {chunk.first_line} to {chunk.last_line}"
    items = "1 item" if chunk.items == 1 else f"{chunk.items} items"
    return f"  chunk {chunk.number}: {where}, {items}, {format_bytes(chunk.size_bytes)}"
