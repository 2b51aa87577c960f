"""docs/extending.md holds: its code, put where it says into a copy of the project, does what it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^`([\w/]+\.py)`:\n\n```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL))
PROJECT = ("app.py", "settings.py", "pyproject.toml", "isocenter.toml", "assets", "etl", "warehouse", "state", "insights", "forecasting", "dashboards")  # fmt: skip

ARRIVALS = """#kiosk 1
A100;MAIN;2026-11-03T08:15:00+01:00
A101;MAIN;tomorrow
A102;MAIN;2026-11-03T08:40:00+01:00
A100;MAIN;2026-11-03T08:15:00+01:00
"""

ASK_THE_PAGE = """
from settings import load_settings
from state.home import DataHome
from dashboards._shell.app import create_app
settings = load_settings()
app = create_app(settings, DataHome.open(settings.data_directory))
client = app.server.test_client()
assert client.get("/sites").status_code in (302, 401), "a stranger gets in"
import re
token = re.search(r'name="form_token" value="([^"]+)"', client.get("/login").get_data(as_text=True)).group(1)
client.post("/login", data={"form_token": token, "person": "operations"})
assert client.get("/sites").status_code == 200
answer = client.get("/export/sites.exams.csv?period=365d")
assert answer.status_code == 200, answer.status
print(answer.get_data(as_text=True))
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the project with the page's code in it."""
    project = tmp_path / "project"
    project.mkdir()
    for name in PROJECT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, project / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, project / name)
    for file, code in BLOCKS.items():
        (project / file).parent.mkdir(exist_ok=True)
        (project / file).write_text(code, encoding="utf-8")
    (project / "dashboards" / "sites" / "__init__.py").touch()
    (project / "isocenter.toml").write_text("[web]\ndemo = true\n", encoding="utf-8")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "arrivals.txt").write_text(ARRIVALS, encoding="utf-8")
    return project


def _run(project: Path, *arguments: str, code: int = 0) -> str:
    environment = {k: v for k, v in os.environ.items() if k not in {"ISOCENTER_CONFIG", "PYTHONPATH"}}
    environment["ISOCENTER_DATA"] = str(project.parent / "store")
    done = subprocess.run(
        [sys.executable, *arguments], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def test_the_page_holds_one_of_each() -> None:
    assert list(BLOCKS) == ["etl/sources/kiosk.py", "warehouse/measures/urgency.py", "dashboards/sites/page.py"]
    assert all(len(code.splitlines()) < 70 for code in BLOCKS.values())


def test_source_measure_and_page_work_as_written(copy: Path) -> None:
    arrivals = str(copy.parent / "in")
    load: dict[str, Any] = json.loads(_run(copy, "-m", "etl", "load", arrivals, "--json", code=1))
    assert load["by_source"]["kiosk"] == {
        "offered": 4,
        "accepted": 2,
        "duplicate": 1,
        "rejected": 1,
        "not_applicable": 0,
    }

    query = "SELECT arrived_source, arrived_at::VARCHAR AS arrived_at FROM fact_exam ORDER BY arrived_at"
    exams = json.loads(_run(copy, "-m", "warehouse", "query", query, "--format", "json"))
    assert [exam["arrived_source"] for exam in exams] == ["kiosk", "kiosk"]
    assert exams[0]["arrived_at"].startswith("2026-11-03 07:15:00")

    assert "stat_share" in _run(copy, "-m", "warehouse", "measures")
    _run(copy, "-m", "warehouse", "measure", "stat_share")

    assert "Exams by site" in _run(copy, "-c", ASK_THE_PAGE)
