# SPDX-License-Identifier: Apache-2.0
"""A real browser for the tests of the report's page: Chromium as the system has it.

Without Playwright or a browser the tests are skipped, and `make test-browser` says how to get them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from coordinator.report.page import render_page
from tests.browser import samples

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL = "no Chromium: apt-get install chromium, or name one in OSCAR_BATCH_CHROMIUM"


def find_browser() -> str | None:
    """The browser that the environment names, or one of the system's."""
    named = os.environ.get("OSCAR_BATCH_CHROMIUM")
    return named or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="see `make test-browser`")
    path = find_browser()
    if path is None:
        pytest.skip(INSTALL)
    # As root, and in a container, Chromium has no sandbox of its own; the pages are ours.
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The address of the page of every sample, by its name."""
    folder = tmp_path_factory.mktemp("pages")
    found = {}
    for name, make in samples.SAMPLES.items():
        path = folder / f"{name}.html"
        path.write_text(render_page(make()), encoding="utf-8")
        found[name] = path.as_uri()
    return found


@pytest.fixture
def visit(browser: Any, pages: dict[str, str]) -> Iterator[Callable[..., Any]]:
    """Opens the page of a sample; options are those of a Playwright context."""
    contexts = []

    def go(name: str, *, width: int = 1280, **options: Any) -> Any:
        settings = {"timezone_id": "Europe/Madrid", "locale": "en-GB", **options}
        context = browser.new_context(viewport={"width": width, "height": 900}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.goto(pages[name])
        return page

    yield go
    for context in contexts:
        context.close()
