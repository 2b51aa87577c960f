"""Pictures of the turnaround page: frames in, figures out."""

from __future__ import annotations

from math import log10

import polars as pl

from dashboards._shell import charts, numbers
from dashboards._shell.charts import Figure
from dashboards._shell.look import Look
from dashboards._shell.reading import WEEKDAYS

MARKS = (1, 5, 15, 60, 240, 1440, 4320, 10080, 43200)
"""Minutes that are named on a logarithmic axis."""


def log_histogram(
    frame: pl.DataFrame, bins_per_decade: int, marks: tuple[tuple[str, float], ...], look: Look
) -> Figure:
    """A histogram whose bins are equally wide in the logarithm, with marked values such as the median."""
    at = [(value + 0.5) / bins_per_decade for value in frame["bin"]]
    counts = frame["n"].to_list()
    words = [
        f"<b>{numbers.count(n)}</b> exams<br>{numbers.duration(10 ** (value / bins_per_decade))} to {numbers.duration(10 ** ((value + 1) / bins_per_decade))}"
        for value, n in zip(frame["bin"], counts, strict=True)
    ]
    trace = {
        "type": "bar",
        "x": at,
        "y": counts,
        "width": 0.92 / bins_per_decade,
        "marker": {"color": look.series[0]},
        "hovertext": words,
        "hovertemplate": "%{hovertext}<extra></extra>",
    }
    high = max(counts) * 1.2
    ticks = [mark for mark in MARKS if min(at) - 0.2 <= log10(mark) <= max(at) + 0.2]
    shapes = [
        {
            "type": "line",
            "xref": "x",
            "x0": log10(value),
            "x1": log10(value),
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "line": {"color": look.text, "width": 1, "dash": "dot"},
        }
        for _, value in marks
    ]
    notes = [
        {
            "x": log10(value),
            "xref": "x",
            "y": 1 - 0.1 * index,
            "yref": "paper",
            "text": name,
            "showarrow": False,
            "xanchor": "left",
            "xshift": 4,
            "yanchor": "top",
            "font": {"size": 12, "color": look.text},
        }
        for index, (name, value) in enumerate(marks)
    ]
    return charts.figure(
        [trace], look, shapes=shapes, annotations=notes,
        xaxis=charts.axis(look, tickvals=[log10(mark) for mark in ticks], ticktext=[numbers.duration(mark) for mark in ticks], showgrid=False),
        yaxis=charts.value_axis(0, high, "", look, ticks=4),
    )  # fmt: skip


def week_heat(frame: pl.DataFrame, look: Look) -> Figure:
    """Median turnaround by weekday and hour of the exam."""
    cells = {(row["weekday"], row["hour"]): row["value"] for row in frame.iter_rows(named=True)}
    values = [[cells.get((weekday, hour)) for hour in range(24)] for weekday in range(1, 8)]
    words = [
        [
            f"<b>{numbers.shown(value, 'min')}</b><br>{WEEKDAYS[row]} {hour:02d}:00–{hour + 1:02d}:00"
            for hour, value in enumerate(line)
        ]
        for row, line in enumerate(values)
    ]
    figure = charts.heat(values, [f"{hour:02d}" for hour in range(24)], WEEKDAYS, words, look, height=260)
    known = [value for line in values for value in line if value is not None]
    ticks = charts.nice_ticks(0, max(known), minutes=True, count=3)
    figure["data"][0]["colorbar"] |= {"tickvals": ticks, "ticktext": [numbers.duration(tick) for tick in ticks]}
    return figure
