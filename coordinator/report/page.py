# SPDX-License-Identifier: Apache-2.0
"""`Report` → one self-contained HTML page.

The page loads nothing else, and all text of keys and errors is escaped.
"""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from ..model.errors import escape_text
from ..model.run import Report
from ..model.units import format_bytes, format_duration
from .text import format_estimate, format_free

# Rows of the page's tables; the JSON has all of them.
MAX_ROWS = 200


def render_page(report: Report) -> str:
    """The report as one self-contained page."""
    return _TEMPLATES.get_template("report.html").render(
        report=report,
        counts=report.count_items(),
        max_rows=MAX_ROWS,
        seconds=(report.finished_at - report.started_at).total_seconds(),
    )


def _escape_controls(value: object) -> object:
    """Text without control and bidi characters, which HTML escaping leaves as they are."""
    return escape_text(value) if type(value) is str else value


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
    "duration": format_duration,
    "estimate": format_estimate,
    "free": format_free,
}
