"""The documentation is held to the code: generated pages are current, links lead somewhere, commands have help."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.make_docs import PAGES, outdated

ROOT = Path(__file__).resolve().parents[1]
WRITTEN = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")
COMMAND = re.compile(r"python -m (etl|warehouse|state|insights|forecasting) ([a-z-]+)(?: ([a-z-]+))?")


def _anchors(text: str) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", text)
    return {"#" + re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("generated", PAGES)
def test_generated_pages_are_current(generated: str) -> None:
    assert generated not in outdated(), f"docs/{generated} is out of date: run make docs"


@pytest.mark.parametrize("written", WRITTEN, ids=lambda path: path.name)
def test_links_lead_somewhere(written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    for target, anchor in LINK.findall(text):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file = (written.parent / target).resolve() if target else written
        assert file.exists(), f"{written.name} links to {target}, which is not there"
        if anchor and file.suffix == ".md":
            assert anchor in _anchors(file.read_text(encoding="utf-8")), f"{written.name}: no heading {target}{anchor}"


def _commands() -> list[tuple[str, str]]:
    found = {match[:2] for path in WRITTEN for match in COMMAND.findall(path.read_text(encoding="utf-8"))}
    return sorted(found)


@pytest.mark.parametrize(("package", "command"), _commands())
def test_commands_that_are_written_about_have_help(
    package: str, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [package, command, "--help"])
    monkeypatch.delitem(sys.modules, f"{package}.__main__", raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(package, run_name="__main__")
    assert ended.value.code == 0
    assert f"{command} [-h]" in capsys.readouterr().out


def test_make_alone_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"(?m)^\.PHONY: (.+)$", makefile)
    assert targets is not None
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(re.search(rf"(?m)^{target} ", shown) for target in targets[1].split())
