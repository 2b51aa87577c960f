"""Looking at a page in a real browser: signed in, fully drawn, and held to what every page keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect

AXE = (Path(__file__).parent / "axe.min.js").read_text(encoding="utf-8")
LOOKS = [(1440, "light"), (390, "dark")]
"""Widths and schemes that every page is looked at in: each of both once, as no rule of the style sheets asks for a pair."""
STILL = """() => !document.querySelector("[data-dash-is-loading='true'], .card.waiting")
    && document.getAnimations().every(one => one.playState !== "running")
    && [...document.querySelectorAll(".slot")].every(one => getComputedStyle(one.parentElement).opacity === "1")"""
"""Nothing loads, fades or is dimmed while it loads again."""
RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]


def signed_in(browser: Browser, address: str, person: str, **options: Any) -> BrowserContext:
    context = browser.new_context(base_url=address, reduced_motion="reduce", timezone_id="Europe/Berlin", **options)
    page = context.new_page()
    page.goto("/login")
    page.click(f"button[value={person}]")
    page.wait_for_selector("h1")
    page.close()
    return context


def opened(context: BrowserContext, path: str) -> tuple[Page, list[str]]:
    """The page with everything drawn, and what the console said."""
    said: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path)
    page.wait_for_selector(".slot .card")
    expect(page.locator(".card.waiting")).to_have_count(0)
    for _ in range(2):  # a chart may ask again for what depends on it
        page.wait_for_load_state("networkidle")
        page.wait_for_function(STILL)
        page.wait_for_timeout(100)
    return page, said


def assert_clean(context: BrowserContext, path: str) -> None:
    """The console is silent, nothing is wider than the screen, and axe finds no violation."""
    page, said = opened(context, path)
    assert said == [], f"{path}: {said}"
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0, f"{path} is wider than the screen"
    page.evaluate(AXE)
    found = page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)
    violations = [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]]
    assert not violations, f"{path}: {violations}"
    page.close()
