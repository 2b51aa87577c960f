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
ROOMY = 40
"""Pixels a bar where few bars stand beside a long table or list."""
NAME_WIDTH, NAME_HEIGHT = 0.22, 0.06
"""Of a name in a funnel, as shares of the picture."""


def hour_heat(frame: pl.DataFrame, weeks: float, word: str, look: Look) -> Figure:
    """Exams, slots or orders (`word`) of an average week by weekday and hour."""
    cells = {(row["weekday"], row["hour"]): row["value"] for row in frame.iter_rows(named=True)}
    values = [[(cells.get((weekday, hour)) or 0) / weeks for hour in range(24)] for weekday in range(1, 8)]
    words = [
        [
            f"<b>{numbers.rounded(value, 2)}</b> {word}<br>{WEEKDAYS[row]} {hour:02d}:00–{hour + 1:02d}:00"
            for hour, value in enumerate(line)
        ]
        for row, line in enumerate(values)
    ]
    return charts.heat(values, [f"{hour:02d}" for hour in range(24)], WEEKDAYS, words, look, height=260)


def idle_heat(names: Sequence[str], hours: Sequence[int], values: Sequence[Sequence[float | None]], look: Look) -> Figure:  # fmt: skip
    """Share of available time that was idle, in percent, by device and hour; nothing where nobody was staffed."""
    words = [
        [
            "" if value is None else f"<b>{value:.0f} %</b> idle<br>{name}, {hour:02d}:00–{hour + 1:02d}:00"
            for hour, value in zip(hours, line, strict=True)
        ]
        for name, line in zip(names, values, strict=True)
    ]
    figure = charts.heat(
        values,
        [f"{hour:02d}" for hour in hours],
        [charts.shortened(name) for name in names],
        words,
        look,
        height=max(24 * len(names) + 40, 120),
    )
    figure["data"][0]["zmax"] = 100
    return figure


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


def two_shares(rows: Sequence[dict[str, Any]], look: Look) -> Figure:
    """Room use as a pale bar and scanner use as a dark one in it, one row a device."""
    at = list(range(len(rows)))
    pale = {
        "type": "bar", "orientation": "h", "x": [row["room"] for row in rows], "y": at, "width": 0.66, "marker": {"color": look.faint},
        "text": [f"{row['room']:.0f} %" for row in rows], "textposition": "outside", "cliponaxis": False, "textfont": {"color": look.text, "size": 12},
        "hovertext": [_use_words(row) for row in rows], "hovertemplate": "%{hovertext}<extra></extra>",
    }  # fmt: skip
    dark = {
        "type": "bar", "orientation": "h", "x": [row["scanner"] or 0 for row in rows], "y": at, "width": 0.34, "marker": {"color": look.series[0]},
        "hovertext": [_use_words(row) for row in rows], "hovertemplate": "%{hovertext}<extra></extra>",
    }  # fmt: skip
    return charts.figure(
        [pale, dark], look, height=max(26 * len(rows) + 40, 110), barmode="overlay", margin={"r": 28},
        xaxis=charts.value_axis(0, 100, "%", look, ticks=4),
        yaxis=charts.axis(look, tickvals=at, ticktext=[charts.shortened(row["name"]) for row in rows], range=[len(rows) - 0.4, -0.6], showgrid=False),
    )  # fmt: skip


def _use_words(row: dict[str, Any]) -> str:
    return (
        f"<b>{row['name']}</b><br>room {numbers.shown(row['room'], '%', 1)}, scanner {numbers.shown(row['scanner'], '%', 1)}"
        f"<br>{row['available_hours']:,.0f} available hours ({row['basis']})"
    )


def parts_of_time(rows: Sequence[tuple[str, float, str, str]], look: Look) -> Figure:
    """Horizontal bars of hours that together are the available time: name, percent, words, colour."""
    figure = charts.bars(
        [name for name, *_ in rows], [share for _, share, *_ in rows], [words for _, _, words, _ in rows],
        [colour for *_, colour in rows], look, limit=max(share for _, share, *_ in rows) * 1.5,
    )  # fmt: skip
    figure["layout"]["height"] = max(ROOMY * len(rows) + 24, 120)
    return figure


