# SPDX-License-Identifier: Apache-2.0
"""The site of the documentation in a real browser: on a phone, by axe-core, with no other host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SITE = Path(__file__).parents[2] / "build/site"
# In the dark only the colours are others.
SAMPLE = {"index", "start-here", "config", "report"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone_can_be_reached_and_loads_nothing_from_elsewhere(
    browser: Any, scheme: str
) -> None:
    if not SITE.is_dir():
        pytest.skip("the site is not built, see `make docs`")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    context = browser.new_context(viewport={"width": 400, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    pages = sorted(SITE.glob("*.html"))
    for source in pages:
        page.goto(source.as_uri())
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{source.name} is wider than the window"
        if scheme == "dark" and source.stem not in SAMPLE:
            continue
        found = axe.Axe().run(page).response["violations"]
        grave = [each["id"] for each in found if each["impact"] in {"critical", "serious"}]
        assert grave == [], source.name
    context.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert len(asked) > len(pages) > 10
