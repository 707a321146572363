# SPDX-License-Identifier: Apache-2.0
"""`Report` → one self-contained HTML page.

The page loads nothing else, needs no script, and escapes all text of keys and errors. The templates
hold the layout; the other modules of this package compute what they show.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..model.errors import escape_text
from ..model.pull.findings import Worker, WorkerState
from ..model.run import Outcome, Report, State
from ..model.units import format_bytes, format_duration, format_rate
from .headline import advise, divide_items, explain_no_timeline, forecast_end
from .pictures.histogram import draw_histogram
from .pictures.node_bars import draw_node
from .pictures.throughput import draw_throughput
from .pictures.timeline import draw_timeline
from .reasons import find_reasons
from .sources import list_links, locate_log, rebuild_config
from .text import format_estimate, format_free

# Rows of the page's tables; the JSON has all of them.
MAX_ROWS = 200
# How often the page of a run that has not ended reloads.
REFRESH_S = 15


def render_page(report: Report) -> str:
    """The report as one self-contained page."""
    history = report.history
    index = report.plan.index if report.plan else None
    return _TEMPLATES.get_template("report.html").render(
        report=report,
        counts=report.count_items(),
        max_rows=MAX_ROWS,
        refresh_s=REFRESH_S,
        seconds=(report.finished_at - report.started_at).total_seconds(),
        advice=advise(report),
        shares=divide_items(report),
        forecast=forecast_end(report),
        reasons=find_reasons(report),
        timeline=(timeline := draw_timeline(report)),
        no_timeline="" if timeline else explain_no_timeline(report),
        throughput=draw_throughput(report),
        durations=draw_histogram(history.seconds, format_duration) if history else (),
        sizes=draw_histogram(index.sizes, format_bytes) if index else (),
        outcomes=sort_outcomes(report.outcomes),
        workers=sort_workers(report.workers),
        config=rebuild_config(report.settings),
        links=list(list_links(report)),
        draw_node=draw_node,
        locate_log=locate_log,
    )


def sort_outcomes(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Sorts chunks: failed ones first, then those with failed items, then by number."""
    return sorted(outcomes, key=_rank_outcome)


def sort_workers(workers: Sequence[Worker]) -> list[Worker]:
    """Sorts workers: lost ones first."""
    lost = {WorkerState.GONE, WorkerState.NEVER_SEEN}
    return sorted(workers, key=lambda worker: (worker.state not in lost, worker.name))


def _rank_outcome(outcome: Outcome) -> tuple[int, int]:
    if outcome.state in {State.FAILED, State.UNCERTAIN}:
        return 0, outcome.chunk.number
    clean = outcome.state is not State.SETTLED or outcome.detail.endswith(", 0 failed")
    return (2 if clean else 1), outcome.chunk.number


def _escape_controls(value: object) -> object:
    """Text without control and bidi characters, which HTML escaping leaves as they are."""
    return escape_text(value) if type(value) is str else value


def format_count(count: int) -> str:
    """`1,234,567`."""
    return f"{count:,}"


def format_utc(moment: datetime) -> str:
    """`2026-11-22 10:15:00 UTC`; a script of the page adds the local time."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


_TEMPLATES = Environment(
    finalize=_escape_controls,
    loader=PackageLoader(__package__),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {
    "bytes": format_bytes,
    "count": format_count,
    "duration": format_duration,
    "estimate": format_estimate,
    "free": format_free,
    "rate": format_rate,
    "utc": format_utc,
}
