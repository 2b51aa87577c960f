"""Pictures of the quality pages: frames in, figures out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import polars as pl

from dashboards._shell import charts, numbers
from dashboards._shell.look import Look
from insights.devices import Clock

CLOCK_HEIGHT = 150
LEAST_SCALE = 10.0
"""Percent at which a map of gaps may be darkest: less is shown as the little that it is."""


def clock_days(clock: Clock, name: str, look: Look) -> dict[str, Any]:
    """The daily offset of one scanner's clock, in minutes; a line at zero is the network's clock."""
    minutes = [seconds / 60 for seconds in clock.offsets_s]
    low, high = charts.padded([*minutes, 0.0, 2.0, -2.0], 0.12, floor_at=None)
    trace = {
        "type": "scatter", "mode": "lines", "x": [str(day) for day in clock.days], "y": minutes,
        "line": {"color": look.variation["concern"] if clock.is_off else look.series[0], "width": 1.6},
        "text": [offset_words(seconds) for seconds in clock.offsets_s], "hovertemplate": "<b>%{text}</b><br>%{x|%-d %b %Y}<extra></extra>",
    }  # fmt: skip
    zero = {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": 0, "y1": 0, "layer": "below",
        "line": {"color": look.variation["common"], "width": 1, "dash": "dash"},
    }  # fmt: skip
    return charts.figure(
        [trace], look, height=CLOCK_HEIGHT, margin={"t": 22}, shapes=[zero],
        xaxis=charts.time_axis(clock.days[0], clock.days[-1], look) | {"nticks": 4}, yaxis=charts.value_axis(low, high, "min", look, ticks=3),
        annotations=[{"xref": "paper", "x": 0, "xanchor": "left", "yref": "paper", "y": 1, "yshift": 18, "text": name, "showarrow": False, "font": {"size": 12, "color": look.text}}],
    )  # fmt: skip


def gaps_map(frame: pl.DataFrame, down: str, across: str, look: Look) -> dict[str, Any]:
    """What is missing, in percent, as a map: of `title` and places, one down and the other across.

    Args:
        frame: `title`, `share` and the places, in the order in which they shall stand.
    """
    cells = {(row[down], row[across]): row["share"] for row in frame.iter_rows(named=True)}
    rows, columns = list(dict.fromkeys(frame[down])), list(dict.fromkeys(frame[across]))
    shares = [[cells.get((row, column)) for column in columns] for row in rows]
    values = [[None if share is None else 100 - share for share in line] for line in shares]
    words = [
        [
            f"<b>{numbers.shown(value, '%', 1)}</b> without {'<br>'.join((row, column) if down == 'title' else (column, row))}"
            for column, value in zip(columns, line, strict=True)
        ]
        for row, line in zip(rows, values, strict=True)
    ]
    figure = charts.heat(values, columns, rows, words, look, height=130 + 22 * len(rows))
    figure["layout"]["xaxis"] |= {"tickangle": "auto" if down == "title" else -40, "nticks": len(columns)}
    most = max((value for line in values for value in line if value is not None), default=0.0)
    figure["data"][0]["zmax"] = max(most, LEAST_SCALE)
    return figure


def daily(series: Sequence[tuple[str, Sequence[date], Sequence[float | None], str]], look: Look) -> dict[str, Any]:
    """Counts of several systems day by day, each named at its end."""
    made = charts.lines(series, "", look)
    for trace in made["data"]:
        trace["hovertemplate"] = trace["hovertemplate"].replace("week of ", "")
    made["layout"]["xaxis"]["tickformat"] = "%-d %b\n%Y"
    return made


def offset_words(seconds: float) -> str:
    """What is to be added to a scanner's times: `58 s`, `+60 min`, `-1 h 2 min`."""
    if abs(seconds) < 60:
        return f"{seconds:+.0f} s"
    words = numbers.duration(seconds / 60)
    return words if seconds < 0 else f"+{words}"
