# SPDX-License-Identifier: Apache-2.0
"""The site of the documentation, built by Sphinx: `make docs`. Every warning is an error."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from coordinator import __version__  # noqa: E402
from docs.site import FILES, find_foreign_loads, make_reachable  # noqa: E402

project = "OSCAR-Batch"
version = release = __version__
extensions = ["myst_parser"]
nitpicky = True
myst_heading_anchors = 3
# JSON with three dots in it is shown as it is.
suppress_warnings = ["misc.highlighting_failure"]
html_theme = "furo"
html_title = f"OSCAR-Batch {version}"
html_favicon = "../hub/icon.png"
html_static_path = ["_static"]
html_css_files = ["site.css"]
# Files that have an address of their own, such as the JSON Schemas.
html_extra_path = sorted(path.name for path in HERE.iterdir() if path.suffix in FILES)
html_show_copyright = False
html_use_index = False
html_copy_source = False
html_show_sourcelink = False
html_theme_options: dict[str, Any] = {"top_of_page_buttons": []}


def _finish_page(_: Any, name: str, template: str, context: dict[str, Any], tree: object) -> None:
    for part in ("body", "furo_navigation_tree"):
        context[part] = make_reachable(context.get(part) or "")


def _check_site(app: Any, failure: Exception | None) -> None:
    if failure is None and (found := find_foreign_loads(Path(app.outdir))):
        raise RuntimeError("the site would load from other hosts: " + "; ".join(found))


def setup(app: Any) -> None:
    """Adds what this site does beside Sphinx."""
    app.connect("html-page-context", _finish_page, priority=900)  # after the theme
    app.connect("build-finished", _check_site)
