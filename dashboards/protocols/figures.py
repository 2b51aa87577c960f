"""Pictures of the protocol page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import polars as pl

from dashboards._shell import charts, numbers
from dashboards._shell.charts import Figure
from dashboards._shell.look import Look


def boxes(rows: Sequence[dict[str, Any]], unit: str, look: Look) -> Figure:
    """One box a scanner."""
    names = [f"{charts.shortened(row['device_name'], 14)} · n {numbers.count(row['n'])}" for row in rows]
    spans = [(row["q0"], row["q1"], row["q2"], row["q3"], row["q4"]) for row in rows]
    hover = [f"<b>{numbers.shown(row['q2'], unit)}</b> median<br>{row['device_name']}<br>n = {numbers.count(row['n'])}" for row in rows]  # fmt: skip
    colours = [look.series[0] if row["n"] >= 20 else look.variation["common"] for row in rows]
    return charts.boxes(names, spans, colours, hover, unit, look)


def weeks(frame: pl.DataFrame, marks: Sequence[tuple[date, str]], unit: str, look: Look) -> Figure:
    """Weekly medians with what changed."""
    low, high = charts.padded([float(one) for one in frame["median"]])
    trace = {
        "type": "scatter", "mode": "lines+markers", "x": [str(one) for one in frame["week"]], "y": frame["median"].to_list(),
        "line": {"color": look.series[0], "width": 1.5}, "marker": {"size": 5, "color": look.series[0]},
        "hovertext": [f"<b>{numbers.shown(value, unit)}</b><br>n = {n}" for value, n in frame.select("median", "n").iter_rows()], "hovertemplate": "%{hovertext}<extra></extra>",
    }  # fmt: skip
    lines = [
        {"type": "line", "x0": str(day), "x1": str(day), "yref": "paper", "y0": 0, "y1": 1, "line": {"color": look.variation["neutral"], "width": 1.5, "dash": "dot"}}
        for day, _ in marks
    ]  # fmt: skip
    notes = [
        {"x": str(day), "y": 1 - 0.09 * (index % 4), "yref": "paper", "text": charts.shortened(name, 22), "showarrow": False, "xanchor": "left", "xshift": 3, "font": {"size": 11, "color": look.muted}}
        for index, (day, name) in enumerate(marks)
    ]  # fmt: skip
    first, last = frame["week"][0], frame["week"][-1]
    return charts.figure(
        [trace],
        look,
        height=300,
        shapes=lines,
        annotations=notes,
        xaxis=charts.time_axis(first, last, look),
        yaxis=charts.value_axis(low, high, unit, look),
    )
