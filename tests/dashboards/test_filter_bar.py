"""The filter bar: what Python, the browser and the address call the filters is one list in one order."""

from __future__ import annotations

import json
import re
from pathlib import Path

from dash import Dash

from dashboards._shell.callbacks import FILTERS
from dashboards._shell.filter_bar import filter_bar
from dashboards._shell.reading import Reading
from warehouse.filters import LISTS

SCRIPT = Path(__file__).parents[2] / "assets" / "shell.js"


def test_the_browser_knows_every_filter_in_the_order_of_the_callback() -> None:
    found = re.search(r"const LISTS = (\[.*?\]);", SCRIPT.read_text(encoding="utf-8"))
    assert found is not None
    assert tuple(json.loads(found[1])) == LISTS
    assert tuple(FILTERS) == ("period", "days", *LISTS)


def test_the_bar_offers_the_sections_of_the_scope(app: Dash, reading: Reading) -> None:
    assert reading.names.sections == {"body": "Body", "general": "General"}
    assert '"Reading section"' in json.dumps(
        filter_bar(reading, "/").to_plotly_json(), default=lambda each: each.to_plotly_json()
    )
