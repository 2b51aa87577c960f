"""Pictures as plain dictionaries: frames in, one small Plotly figure out, never a template of seven kilobytes.

Axes carry the same words as the tables; lines and limits are shapes; names stand at the lines, not in a legend.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from math import ceil, floor, log10
from typing import Any

from dashboards._shell import numbers
from dashboards._shell.look import Look
from dashboards._shell.weekly import Weekly

Figure = dict[str, Any]
FONT = "'Inter Variable', Inter, system-ui, sans-serif"
HEIGHT = 280
_STEPS = (1, 2, 2.5, 5, 10)
_MINUTE_STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 4320, 7200, 14400)


def figure(data: list[dict[str, Any]], look: Look, *, height: int = HEIGHT, **layout: Any) -> Figure:
    """A figure in this colour scheme; `layout` adds to or replaces parts of the common one."""
    base: dict[str, Any] = {
        "height": height,
        "font": {"family": FONT, "size": 12, "color": look.muted},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "showlegend": False,
        "dragmode": False,
        "hovermode": "closest",
        "hoverlabel": {
            "bgcolor": look.card,
            "bordercolor": look.line,
            "font": {"family": FONT, "size": 12, "color": look.text},
        },
        "colorway": list(look.series),
        "xaxis": axis(look),
        "yaxis": axis(look),
    }
    for name, value in layout.items():
        base[name] = {**base[name], **value} if isinstance(base.get(name), dict) and isinstance(value, dict) else value
    return {"data": data, "layout": base}


def axis(look: Look, **more: Any) -> dict[str, Any]:
    """An axis without clutter."""
    return {
        "gridcolor": look.line, "linecolor": look.line, "zeroline": False, "automargin": True, "fixedrange": True,
        "tickfont": {"size": 12, "color": look.muted}, **more,
    }  # fmt: skip


def value_axis(low: float, high: float, unit: str, look: Look, *, ticks: int = 5, **more: Any) -> dict[str, Any]:
    """An axis of values whose ticks are said as everywhere else."""
    at = nice_ticks(low, high, minutes=unit == "min", count=ticks)
    text = [_tick(value, unit, high) for value in at]
    return axis(look, tickvals=at, ticktext=text, range=[low, high], **more)


def _tick(value: float, unit: str, high: float) -> str:
    """A tick in words; full hours as hours where the axis is longer than three."""
    if unit == "min" and high >= 180 and value % 60 == 0 and 0 < value < 2880:
        return f"{value / 60:.0f} h"
    return numbers.shown(value, unit) if unit in {"min", "%"} else numbers.rounded(value)


def time_axis(start: date, end: date, look: Look, **more: Any) -> dict[str, Any]:
    """An axis of days, months named, the year below where it begins."""
    usual = {"tickformat": "%b\n%Y", "showgrid": False, "range": [str(start), str(end)], "nticks": 7}
    return axis(look, type="date", **(usual | more))


def nice_ticks(low: float, high: float, *, minutes: bool = False, count: int = 5) -> list[float]:
    """Round values between low and high, about `count` of them."""
    span = max(high - low, 1e-9)
    rough = span / max(count, 1)
    if minutes and rough >= 1:
        step: float = next((step for step in _MINUTE_STEPS if step >= rough * 0.8), _MINUTE_STEPS[-1])
    else:
        power = 10.0 ** floor(log10(rough))
        step = next(step * power for step in _STEPS if step * power >= rough * 0.999)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten between two positive values."""
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    return [step * 10.0**power for power in powers for step in (1, 2, 5) if low <= step * 10.0**power <= high]


def padded(values: Sequence[float | None], share: float = 0.08, floor_at: float | None = 0.0) -> tuple[float, float]:
    """A range that holds all values with some air; never below `floor_at` where all values are above it."""
    known = [value for value in values if value is not None] or [0.0, 1.0]
    low, high = min(known), max(known)
    air = (high - low or abs(high) or 1.0) * share
    bottom = low - air
    return (max(bottom, floor_at) if floor_at is not None and low >= floor_at else bottom), high + air


def spread(values: Sequence[float], gap: float) -> list[float]:
    """The values moved apart, in order, so that labels at them do not overlap."""
    order = sorted(range(len(values)), key=lambda index: values[index])
    placed = [0.0] * len(values)
    last = float("-inf")
    for index in order:
        last = placed[index] = max(values[index], last + gap)
    overshoot = [placed[index] - values[index] for index in order]
    shift = (max(overshoot) / 2) if overshoot else 0.0
    return [value - shift for value in placed] if shift else placed


