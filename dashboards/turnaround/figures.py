"""Pictures of the turnaround page: frames in, figures out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from typing import Any

import polars as pl

from dashboards._shell import charts, numbers
from dashboards._shell.charts import Figure
from dashboards._shell.look import Look
from dashboards._shell.reading import WEEKDAYS

MARKS = (1, 5, 15, 60, 240, 1440, 4320, 10080, 43200)
"""Minutes that are named on a logarithmic axis."""
NAME_LENGTH = 14


@dataclass(frozen=True)
class Curve:
    """One group's way from the end of its exams to their reports."""

    name: str
    colour: str
    minutes: tuple[float, ...]
    reported: tuple[float, ...]
    """Percent of the exams reported by then."""
    waiting: tuple[str, ...]
    """How many still waited at each mark, in words."""


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


def reported_curves(curves: Sequence[Curve], marks: Sequence[float], look: Look) -> Figure:
    """The share of exams that have their report by a time, one step line a group, and how many still waited, below.

    The rows below name the groups in their colours: near the end the lines lie on each other, where no name would fit.
    """
    data = [
        {
            "type": "scatter", "mode": "lines", "name": each.name, "x": [log10(minutes) for minutes in each.minutes], "y": list(each.reported),
            "line": {"color": each.colour, "width": 2, "shape": "hv"},
            "text": [f"<b>{share:.0f} %</b> of {each.name} by {numbers.duration(minutes)}" for minutes, share in zip(each.minutes, each.reported, strict=True)],
            "hovertemplate": "%{text}<extra></extra>",
        }
        for each in curves
    ]  # fmt: skip
    height, below = 250, 34
    rows = [
        note
        for place, each in enumerate(curves)
        for note in _at_risk_row(each, marks, -(below + 18 * (place + 1)), look)
    ]
    head = {
        "xref": "paper", "x": 0, "xanchor": "right", "xshift": -6, "yref": "paper", "y": 0, "yanchor": "top", "yshift": -below + 2,
        "text": "waiting", "showarrow": False, "font": {"size": 11, "color": look.muted},
    }  # fmt: skip
    widest = max((len(charts.shortened(each.name, NAME_LENGTH)) for each in curves), default=6)
    bottom = below + 18 * (len(curves) + 1)
    return charts.figure(
        data, look, height=height + bottom, margin={"l": max(46, 14 + 6.8 * widest), "b": bottom, "r": 16}, annotations=[head, *rows],
        xaxis=charts.axis(look, tickvals=[log10(mark) for mark in marks], ticktext=[numbers.duration(mark) for mark in marks], range=[log10(marks[0]) - 0.15, log10(marks[-1]) + 0.12], automargin=False),
        yaxis=charts.axis(look, tickvals=[0, 25, 50, 75, 90, 100], ticktext=["0 %", "25 %", "50 %", "75 %", "90 %", "100 %"], range=[0, 102], automargin=False),
    )  # fmt: skip


def _at_risk_row(each: Curve, marks: Sequence[float], down: float, look: Look) -> list[dict[str, Any]]:
    common = {"yref": "paper", "y": 0, "yanchor": "top", "yshift": down, "showarrow": False}
    name = {
        **common, "xref": "paper", "x": 0, "xanchor": "right", "xshift": -6, "text": f"<b>{charts.shortened(each.name, NAME_LENGTH)}</b>", "font": {"size": 12, "color": each.colour},
    }  # fmt: skip
    counts = [
        {**common, "xref": "x", "x": log10(mark), "xanchor": "center", "text": words, "font": {"size": 11, "color": look.muted}}
        for mark, words in zip(marks, each.waiting, strict=True)
    ]  # fmt: skip
    return [name, *counts]


def stages(names: Sequence[str], minutes: Sequence[float], words: Sequence[str], look: Look) -> Figure:
    """Stages of an exam's life one after the other, each bar beginning where the one before ends."""
    starts = [sum(minutes[:place]) for place in range(len(minutes))]
    longest = max(range(len(minutes)), key=lambda place: minutes[place])
    trace = {
        "type": "bar", "orientation": "h", "base": starts, "x": list(minutes), "y": list(range(len(names))), "text": list(words), "textposition": "outside",
        "cliponaxis": False, "textfont": {"color": look.text, "size": 12}, "width": 0.66, "hovertext": list(words), "hovertemplate": "%{hovertext}<extra></extra>",
        "marker": {"color": [look.series[0] if place == longest else look.faint for place in range(len(names))]},
    }  # fmt: skip
    total = sum(minutes)
    return charts.figure(
        [trace], look, height=34 * len(names) + 40, margin={"r": 96},
        xaxis=charts.value_axis(0, total * 1.02, "min", look, ticks=4),
        yaxis=charts.axis(look, tickvals=list(range(len(names))), ticktext=list(names), range=[len(names) - 0.4, -0.6], showgrid=False),
    )  # fmt: skip


def contributions(
    names: Sequence[str], values: Sequence[float], words: Sequence[str], look: Look, *, more_is_good: bool
) -> Figure:
    """What each part adds to a change: bars to the right and left of none."""
    good, bad = look.variation["improvement"], look.variation["concern"]
    colours = [
        (good if (value > 0) == more_is_good else bad) if value else look.variation["common"] for value in values
    ]
    high = max((abs(value) for value in values), default=1.0) or 1.0
    trace = {
        "type": "bar", "orientation": "h", "x": list(values), "y": list(range(len(names))), "text": list(words), "textposition": "outside", "cliponaxis": False,
        "textfont": {"color": look.text, "size": 12}, "marker": {"color": colours}, "hovertext": list(words), "hovertemplate": "%{hovertext}<extra></extra>", "width": 0.66,
    }  # fmt: skip
    return charts.figure(
        [trace], look, height=max(30 * len(names) + 24, 110),
        xaxis=charts.axis(look, showticklabels=False, showgrid=False, zeroline=True, zerolinecolor=look.muted, range=[-1.5 * high if min(values) < 0 else -0.05 * high, 1.5 * high if max(values) > 0 else 0.05 * high]),
        yaxis=charts.axis(look, tickvals=list(range(len(names))), ticktext=[charts.shortened(name) for name in names], range=[len(names) - 0.4, -0.6], showgrid=False),
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
