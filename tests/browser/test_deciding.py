"""Deciding in a real browser: errors beside their fields, one decision for two clicks, effect and way back, for everybody."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from star_builder import build_star, settings_for
from werkzeug.serving import make_server

from dashboards._shell.app import create_app
from dashboards._shell.decisions import EXTENSION, decisions_of
from dashboards._shell.publishing import Publishing
from state.home import DataHome
from tests.browser.looking import LOOKS, assert_clean, signed_in

pytestmark = pytest.mark.browser

PAGES = ("/data", "/data/quality", "/data/scanners", "/data/procedures", "/data/hours", "/data/decisions")
# Stands for `python -m etl publish`: takes into the publication what stands now.
SCRIPT = """
import json, os, pathlib, sqlite3, time
data = pathlib.Path(os.environ["ISOCENTER_DATA"])
time.sleep(1)
rows = sqlite3.connect(data / "state.sqlite").execute("SELECT max(id) FROM decisions WHERE revoked_at IS NULL GROUP BY kind, subject")
current = data / "star" / "publications" / (json.loads((data / "star" / "current.json").read_text())["id"] + ".json")
current.write_text(json.dumps(json.loads(current.read_text()) | {"decided": {"standing": [str(row[0]) for row in rows]}}))
"""


@pytest.fixture(scope="module")
def served(
    browser_type_launch_args: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Any]]:
    """Address and app of a server whose decisions take effect without a lake."""
    home = DataHome.initialise(tmp_path_factory.mktemp("deciding") / "data")
    build_star(home.star, exams_a_day=6)
    app = create_app(settings_for(home.path), home)
    app.server.extensions[EXTENSION] = Publishing(home.path, (sys.executable, "-c", SCRIPT))
    server = make_server("127.0.0.1", 0, app.server, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", app
    server.shutdown()
    thread.join()


@pytest.fixture
def page(browser: Browser, served: tuple[str, Any]) -> Iterator[Page]:
    context = signed_in(browser, served[0], "data_steward", viewport={"width": 1440, "height": 900})
    yield context.new_page()
    context.close()


def standing(served: tuple[str, Any]) -> int:
    return len(decisions_of(served[1].server).standing())


def test_errors_stand_beside_their_fields_and_take_the_focus(page: Page, served: tuple[str, Any]) -> None:
    page.goto("/data/hours")
    form = page.locator("#calendar-entry form")
    form.get_by_label("What", exact=True).select_option("planned_down")
    form.get_by_label("Words").fill("Quarterly service")
    form.get_by_role("button", name="Add").click()
    place = form.get_by_label("For", exact=True)
    expect(place).to_be_focused()
    expect(place).to_have_attribute("aria-invalid", "true")
    expect(form.locator(".field-error")).to_have_count(4)  # place, both times and the reason
    expect(form.get_by_label("Words")).to_have_value("Quarterly service")
    assert standing(served) == 0


def test_two_clicks_are_one_decision_that_takes_effect_and_is_taken_back(page: Page, served: tuple[str, Any]) -> None:
    page.goto("/data/hours")
    form = page.locator("#calendar-entry form")
    form.get_by_label("For", exact=True).select_option("device|dev-ct1")
    form.get_by_label("From").fill("2026-12-24T12:00")
    form.get_by_label("To", exact=True).fill("2026-12-27T00:00")
    form.get_by_label("Words").fill("Holidays")
    form.get_by_label("Reason of the entry").fill("notice of the board")
    form.get_by_role("button", name="Add").dblclick()
    expect(form.locator(".form-said")).to_have_text("1 decision is kept.")
    expect(page.locator(".effect.running")).to_be_visible()
    assert standing(served) == 1
    expect(page.locator(".effect.settled")).to_be_visible(timeout=20_000)
    entry = page.locator("#calendar-entries li")
    expect(entry).to_contain_text("CT 1 (North Hospital): closed, 24 Dec 2026 12:00 – 27 Dec 2026 00:00, Holidays")
    entry.get_by_text("Take back").first.press("Enter")
    entry.get_by_label("Why it is taken back").fill("entered twice")
    entry.get_by_label("Why it is taken back").press("Enter")
    expect(page.locator("#calendar-entries li")).to_have_count(0)
    assert standing(served) == 0
    expect(page.locator(".effect.settled")).to_be_visible(timeout=20_000)


def test_procedures_are_confirmed_by_keyboard(page: Page, served: tuple[str, Any]) -> None:
    page.goto("/data/procedures")
    form = page.locator("#mapping-queue form")
    form.get_by_label("Choose all that are shown").press("Space")
    form.get_by_label("Reason for all that are ticked").fill("the usual meaning")
    form.get_by_label("Reason for all that are ticked").press("Enter")
    # One of them has no likely suggestion: its choice is asked for, and nothing is kept of the others.
    wrong = form.locator("select[aria-invalid=true]")
    expect(wrong.first).to_be_focused()
    assert standing(served) == 0
    for one in wrong.all():
        one.select_option("no-exam")
    form.get_by_role("button").press("Enter")
    expect(page.get_by_role("heading", name="Every local procedure is decided")).to_be_visible(timeout=20_000)
    assert standing(served) == 7


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_the_pages_are_clean_accessible_and_fit(
    browser: Browser, served: tuple[str, Any], width: int, scheme: Any
) -> None:
    options: dict[str, Any] = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme, "bypass_csp": True}
    context = signed_in(browser, served[0], "data_steward", **options)
    for path in PAGES:
        assert_clean(context, path)
    context.close()