def xmr(found: Weekly, look: Look, *, height: int = HEIGHT) -> Figure:
    """A process-behaviour chart: the weeks, their mean and limits, special causes by colour and shape."""
    behaviour, unit = found.behaviour, found.measure.unit
    levels = [
        (name, value)
        for name, value in (
            ("upper", behaviour.upper),
            ("mean", behaviour.mean),
            ("lower", _above_zero(behaviour.lower)),
        )
        if value is not None
    ]
    low, high = padded([*found.values, *(value for _, value in levels)])
    start, end = found.weeks[0] - timedelta(days=4), found.weeks[-1] + timedelta(days=4)
    placed = spread([value for _, value in levels], (high - low) * 18 / height)
    labels = [
        _end_label(f"{name} {_plain(value, found)}", y, look.muted)
        for (name, value), y in zip(levels, placed, strict=True)
    ]
    return figure(
        [_weeks_trace(found, look)],
        look,
        height=height,
        margin={"r": max((len(f"{name} {_plain(value, found)}") for name, value in levels), default=6) * 6.6 + 14},
        xaxis=time_axis(start, end, look),
        yaxis=value_axis(low, high, unit, look),
        shapes=[_level(value, look, dashed=name != "mean") for name, value in levels],
        annotations=labels,
    )


def _weeks_trace(found: Weekly, look: Look) -> dict[str, Any]:
    kinds = [_kind(found, index) for index in range(len(found.weeks))]
    words = [numbers.shown(value, found.measure.unit, found.measure.decimals) for value in found.values]
    behind = [
        f"n = {numbers.count(n or 0)}" + (f"<br>{point.rule}" if point.rule else "")
        for n, point in zip(found.n, found.behaviour.points, strict=True)
    ]
    return {
        "type": "scatter", "mode": "lines+markers", "x": [str(week) for week in found.weeks], "y": list(found.values),
        "text": words, "customdata": behind, "connectgaps": True,
        "line": {"color": look.variation["common"], "width": 1.2},
        "marker": {
            "opacity": 1,
            "color": [look.variation[kind] for kind in kinds],
            "symbol": ["circle" if kind == "common" else "diamond" for kind in kinds],
            "size": [6 if kind == "common" else 9 for kind in kinds],
        },
        "hovertemplate": "<b>%{text}</b><br>week of %{x|%-d %b %Y}<br>%{customdata}<extra></extra>",
    }  # fmt: skip


def _kind(found: Weekly, index: int) -> Any:
    point = found.behaviour.points[index]
    if not point.special:
        return "common"
    if found.measure.direction == "neither" or point.side is None:
        return "neutral"
    return "improvement" if (point.side == "high") == (found.measure.direction == "up") else "concern"


def lines(
    series: Sequence[tuple[str, Sequence[date], Sequence[float | None], str]],
    unit: str,
    look: Look,
    *,
    height: int = HEIGHT,
    decimals: int | None = None,
) -> Figure:
    """Lines over time, each named at its end. `series` holds name, days, values and colour."""
    everything = [value for _, _, values, _ in series for value in values]
    low, high = padded(everything, 0.06)
    days = [day for _, at, _, _ in series for day in at]
    ends = [
        (name, next((value for value in reversed(values) if value is not None), None), colour)
        for name, _, values, colour in series
    ]
    known = [(name, value, colour) for name, value, colour in ends if value is not None]
    placed = spread([value for _, value, _ in known], (high - low) * 18 / height)
    data = [
        {
            "type": "scatter", "mode": "lines", "name": name, "x": [str(day) for day in at], "y": list(values), "line": {"color": colour, "width": 2},
            "text": [numbers.shown(value, unit, decimals) for value in values], "connectgaps": False,
            "hovertemplate": f"<b>%{{text}}</b> {name}<br>week of %{{x|%-d %b %Y}}<extra></extra>",
        }
        for name, at, values, colour in series
    ]  # fmt: skip
    widest = max((len(name) for name, _, _ in known), default=6)
    return figure(
        data, look, height=height, margin={"r": min(20 + 7 * widest, 150)},
        xaxis=time_axis(min(days), max(days), look), yaxis=value_axis(low, high, unit, look),
        annotations=[_end_label(name, y, colour) for (name, _, colour), y in zip(known, placed, strict=True)],
    )  # fmt: skip


def bars(
    names: Sequence[str],
    values: Sequence[float | None],
    words: Sequence[str],
    colours: Sequence[str],
    look: Look,
    *,
    hover: Sequence[str] | None = None,
    limit: float | None = None,
) -> Figure:
    """Horizontal bars from zero, first on top, each with its value in words."""
    known = [value for value in values if value is not None]
    top = limit or max(known, default=1.0) or 1.0
    trace = {
        "type": "bar", "orientation": "h", "x": [value or 0 for value in values], "y": list(range(len(names))),
        "text": list(words), "textposition": "outside", "cliponaxis": False, "textfont": {"color": look.text, "size": 12},
        "marker": {"color": list(colours)}, "hovertext": list(hover or words), "hovertemplate": "%{hovertext}<extra></extra>", "width": 0.66,
    }  # fmt: skip
    return figure(
        [trace], look, height=max(28 * len(names) + 24, 96), margin={"r": 24},
        xaxis=axis(look, visible=False, range=[0, top * 1.22]),
        yaxis=axis(look, tickvals=list(range(len(names))), ticktext=[shortened(name) for name in names], range=[len(names) - 0.4, -0.6], showgrid=False),
    )  # fmt: skip


