"""The shell's parts as plain functions: filters and addresses, weeks, cards, files, colours, assets."""

from __future__ import annotations

import csv
import io
import itertools
import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plotly.offline import get_plotlyjs_version

from dashboards._shell import charts, export, urls
from dashboards._shell.cards import Card, chart_card
from dashboards._shell.kpi import comparison, kpi
from dashboards._shell.look import DARK, LIGHT, Look
from dashboards._shell.reading import Reading
from dashboards._shell.tables import Column, Table, table_content
from dashboards._shell.weekly import statement, weekly, weekly_filters
from warehouse.filters import Filters
from warehouse.scope import Scope

ROOT = Path(__file__).parents[2]
AS_OF = date(2026, 11, 15)
CODES = st.lists(
    st.text(alphabet="ABCDEFGH123 ü&=+", min_size=1, max_size=8).filter(lambda text: text.strip() == text), max_size=3
)


@given(site=CODES, device=CODES, period=st.sampled_from(["7d", "28d", "90d", "365d"]))
def test_filters_come_back_from_their_address(site: list[str], device: list[str], period: str) -> None:
    query = {"site": ",".join(site), "device": ",".join(device), "period": period}
    filters = Filters.from_query(query, AS_OF)
    address = urls.page(urls.DOSE, filters)
    assert Filters.from_query(dict(parse_qsl(address.partition("?")[2])), AS_OF) == filters


@pytest.mark.parametrize(("made", "address"), [
    (urls.page("/dose"), "/dose"), (urls.page("/dose", Filters.from_query({}, AS_OF)), "/dose"), (urls.exam(-5), "/exam?exam=-5"), (urls.export("dose.spread", "site=A,B"), "/export/dose.spread.csv?site=A,B"),
    (urls.exams(Filters.from_query({"modality": "CT"}, AS_OF), unread="1"), "/exams?modality=CT&unread=1"),
])  # fmt: skip
def test_addresses(made: str, address: str) -> None:
    assert made == address


def test_weeks_are_full_and_end_on_a_sunday() -> None:
    span = weekly_filters(Filters.from_query({"from": "2026-11-01", "to": "2026-11-18"}, AS_OF))
    assert (span.end, span.start.weekday(), (span.end - span.start).days) == (date(2026, 11, 15), 0, 363)


def test_the_slowdown_of_ct_reports_is_found_and_said(reading: Reading) -> None:
    ct = reading.over(reading.filters.narrowed(modality=("CT",)))
    found = weekly(ct, "report_minutes_p50")
    assert found.variation == "concern"
    assert found.since is not None
    assert abs((found.since - (AS_OF - timedelta(weeks=8))).days) <= 14
    assert statement(found).startswith("above its usual")


def test_a_headline_never_compares_with_days_before_the_data(reading: Reading) -> None:
    long = reading.over(Filters.from_query({"period": "365d"}, AS_OF))
    assert "no earlier data" in comparison(kpi(long, "exams"))
    assert "90 days before" in comparison(kpi(reading, "exams"))


def _card(**more: Any) -> Card:
    frame = pl.DataFrame({"name": ["=HYPERLINK(1)", "CT"], "value": [-5.0, 2.5], "withheld": [False, True]})
    return Card(
        "A finding",
        "Measure, min",
        Table((Column("name", "Name"), Column("value", "Value", "number", "min")), frame, 11),
        **more,
    )


def test_a_file_says_what_it_is_and_holds_no_formula(reading: Reading) -> None:
    text = export.csv_text(_card(), replace(reading, scope=Scope(small_count=11)))
    assert text.count("\r\n") == text.count("\n")
    rows = list(csv.reader(io.StringIO(text)))
    heading = {row[0]: row[1] for row in rows[: rows.index([])]}
    assert heading["Title"] == "A finding"
    assert heading["Publication"] == reading.star.publication.id
    assert "18 Aug 2026" in heading["Filters"]
    assert rows[rows.index([]) + 1 :] == [["Name", "Value (min)"], ["'=HYPERLINK(1)", "-5.0"], ["CT", "<11"]]


def test_a_table_names_its_columns_and_withholds_small_counts() -> None:
    content = table_content(_card().table, "caption")
    assert content["head"] == [["Name", "text"], ["Value", "number"]]
    assert content["rows"][1] == ["CT", "<11"]


def test_a_card_has_every_part_of_its_anatomy(reading: Reading) -> None:
    figure = charts.bars(["a"], [1.0], ["1"], ["#000000"], LIGHT)
    text = str(chart_card(_card(figure=figure, formula="counted", exams="/exams"), "dose.spread", reading))
    for part in (
        "A finding",
        "Measure, min",
        "role='img'",
        "Show as table",
        "How is this computed?",
        "Download CSV",
        "See the exams",
        "withheld to protect patients",
    ):
        assert part in text


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=8), st.floats(1, 50))
def test_labels_keep_apart_and_in_order(values: list[float], gap: float) -> None:
    placed = charts.spread(values, gap)
    ordered = [placed[index] for index in sorted(range(len(values)), key=lambda index: values[index])]
    assert all(after - before >= gap * 0.999 for before, after in itertools.pairwise(ordered))


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("look", [LIGHT, DARK], ids=lambda look: look.name)
def test_colours_stand_out_from_the_card(look: Look) -> None:
    def contrast(colour: str) -> float:
        light, dark = sorted((_luminance(colour), _luminance(look.card)), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    assert all(contrast(colour) >= 3.0 for colour in (*look.series, *look.variation.values()))
    assert contrast(look.text) >= 7
    assert contrast(look.muted) >= 4.5


def test_the_browser_gets_the_plotly_that_python_speaks() -> None:
    head = (ROOT / "assets" / "plotly-cartesian.min.js").read_text(encoding="utf-8")[:200]
    found = re.search(r"plotly\.js \(cartesian - minified\) v([\d.]+)", head)
    assert found is not None
    assert found.group(1) == get_plotlyjs_version()


def test_every_icon_of_the_styles_is_there() -> None:
    named = re.findall(r'url\("(icons/[^"]+)"\)', (ROOT / "assets" / "base.css").read_text())
    assert named
    assert all((ROOT / "assets" / name).exists() for name in named)
