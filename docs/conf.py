# SPDX-License-Identifier: Apache-2.0
"""The site of the documentation, built by Sphinx: `make docs`. Every warning is an error."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from coordinator import __version__  # noqa: E402
from docs.pages import add_navigation, aim_links, find_foreign_loads, make_reachable  # noqa: E402

_BASE = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]["urls"][
    "Source"
]
_FILES = frozenset(path.name for path in HERE.iterdir() if path.suffix in {".json", ".png"})

project = "OSCAR-Batch"
version = release = __version__
extensions = ["myst_parser"]
exclude_patterns = ["_static", "*.py"]
nitpicky = True
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"OSCAR-Batch {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
# Files that have an address of their own, such as the JSON Schemas.
html_extra_path = sorted(_FILES)
html_favicon = "../hub/icon.png"
html_use_index = False
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "source_repository": _BASE,
    "source_branch": "main",
    "source_directory": "docs/",
}


def _prepare_page(_: Any, name: str, text: list[str]) -> None:
    text[0] = aim_links(text[0], _BASE, _FILES)
    if name == "index":
        original = (HERE / "index.md").read_text("utf-8")
        text[0] += add_navigation(original, _BASE).removeprefix(original)


def _finish_page(_: Any, name: str, template: str, context: dict[str, Any], tree: object) -> None:
    for part in ("body", "furo_navigation_tree"):
        context[part] = make_reachable(context.get(part) or "")


def _check_site(app: Any, failure: Exception | None) -> None:
    if failure is None and (found := find_foreign_loads(Path(app.outdir))):
        raise RuntimeError("the site would load from other hosts: " + "; ".join(found))


def setup(app: Any) -> None:
    """Adds what this site does beside Sphinx."""
    app.connect("source-read", _prepare_page)
    app.connect("html-page-context", _finish_page, priority=900)  # after the theme
    app.connect("build-finished", _check_site)
