# SPDX-License-Identifier: Apache-2.0
"""`make screenshots`: the pictures of the report in the docs; few colours keep them small."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from coordinator.report.page import render_page
from tests.browser import samples
from tests.browser.conftest import INSTALL, find_browser

DOCS = Path(__file__).parents[2] / "docs"
COLOURS = 48


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: a sample, how it is looked at, and the part of its page from an element on."""

    name: str
    sample: str
    width: int
    height: int
    scheme: str = "light"
    media: str = "screen"
    top: str = "body"


SHOTS = (
    Shot("report", "small", 1280, 1960),
    Shot("report-400-workers", "wide", 1280, 1500, "dark", top="#course"),
    Shot("report-capacity", "small", 1280, 620, "dark", top="#capacity"),
    Shot("report-phone", "running", 400, 1500),
    Shot("report-phone-dark", "small", 400, 1500, "dark", top="#failures"),
    Shot("report-print", "small", 794, 1500, media="print"),
)


def main() -> int:
    path = find_browser()
    if path is None:
        sys.exit(INSTALL)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for shot in SHOTS:
            take(browser, shot)
        browser.close()
    return 0


def take(browser: Any, shot: Shot) -> None:
    page = browser.new_page(
        viewport={"width": shot.width, "height": 900},
        color_scheme=shot.scheme,
        timezone_id="Europe/Madrid",
        locale="en-GB",
    )
    page.set_content(render_page(samples.SAMPLES[shot.sample]()))
    # What is not on the screen is not laid out, and its place is not known.
    page.add_style_tag(content="section { content-visibility: visible !important; }")
    page.emulate_media(media=shot.media, color_scheme=shot.scheme)
    top = max(0, page.locator(shot.top).bounding_box()["y"] - 16)
    clip = {"x": 0, "y": top, "width": shot.width, "height": shot.height}
    picture = Image.open(io.BytesIO(page.screenshot(full_page=True, clip=clip)))
    target = DOCS / f"{shot.name}.png"
    picture.convert("RGB").quantize(COLOURS).save(target, optimize=True)
    print(f"{target.name}: {target.stat().st_size:,} bytes")
    page.close()


if __name__ == "__main__":
    sys.exit(main())
