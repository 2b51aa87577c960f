"""The pages in a real browser: console clean, axe without violation, nothing wider than the screen, keyboard, filters, file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Route, expect

from tests.browser.looking import LOOKS, assert_clean, opened, signed_in

pytestmark = pytest.mark.browser

PAGES = ("/utilization", "/turnaround", "/dose", "/data", "/exams")
PARTS = (
    "/utilization/appointments", "/utilization/lost", "/demand", "/utilization/volume", "/utilization/plan", "/utilization/day",
    "/turnaround/why", "/turnaround/board", "/turnaround/paths",
)  # fmt: skip
"""Their tabs, looked at once, narrow and dark; those of the data stand in `test_deciding.py`."""


@pytest.fixture
def steward(browser: Browser, address: str) -> Iterator[BrowserContext]:
    context = signed_in(browser, address, "data_steward", viewport={"width": 1440, "height": 900})
    yield context
    context.close()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_every_page_is_clean_accessible_and_fits(browser: Browser, address: str, width: int, scheme: str) -> None:
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme, "bypass_csp": True}
    parts = PARTS if (width, scheme) == (390, "dark") else ()
    for person, paths in (("data_steward", PAGES), ("operations", parts), ("executive", ("/",))):
        context = signed_in(browser, address, person, **options)
        for path in paths:
            assert_clean(context, path)
        context.close()


def test_parts_keep_their_place_while_they_load(steward: BrowserContext) -> None:
    held: list[Route] = []
    page = steward.new_page()
    page.route(
        "**/_dash-update-component",
        lambda route: held.append(route) if "dose-" in (route.request.post_data or "") else route.continue_(),
    )
    page.goto("/dose")
    expect(page.locator(".slot-frame:has(#dose-highest)")).to_be_visible()
    frames = page.locator(".slot-frame").all()
    assert [frame.bounding_box()["height"] >= 50 for frame in frames if (frame.bounding_box() or {})] == [True] * len(
        frames
    )
    for route in held:
        route.abort()
    page.close()


def test_an_exam_and_its_dose_event_are_reached_by_clicks(steward: BrowserContext) -> None:
    page, said = opened(steward, "/dose")
    page.locator(".slot[id=dose-highest] tbody a").first.click()
    expect(page.get_by_role("heading", name="CT exposure")).to_be_visible()
    page.locator("#dose-event .definitions a").click()
    expect(page.locator(".timeline li").first).to_be_visible()
    expect(page.locator("#exam-events tbody tr").first).to_be_visible()
    assert said == []


def test_filters_stand_in_the_address_and_travel(steward: BrowserContext) -> None:
    page, _ = opened(steward, "/turnaround")
    page.locator("#shell-filter-modality").click()
    page.get_by_role("option", name="CT", exact=True).click()
    page.wait_for_url("**/turnaround?modality=CT")
    expect(page.locator("#turnaround-parts .subtitle")).to_contain_text("CT")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Utilization").click()
    page.wait_for_url("**/utilization?modality=CT")
    expect(page.locator("#utilization-devices .subtitle")).to_contain_text("CT")


def test_the_first_tab_skips_to_the_content(steward: BrowserContext) -> None:
    page, _ = opened(steward, "/utilization")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_a_chart_shows_its_table_and_gives_its_file(steward: BrowserContext) -> None:
    page, _ = opened(steward, "/turnaround")
    card = page.locator("#turnaround-median")
    card.get_by_text("Show as table").click()
    expect(card.get_by_role("columnheader", name="Week from")).to_be_visible()
    with page.expect_download() as download:
        card.get_by_role("link", name="Download CSV").click()
    assert "Publication" in Path(download.value.path()).read_text(encoding="utf-8-sig")


def test_the_scheme_is_kept_and_redraws_the_charts(steward: BrowserContext) -> None:
    page, _ = opened(steward, "/turnaround")
    page.locator(".theme-choice label").nth(1).click()
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    expect(page.locator(".js-plotly-plot").first).to_be_visible()


def test_only_plotly_of_the_assets_is_loaded(steward: BrowserContext) -> None:
    asked: list[str] = []
    steward.on("request", lambda request: asked.append(request.url))
    opened(steward, "/turnaround")
    assert any("assets/plotly-cartesian" in url for url in asked)
    assert not any("async-plotlyjs" in url or "plotly.min.js" in url for url in asked)
    assert all(url.startswith(("http://127.0.0.1", "data:", "blob:")) for url in asked)
