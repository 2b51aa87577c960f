"""Makes the pictures of docs/pictures: serves the demo hospital and photographs its pages in Chromium."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
START_SECONDS = 600
"""The first start makes the demo hospital."""
DESKTOP, PHONE = (1440, 900), (390, 844)


class Shot(NamedTuple):
    """One picture: its file, the page, who looks at it, and how."""

    name: str
    path: str
    person: str = "operations"
    scheme: str = "light"
    size: tuple[int, int] = DESKTOP


SHOTS = (
    Shot("executive", "/", "executive"),
    Shot("executive-dark", "/", "executive", "dark"),
    Shot("executive-phone", "/", "executive", "light", PHONE),
    Shot("utilization", "/utilization"),
    Shot("turnaround", "/turnaround"),
    Shot("dose", "/dose", "radiation_safety"),
    Shot("dose-dark", "/dose", "radiation_safety", "dark"),
    Shot("dose-review", "/dose/inbox", "radiation_safety"),
    Shot("dose-case", "/dose/case?alert=3", "radiation_safety"),
    Shot("data", "/data", "data_steward"),
)


@contextmanager
def served() -> Iterator[str]:
    """The address of the demo, served by a process of its own until the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(["scripts/demo.sh", "--port", str(port)], cwd=ROOT, start_new_session=True)
    try:
        yield _when_ready(f"http://127.0.0.1:{port}", server)
    finally:
        server.terminate()
        server.wait(timeout=30)


def _when_ready(address: str, server: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/healthz", timeout=5)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
        else:
            return address
    raise SystemExit("the demo did not start; `make run` shows why")


def take(browser: Browser, address: str, shot: Shot) -> None:
    """Signs in as the shot's person, waits until the page is drawn, and keeps what the first screen shows."""
    width, height = shot.size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if shot.scheme == "dark" else "light",
        reduced_motion="reduce",
        base_url=address,
    )
    page = context.new_page()
    page.goto("/login")
    page.click(f'button[value="{shot.person}"]')
    page.goto(shot.path)
    page.locator(".slot .card:not(.waiting), .slot .kpis").first.wait_for(timeout=60_000)
    expect(page.locator(".card.waiting")).to_have_count(0, timeout=60_000)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)  # figures draw after their data came
    page.screenshot(path=PICTURES / f"{shot.name}.png")
    context.close()


def main() -> int:
    """Takes all pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    with served() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for shot in SHOTS:
            take(browser, address, shot)
            print(f"docs/pictures/{shot.name}.png")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
