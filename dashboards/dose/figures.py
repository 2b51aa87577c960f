"""Pictures of the dose pages: frames in, figures out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboards._shell import charts, numbers
from dashboards._shell.charts import Figure
from dashboards._shell.look import Look

BINS = 24


def protocol_boxes(rows: Sequence[dict[str, Any]], unit: str, look: Look) -> Figure:
    """One box a protocol and scanner, each with its name and n."""
    names = [
        f"{charts.shortened(row['protocol_name'], 20)}<br>{charts.shortened(row['device_name'], 12)} · n {numbers.count(row['n'])}"
        for row in rows
    ]
    spans = [(row["q0"], row["q1"], row["q2"], row["q3"], row["q4"]) for row in rows]
    hover = [
        f"<b>{numbers.shown(row['q2'], unit)}</b> median<br>{row['protocol_name']} · {row['device_name']}<br>middle half {numbers.rounded(row['q1'])} to {numbers.shown(row['q3'], unit)}<br>"
        f"19 of 20 below {numbers.shown(row['q4'], unit)}<br>n = {numbers.count(row['n'])}"
        for row in rows
    ]
    return charts.boxes(
        names,
        spans,
        [look.series[0] if row["n"] >= 20 else look.variation["common"] for row in rows],
        hover,
        unit,
        look,
    )


def peer_histogram(values: Sequence[float], marked: float, unit: str, look: Look, this: str = "this event") -> Figure:
    """The same figure of other events or exams of the protocol, with `this` one marked."""
    low, high = 0.0, max(values[int(len(values) * 0.99)] if values else marked, marked) * 1.05
    width = (high - low) / BINS
    counts = [0] * BINS
    for value in values:
        counts[min(int(value / width), BINS - 1)] += 1
    words = [
        f"<b>{count}</b> events<br>{numbers.rounded(index * width)} to {numbers.shown((index + 1) * width, unit)}"
        for index, count in enumerate(counts)
    ]
    trace = {
        "type": "bar",
        "x": [(index + 0.5) * width for index in range(BINS)],
        "y": counts,
        "width": width * 0.92,
        "marker": {"color": look.faint},
        "hovertext": words,
        "hovertemplate": "%{hovertext}<extra></extra>",
    }
    line = {
        "type": "line",
        "xref": "x",
        "x0": marked,
        "x1": marked,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"color": look.variation["concern"], "width": 2},
    }
    right = marked > high * 0.6
    note = {
        "x": marked,
        "xref": "x",
        "y": 1,
        "yref": "paper",
        "yanchor": "top",
        "xanchor": "right" if right else "left",
        "xshift": -6 if right else 6,
        "text": f"{this}, {numbers.shown(marked, unit)}",
        "showarrow": False,
        "font": {"size": 12, "color": look.text},
    }
    return charts.figure(
        [trace], look, height=220, shapes=[line], annotations=[note],
        xaxis=charts.value_axis(low, high, "", look, showgrid=False, title={"text": unit, "font": {"size": 12, "color": look.muted}, "standoff": 6}), yaxis=charts.value_axis(0, max(counts, default=1) * 1.2 or 1, "", look, ticks=3),
    )  # fmt: skip