def columns(
    names: Sequence[str],
    values: Sequence[float],
    words: Sequence[str],
    colours: Sequence[str],
    look: Look,
    *,
    height: int = 220,
) -> Figure:
    """Upright bars from zero in a natural order, each with its value in words."""
    trace = {
        "type": "bar", "x": list(names), "y": list(values), "text": list(words), "textposition": "outside", "cliponaxis": False,
        "textfont": {"color": look.text, "size": 12}, "marker": {"color": list(colours)}, "hovertemplate": "<b>%{text}</b><br>%{x}<extra></extra>", "width": 0.66,
    }  # fmt: skip
    high = max(values, default=1.0) or 1.0
    return figure(
        [trace],
        look,
        height=height,
        margin={"t": 20},
        xaxis=axis(look, type="category", showgrid=False),
        yaxis=axis(look, visible=False, range=[0, high * 1.15]),
    )


def heat(
    cells: Sequence[Sequence[float | None]],
    across: Sequence[str],
    down: Sequence[str],
    words: Sequence[Sequence[str]],
    look: Look,
    *,
    height: int = HEIGHT,
) -> Figure:
    """A heat map, dark to bright, with a cell's words on hover; the first row on top."""
    trace = {
        "type": "heatmap", "z": [list(row) for row in cells], "x": list(across), "y": list(down), "text": [list(row) for row in words],
        "hovertemplate": "%{text}<extra></extra>", "xgap": 2, "ygap": 2,
        "colorscale": [[index / (len(look.scale) - 1), colour] for index, colour in enumerate(look.scale)], "zmin": 0,
        "colorbar": {"thickness": 8, "outlinewidth": 0, "len": 0.9, "tickfont": {"size": 12, "color": look.muted}, "nticks": 4, "x": 1.01, "xpad": 4},
    }  # fmt: skip
    return figure(
        [trace], look, height=height, margin={"r": 4},
        xaxis=axis(look, type="category", showgrid=False, side="bottom", tickangle=0, nticks=13),
        yaxis=axis(look, type="category", showgrid=False, autorange="reversed"),
    )  # fmt: skip


def boxes(
    names: Sequence[str],
    spans: Sequence[tuple[float, float, float, float, float]],
    colours: Sequence[str],
    hover: Sequence[str],
    unit: str,
    look: Look,
) -> Figure:
    """Horizontal boxes from computed quantiles: P5, P25, median, P75, P95."""
    low, high = 0.0, max((span[4] for span in spans), default=1.0) * 1.06
    data: list[dict[str, Any]] = [
        {
            "type": "box", "orientation": "h", "y": [index], "lowerfence": [span[0]], "q1": [span[1]], "median": [span[2]], "q3": [span[3]],
            "upperfence": [span[4]], "line": {"color": colour, "width": 1.5}, "fillcolor": "rgba(127,127,127,0.18)", "hoverinfo": "skip", "width": 0.56,
        }
        for index, (span, colour) in enumerate(zip(spans, colours, strict=True))
    ]  # fmt: skip
    data.append({
        "type": "scatter", "mode": "markers", "x": [span[2] for span in spans], "y": list(range(len(spans))), "hovertext": list(hover),
        "hovertemplate": "%{hovertext}<extra></extra>", "marker": {"size": 9, "symbol": "line-ns-open", "color": list(colours), "line": {"width": 2.5}},
    })  # fmt: skip
    return figure(
        data, look, height=max(38 * len(names) + 56, 120),
        xaxis=value_axis(low, high, unit, look, ticks=4, title={"text": unit, "font": {"size": 12, "color": look.muted}, "standoff": 6}),
        yaxis=axis(look, tickvals=list(range(len(names))), ticktext=list(names), range=[len(names) - 0.4, -0.6], showgrid=False),
    )  # fmt: skip


def shortened(name: str, length: int = 24) -> str:
    """The name, cut with an ellipsis where it would squeeze the chart."""
    return name if len(name) <= length else f"{name[: length - 1].rstrip()}…"


def _plain(value: float, found: Weekly) -> str:
    number, unit = numbers.parts(value, found.measure.unit, found.measure.decimals)
    return f"{number} {unit}" if unit in {"%", "min"} else number


def _above_zero(value: float | None) -> float | None:
    """A lower limit below zero says nothing of measures that cannot be negative, and is not drawn."""
    return value if value is not None and value > 0 else None


def _level(value: float, look: Look, *, dashed: bool) -> dict[str, Any]:
    return {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": value, "y1": value, "layer": "below",
        "line": {"color": look.variation["common"], "width": 1, "dash": "dash" if dashed else "solid"},
    }  # fmt: skip


def _end_label(text: str, y: float, colour: str) -> dict[str, Any]:
    return {
        "xref": "paper",
        "x": 1,
        "xanchor": "left",
        "xshift": 6,
        "yref": "y",
        "y": y,
        "text": text,
        "showarrow": False,
        "font": {"size": 12, "color": colour},
    }
