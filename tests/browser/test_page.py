# SPDX-License-Identifier: Apache-2.0
"""The report's page in Chromium: for every reader, on every screen, with and without a script."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

import pytest

from coordinator.report.page import render_page
from tests.browser import samples

EVERY = pytest.mark.parametrize("name", samples.SAMPLES)
Visit = Callable[..., Any]

# Cells in which longer words than these stand in lines of fewer pixels.
_COLLAPSED = """() => [...document.querySelectorAll("td, th, li, p, code")].filter(each => {
  const text = each.textContent.trim(), box = each.getBoundingClientRect();
  return text.length > 12 && box.width && box.width < 60;
}).map(each => each.outerHTML.slice(0, 200))"""
_WIDER = "document.documentElement.scrollWidth - innerWidth"


@EVERY
@pytest.mark.parametrize(("scheme", "width"), [("dark", 400), ("light", 1280)])
def test_axe_finds_nothing(visit: Visit, name: str, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = visit(name, width=width, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@EVERY
@pytest.mark.parametrize("width", [400, 700, 1280])
def test_only_tables_scroll_and_no_text_collapses(visit: Visit, name: str, width: int) -> None:
    page = visit(name, width=width)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate(_WIDER) <= 0
    assert page.evaluate(_COLLAPSED) == []


@EVERY
def test_the_page_loads_nothing_and_logs_nothing(
    visit: Visit, pages: dict[str, str], name: str
) -> None:
    page = visit(name)
    said: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.reload()
    assert (said, requests) == ([], [pages[name]])


def test_without_a_script_everything_is_there(visit: Visit) -> None:
    page = visit("small", java_script_enabled=False)
    text = page.inner_text("body")
    for part in ("What to do next", "Timeline of the workers", "2026-11-22 10:15:00 UTC"):
        assert part in text
    assert page.locator("thead button").count() == 0
    page.locator("summary", has_text="All ").click()
    assert page.get_by_text("run.poll_s").is_visible()


def test_with_a_script_times_are_the_readers_too(visit: Visit) -> None:
    assert "11:15:00 for you" in visit("small").inner_text(".facts")
    assert "for you" not in visit("small", timezone_id="UTC").inner_text(".facts")


def test_a_table_is_sorted_with_the_keyboard(visit: Visit) -> None:
    page = visit("small")
    table = page.get_by_role("region", name="Workers").locator("table")
    head = table.locator("th", has_text="Done")
    head.locator("button").focus()

    def read_column() -> list[int]:
        cells = table.locator("tbody tr td:nth-child(5)").all_inner_texts()
        return [int(cell.replace(",", "")) for cell in cells]

    page.keyboard.press("Enter")
    assert read_column() == sorted(read_column())
    assert head.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Enter")
    assert read_column() == sorted(read_column(), reverse=True)
    assert head.get_attribute("aria-sort") == "descending"


@EVERY
def test_every_scroll_area_has_a_name_and_is_reached_with_the_keyboard(
    visit: Visit, name: str
) -> None:
    page = visit(name, width=400)
    for area in page.locator(".scroll").all():
        assert area.get_attribute("tabindex") == "0"
        assert area.get_attribute("role") == "region"
        assert area.get_attribute("aria-label")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the facts"
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.locator("th:not([scope])").count() == 0


def test_only_the_page_of_a_run_that_goes_on_loads_itself_again(visit: Visit) -> None:
    for name in samples.SAMPLES:
        page = visit(name, java_script_enabled=False)
        refresh = page.locator("meta[http-equiv=refresh]").count()
        going_on = {"running", "just begun", "range followed", "events"}
        assert refresh == (name in going_on), name


def test_every_mode_has_a_timeline_or_says_why_it_has_none(visit: Visit) -> None:
    for name in ("small", "range followed", "events"):
        assert "bars over" in (visit(name).locator("#course svg").first.get_attribute("aria-label"))
    words = {"range": "does not follow its jobs", "events": "from its invocation to the moment"}
    for name, text in words.items():
        assert text in visit(name).inner_text("#course")


def test_loading_again_can_be_stopped(visit: Visit) -> None:
    page = visit("running")
    button = page.get_by_role("button", name="Stop reloading")
    button.click()
    assert page.get_by_role("button", name="Reload every").is_visible()
    assert "left" in page.inner_text("header")


@pytest.mark.parametrize("width", [400, 1280])
def test_a_link_leads_to_its_part_though_what_is_between_was_not_laid_out(
    visit: Visit, width: int
) -> None:
    page = visit("wide", width=width)
    links = page.get_by_role("navigation").get_by_role("link").all()
    assert len(links) > 5
    for link in links:
        page.evaluate("scrollTo(0, 0)")
        link.click()
        page.wait_for_function(
            "() => Math.abs(document.querySelector(location.hash).getBoundingClientRect().top) < 2"
            " || innerHeight + scrollY >= document.documentElement.scrollHeight - 2"
        )


def test_in_print_heads_repeat_and_nothing_is_folded(visit: Visit) -> None:
    page = visit("small", width=794, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    display = page.locator("thead").first.evaluate("each => getComputedStyle(each).display")
    colour = page.locator("body").evaluate("each => getComputedStyle(each).backgroundColor")
    assert (display, colour) == ("table-header-group", "rgb(255, 255, 255)")
    assert page.get_by_text("run.poll_s").is_visible()
    assert not page.locator("nav").is_visible()
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


def test_a_run_of_a_million_files_is_small_and_quick(browser: Any, tmp_path: Any) -> None:
    """Seconds of CPU, which a busy machine does not change; `-s` shows those of the clock too."""
    content = render_page(samples.make_huge()).encode()
    path = tmp_path / "huge.html"
    path.write_bytes(content)
    cpu, wall = zip(*(measure(browser, path.as_uri()) for _ in range(5)), strict=True)
    print(f"{len(content):,} bytes; {median(wall):.2f} s, {median(cpu):.2f} s of them CPU")
    assert len(content) < 3_000_000
    assert median(cpu) < 1


def measure(browser: Any, address: str) -> tuple[float, float]:
    """Seconds of the main thread and of the clock until the page is loaded, laid out and drawn."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(address)
    wall_ms = page.evaluate(
        "() => new Promise(done => requestAnimationFrame(() => setTimeout(() => done("
        "performance.now()))))"
    )
    metrics = session.send("Performance.getMetrics")["metrics"]
    found = {each["name"]: each["value"] for each in metrics}
    page.close()
    return found["TaskDuration"], wall_ms / 1000
