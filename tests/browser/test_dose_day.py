"""The dose office's whole day by keyboard alone: open, judge, sign, export; nothing can be undone; pages are clean."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from star_builder import build_star, settings_for
from werkzeug.serving import make_server

from dashboards._access.services import Services
from dashboards._shell.app import create_app
from insights.dose.alerts import raise_alerts
from state.alerts import Alerts
from state.decisions import Decisions
from state.home import DataHome
from state.reviews import Reviews, Step
from tests.browser.looking import LOOKS, assert_clean, signed_in
from warehouse.engines import StarReader

pytestmark = pytest.mark.browser

PAGES = (
    "/dose", "/dose/inbox", "/dose/case?alert=1", "/dose/protocols?protocol=302", "/dose/fluoroscopy", "/dose/modalities", "/dose/levels", "/dose/dictionary", "/dose/rules", "/dose/patients", "/dose/sign-off",
)  # fmt: skip


@pytest.fixture(scope="module")
def served(
    browser_type_launch_args: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Any]]:
    """Address and app of a server whose star has raised its alerts."""
    home = DataHome.initialise(tmp_path_factory.mktemp("dose") / "data")
    build_star(home.star)
    settings = settings_for(home.path)
    app = create_app(settings, home)
    services = Services.of(app.server)
    star = StarReader(home.star).current()
    raise_alerts(star, Alerts(services.engine), Decisions(services.engine, services.audit), settings)
    server = make_server("127.0.0.1", 0, app.server, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", app
    server.shutdown()
    thread.join()


@pytest.fixture
def page(browser: Browser, served: tuple[str, Any]) -> Iterator[Page]:
    context = signed_in(
        browser, served[0], "radiation_safety", viewport={"width": 1440, "height": 900}, accept_downloads=True
    )
    yield context.new_page()
    context.close()


def tab_to(page: Page, role: str, name: str) -> None:
    """Presses Tab until the control is reached, as a person without a mouse does."""
    wanted = page.get_by_role(role, name=name, exact=True).first  # type: ignore[arg-type]
    for _ in range(120):
        if wanted.evaluate("one => one === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no Tab leads to {role} {name!r}")


def test_the_day_is_played_by_keyboard(page: Page, served: tuple[str, Any]) -> None:
    services = Services.of(served[1].server)
    reviews = Reviews(services.engine, services.audit)
    page.goto("/dose/inbox")
    first = page.locator(".review-list .row-link").first
    expect(first).to_be_visible(timeout=20_000)
    number = int((first.text_content() or "").split(" ")[0])
    # J reaches the first case, Enter opens it.
    page.keyboard.press("j")
    expect(first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Case {number} ·")).to_be_visible(timeout=20_000)
    # C reaches the verdict; reason and comment are typed; Enter on the button signs and goes on.
    expect(page.locator("#case-verdict form").first).to_be_visible()
    page.keyboard.press("c")
    page.keyboard.type("Repeat")
    tab_to(page, "textbox", "Comment")
    page.keyboard.type("moved during the scan")
    tab_to(page, "button", "Close and go on")
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Case {number} ·")).to_have_count(0, timeout=20_000)
    (taken,) = reviews.of([number])[number]
    assert (taken.step, taken.value["reason"], taken.text) == (Step.CLOSE, "repeat", "moved during the scan")
    # What was signed can't be changed: the closed case offers a reopening, and nothing else.
    page.goto(f"/dose/case?alert={number}")
    verdict = page.locator("#case-verdict")
    expect(verdict.get_by_role("button")).to_have_text(["Reopen"], timeout=20_000)
    # The day is signed with what is open.
    page.goto("/dose/sign-off?days=30")
    expect(page.get_by_role("button", name="Sign", exact=True)).to_be_visible(timeout=20_000)
    tab_to(page, "textbox", "Why it is signed nevertheless")
    page.keyboard.type("the rest follows tomorrow")
    tab_to(page, "button", "Sign")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Last signed")).to_be_visible(timeout=20_000)
    # The pack leaves by Enter on its link.
    tab_to(page, "link", "Inspector's pack, Last 30 days, XLSX")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename.endswith(".xlsx")
    assert reviews.verify() == []
    assert services.audit.verify_chain() is None


def test_two_clicks_are_one_step(page: Page, served: tuple[str, Any]) -> None:
    services = Services.of(served[1].server)
    kept = Reviews(services.engine, services.audit)
    page.goto("/dose/inbox")
    number = int((page.locator(".review-list .row-link").last.text_content(timeout=20_000) or "").split(" ")[0])
    page.goto(f"/dose/case?alert={number}")
    form = page.get_by_role("form", name=f"Close and go on, case {number}")
    form.get_by_label("Reason").select_option("long_range")
    form.get_by_role("button").dblclick()
    expect(page.get_by_text(f"Case {number} ·")).to_have_count(0, timeout=20_000)
    assert len({one.at.replace(microsecond=0) for one in kept.of([number])[number]}) == 1


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_the_pages_are_clean_accessible_and_fit(
    browser: Browser, served: tuple[str, Any], width: int, scheme: Any
) -> None:
    options: dict[str, Any] = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme, "bypass_csp": True}
    context = signed_in(browser, served[0], "radiation_safety", **options)
    for path in PAGES:
        assert_clean(context, path)
    context.close()