def funnel_plot(
    points: Sequence[dict[str, Any]], curve: Sequence[tuple[float, float, float]], centre: float, look: Look
) -> Figure:
    """Shares against how many cases they rest on, with the limits of chance; each unit named.

    Args:
        points: `name`, `value`, `n`, `outside`, `words`.
        curve: n with its lower and upper limit.
    """
    xs = [n for n, *_ in curve]
    lows, highs = [low for _, low, _ in curve], [high for *_, high in curve]
    limit = {
        "type": "scatter", "mode": "lines", "x": xs, "hoverinfo": "skip",
        "line": {"color": look.variation["common"], "width": 1, "dash": "dash"},
    }  # fmt: skip
    dots = {
        "type": "scatter", "mode": "markers+text", "x": [point["n"] for point in points], "y": [point["value"] for point in points],
        "text": _apart(points, max(xs), centre), "textposition": _sides(points, max(xs)), "textfont": {"size": 11, "color": look.text},
        "marker": {
            "size": [10 if point["outside"] else 8 for point in points], "symbol": ["diamond" if point["outside"] else "circle" for point in points],
            "color": [look.variation["neutral"] if point["outside"] else look.series[0] for point in points],
        },
        "hovertext": [point["words"] for point in points], "hovertemplate": "%{hovertext}<extra></extra>",
    }  # fmt: skip
    low, high = charts.padded(
        [*lows[len(lows) // 8 :], *highs[len(highs) // 8 :], *(point["value"] for point in points)]
    )
    high = min(high, 104.0)
    level = {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": centre, "y1": centre, "layer": "below",
        "line": {"color": look.variation["common"], "width": 1},
    }  # fmt: skip
    return charts.figure(
        [{**limit, "y": lows}, {**limit, "y": highs}, dots], look, height=340, margin={"r": 16}, shapes=[level],
        xaxis=charts.value_axis(0, max(xs), "", look, ticks=5), yaxis=charts.value_axis(low, high, "%", look),
    )  # fmt: skip


def _sides(points: Sequence[dict[str, Any]], width: float) -> list[str]:
    """Where each name stands at its point, so that none runs out of the picture."""
    return ["middle left" if point["n"] > width * 0.6 else "middle right" for point in points]


def _apart(points: Sequence[dict[str, Any]], width: float, centre: float) -> list[str]:
    """The names that can stand without covering another or a dot, those furthest from the centre first; others are on hover."""
    values = [point["value"] for point in points]
    tall = max(max(values) - min(values), 1.0)
    at = [(point["n"] / width, value / tall) for point, value in zip(points, values, strict=True)]
    sides = [-1 if side == "middle left" else 1 for side in _sides(points, width)]
    placed: list[tuple[float, float]] = []
    names = [""] * len(points)
    for index in sorted(range(len(points)), key=lambda at: -abs(values[at] - centre)):
        x, y = at[index]
        dots = [
            (sides[index] * (other_x - x), other_y - y) for place, (other_x, other_y) in enumerate(at) if place != index
        ]
        covers_dot = any(-0.02 < across < NAME_WIDTH and abs(up) < NAME_HEIGHT for across, up in dots)
        middle = x + sides[index] * NAME_WIDTH / 2
        covers_name = any(
            abs(middle - other_x) < NAME_WIDTH and abs(y - other_y) < NAME_HEIGHT for other_x, other_y in placed
        )
        if not covers_dot and not covers_name:
            placed.append((middle, y))
            names[index] = charts.shortened(points[index]["name"], 18)
    return names


def lost_bars(rows: Sequence[dict[str, Any]], look: Look) -> Figure:
    """Hours lost by cause, the most first."""
    hover = [f"<b>{row['words']}</b> {row['name']}<br>{numbers.count(row['days'])} days of rooms" for row in rows]
    figure = charts.bars(
        [row["name"] for row in rows], [row["hours"] for row in rows], [row["words"] for row in rows],
        [look.variation["concern"] if place == 0 else look.series[0] for place in range(len(rows))], look, hover=hover,
        limit=max(row["hours"] for row in rows) * 1.2,
    )  # fmt: skip
    figure["layout"]["height"] = max(ROOMY * len(rows) + 24, 120)
    return figure


def missed_bars(rows: Sequence[dict[str, Any]], look: Look) -> Figure:
    """No-shows and late cancellations of each group, two bars a group."""
    names = [row["name"] for row in rows]
    data = [
        {
            "type": "bar", "x": names, "y": [row[column] for row in rows], "marker": {"color": colour}, "name": title, "text": [f"{row[column] or 0:.1f}" for row in rows] if len(rows) <= 8 else None,
            "textposition": "outside", "cliponaxis": False, "textfont": {"color": look.text, "size": 12},
            "hovertext": [f"<b>{numbers.shown(row[column], '%', 1)}</b> {title}<br>{row['name']}<br>{numbers.count(row['n'])} slots due" for row in rows],
            "hovertemplate": "%{hovertext}<extra></extra>",
        }
        for column, title, colour in (("no_show", "no-shows", look.series[0]), ("late_cancel", "late cancellations", look.faint))
    ]  # fmt: skip
    top = max((row[column] or 0 for row in rows for column in ("no_show", "late_cancel")), default=1.0) or 1.0
    return charts.figure(
        data, look, height=360, margin={"t": 20}, barmode="group", bargap=0.3,
        xaxis=charts.axis(look, type="category", showgrid=False), yaxis=charts.value_axis(0, top * 1.12, "%", look, ticks=4),
    )  # fmt: skip


def slot_lengths(rows: Sequence[dict[str, Any]], look: Look) -> Figure:
    """Booked length (bar), median room time (dot) and the length that nine of ten keep (tick), one row a procedure."""
    at = list(range(len(rows)))
    hover = [
        f"<b>{row['name']}</b><br>booked {row['slot']:.0f} min, median {row['p50']:.0f} min, 9 of 10 within {row['p90']:.0f} min"
        f"<br>{numbers.count(row['n'])} exams; proposed {row['proposed']:.0f} min"
        for row in rows
    ]
    shared = {"y": at, "hovertext": hover, "hovertemplate": "%{hovertext}<extra></extra>"}
    line = {"size": 16, "symbol": "line-ns-open", "line": {"width": 3}}
    data = [
        {"type": "bar", "orientation": "h", "x": [row["slot"] for row in rows], "width": 0.6, "marker": {"color": look.faint}, **shared},
        {"type": "scatter", "mode": "markers", "x": [row["p50"] for row in rows], "marker": {"size": 9, "color": look.series[0]}, **shared},
        {"type": "scatter", "mode": "markers", "x": [row["p90"] for row in rows], "marker": {**line, "color": [look.variation["concern"] if row["p90"] > row["slot"] else look.series[0] for row in rows]}, **shared},
    ]  # fmt: skip
    high = max(max(row["slot"], row["p90"]) for row in rows) * 1.08
    return charts.figure(
        data, look, height=max(30 * len(rows) + 44, 120),
        xaxis=charts.value_axis(0, high, "min", look, ticks=5),
        yaxis=charts.axis(look, tickvals=at, ticktext=[charts.shortened(row["name"]) for row in rows], range=[len(rows) - 0.4, -0.6], showgrid=False),
    )  # fmt: skip


def idle_shapes(rows: Sequence[dict[str, Any]], look: Look) -> Figure:
    """Idle hours by scanner, long stretches and slivers end to end."""
    at = list(range(len(rows)))
    data = [
        {
            "type": "bar", "orientation": "h", "x": [row[column] for row in rows], "y": at, "width": 0.66, "marker": {"color": colour},
            "hovertext": [f"<b>{row[column]:,.0f} h</b> {title}<br>{row['name']}" for row in rows], "hovertemplate": "%{hovertext}<extra></extra>",
        }
        for column, title, colour in (("bookable", "long enough to book", look.series[0]), ("slivers", "in slivers", look.faint))
    ]  # fmt: skip
    high = max(row["bookable"] + row["slivers"] for row in rows) * 1.05
    return charts.figure(
        data, look, height=max(28 * len(rows) + 40, 110), barmode="stack", xaxis=charts.value_axis(0, high, "", look, ticks=4, title={"text": "hours", "font": {"size": 12}, "standoff": 4}),
        yaxis=charts.axis(look, tickvals=at, ticktext=[charts.shortened(row["name"]) for row in rows], range=[len(rows) - 0.4, -0.6], showgrid=False),
    )  # fmt: skip


def against_plan(rows: Sequence[dict[str, Any]], chance: float, look: Look) -> Figure:
    """Exams (bar, pale where `chances` is within `chance`) and plan (tick), one row a `name`, its difference in percent beside it."""
    at = list(range(len(rows)))
    hover = [
        f"<b>{numbers.count(row['exams'])}</b> exams of {numbers.count(row['planned'])} planned<br>{row['name']}"
        for row in rows
    ]
    shared = {"y": at, "hovertext": hover, "hovertemplate": "%{hovertext}<extra></extra>"}
    high = max((max(row["exams"], row["planned"]) for row in rows), default=1.0) or 1.0
    data = [
        {"type": "bar", "orientation": "h", "x": [row["exams"] for row in rows], "width": 0.6, "marker": {"color": [look.series[0] if abs(row["chances"]) > chance else look.faint for row in rows]}, **shared},
        {"type": "scatter", "mode": "markers", "x": [row["planned"] for row in rows], "marker": {"size": 18, "symbol": "line-ns-open", "color": look.text, "line": {"width": 2.5}}, **shared},
    ]  # fmt: skip
    words = [
        {
            "x": max(row["exams"], row["planned"]), "y": place, "text": numbers.signed(row["change"], "%"), "showarrow": False,
            "xanchor": "left", "xshift": 8, "font": {"size": 12, "color": look.text},
        }
        for place, row in enumerate(rows)
    ]  # fmt: skip
    return charts.figure(
        data, look, height=max(28 * len(rows) + 44, 120), annotations=words,
        xaxis=charts.value_axis(0, high * 1.14, "", look, ticks=4),
        yaxis=charts.axis(look, tickvals=at, ticktext=[charts.shortened(row["name"]) for row in rows], range=[len(rows) - 0.4, -0.6], showgrid=False),
    )  # fmt: skip


def paces(rows: Sequence[dict[str, Any]], centre: float, look: Look) -> Figure:
    """Throughput of each scanner: its interval, the mix-adjusted value as a dot and the plain one as a ring."""
    at = list(range(len(rows)))
    colours = [look.series[0] if row["says"] == "within chance" else look.variation["neutral"] for row in rows]
    hover = [
        f"<b>{row['value']:.2f}/h</b> {row['name']}, same mix<br>{row['low']:.2f} to {row['high']:.2f}/h: {row['says']}<br>as counted {row['plain']:.2f}/h"
        for row in rows
    ]
    shared = {"y": at, "mode": "markers", "hovertext": hover, "hovertemplate": "%{hovertext}<extra></extra>"}
    data: list[dict[str, Any]] = [
        {"type": "scatter", "mode": "lines", "x": [row["low"], row["high"]], "y": [place, place], "line": {"color": colour, "width": 2}, "hoverinfo": "skip"}
        for place, (row, colour) in enumerate(zip(rows, colours, strict=True))
    ]  # fmt: skip
    data += [
        {"type": "scatter", "x": [row["plain"] for row in rows], "marker": {"size": 9, "symbol": "circle-open", "color": look.muted, "line": {"width": 1.5}}, **shared},
        {"type": "scatter", "x": [row["value"] for row in rows], "marker": {"size": 10, "color": colours}, **shared},
    ]  # fmt: skip
    low, high = charts.padded([*(row[name] for row in rows for name in ("low", "high", "plain")), centre])
    level = {
        "type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": centre, "x1": centre, "layer": "below",
        "line": {"color": look.variation["common"], "width": 1},
    }  # fmt: skip
    return charts.figure(
        data, look, height=max(32 * len(rows) + 44, 140), shapes=[level],
        xaxis=charts.value_axis(low, high, "", look, ticks=5, showgrid=True),
        yaxis=charts.axis(look, tickvals=at, ticktext=[charts.shortened(row["name"]) for row in rows], range=[len(rows) - 0.4, -0.6], showgrid=False),
    )  # fmt: skip
