"""Pictures of the utilization page: frames in, figures out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import polars as pl

from dashboards._shell import charts, numbers
from dashboards._shell.charts import Figure
from dashboards._shell.look import Look
from dashboards._shell.reading import WEEKDAYS
from dashboards._shell.weekly import Weekly

PANEL_HEIGHT = 150


def device_bars(rows: Sequence[dict[str, Any]], look: Look) -> Figure:
    """Bars of utilization, one a device with its name, value and staffed hours."""
    hover = [
        f"<b>{row['shown']}</b> {row['name']}<br>{row['staffed_hours']:,.0f} staffed hours<br>{numbers.count(row['n'] or 0)} exams"
        for row in rows
    ]
    return charts.bars(
        [row["name"] for row in rows],
        [row["value"] for row in rows],
        [row["shown"] for row in rows],
        [look.modality(row["modality"]) for row in rows],
        look,
        hover=hover,
        limit=100,
    )


def hour_heat(frame: pl.DataFrame, weeks: float, look: Look) -> Figure:
    """Exam starts of an average week by weekday and hour."""
    cells = {(row["weekday"], row["hour"]): row["value"] for row in frame.iter_rows(named=True)}
    values = [[(cells.get((weekday, hour)) or 0) / weeks for hour in range(24)] for weekday in range(1, 8)]
    words = [
        [
            f"<b>{numbers.rounded(value, 2)}</b> exams<br>{WEEKDAYS[row]} {hour:02d}:00–{hour + 1:02d}:00"
            for hour, value in enumerate(line)
        ]
        for row, line in enumerate(values)
    ]
    return charts.heat(values, [f"{hour:02d}" for hour in range(24)], WEEKDAYS, words, look, height=260)


def device_heat(names: Sequence[str], values: Sequence[Sequence[float]], look: Look) -> Figure:
    """Exam starts of an average day by device and hour."""
    words = [
        [
            f"<b>{numbers.rounded(value, 2)}</b> exams a day<br>{name}, {hour:02d}:00–{hour + 1:02d}:00"
            for hour, value in enumerate(line)
        ]
        for name, line in zip(names, values, strict=True)
    ]
    return charts.heat(
        values,
        [f"{hour:02d}" for hour in range(24)],
        [charts.shortened(name) for name in names],
        words,
        look,
        height=max(26 * len(names) + 40, 120),
    )


def small_multiple(name: str, found: Weekly, look: Look) -> Figure:
    """One small chart of a modality: its weeks from zero, its name and latest value above it."""
    colour = look.modality(name)
    known = [value for value in found.values if value is not None]
    trace = {
        "type": "scatter", "mode": "lines", "x": [str(week) for week in found.weeks], "y": list(found.values), "line": {"color": colour, "width": 1.8},
        "text": [numbers.shown(value, "") for value in found.values], "fill": "tozeroy", "fillcolor": _pale(colour),
        "hovertemplate": f"<b>%{{text}}</b> {name}<br>week of %{{x|%-d %b %Y}}<extra></extra>",
    }  # fmt: skip
    title = {
        "xref": "paper", "yref": "paper", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom", "yshift": 2, "showarrow": False,
        "text": f"<b>{name}</b>  {numbers.count(known[-1])} last week", "font": {"size": 12, "color": look.text},
    }  # fmt: skip
    span = (found.weeks[0], found.weeks[-1] + timedelta(days=3))
    return charts.figure(
        [trace], look, height=PANEL_HEIGHT, margin={"t": 24}, annotations=[title],
        xaxis=charts.time_axis(*span, look) | {"nticks": 4, "tickformat": "%b"}, yaxis=charts.value_axis(0, max(known) * 1.1, "", look, ticks=2),
    )  # fmt: skip


def _pale(colour: str) -> str:
    """The colour at a tenth of its strength."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.10)"
