"""Standing waste: mornings or evenings in which a scanner is staffed and idle, week after week.

It is no change, so that no process behaviour chart can see it: the block of hours is compared with the rest of the same
scanner's own staffed days over the last four weeks, weekday by weekday.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Literal, NamedTuple

import polars as pl
from sqlalchemy import BigInteger, cast

from insights.chance import rate_rise
from insights.finding import Evidence, Finding, Found, chance, counted, monday, over, said
from insights.names import Names
from warehouse.engines import Star
from warehouse.filters import Filters
from warehouse.measures import CATALOGUE
from warehouse.measures.scanner_time import available, exams_in, idle, over_spans, total
from warehouse.scope import Scope

WEEKS_BACK, RECENT_WEEKS = 26, 4
"""Weeks that can tell since when, and weeks that decide."""
IDLE, STILL_IDLE = 0.9, 0.7
"""Share of an hour's staffed time, over four weeks, that is idle where it counts as empty; and of the block in a past week."""
BUSY = 0.85
"""The rest of the same days is idle for less than this share: of a scanner that is idle throughout, no hour stands out."""
LEAST_HOURS, LEAST_DAYS = 4.0, 8
"""Idle hours a week, and staffed days in four weeks, below which nothing is told."""
_IDLE_HOURS = CATALOGUE["idle_hours"]
_QUERY = over_spans(
    lambda s: total(s.minutes, idle(s)),
    lambda s: cast(exams_in(s), BigInteger),
    available=lambda s: total(s.minutes, available(s)),
)
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class Block(NamedTuple):
    """Hours at one end of a scanner's staffed days that are idle."""

    end: Literal["evening", "morning"]
    hour: int
    """From which hour, or until which one."""
    weekdays: tuple[int, ...]
    """ISO: 1 is Monday."""
    chance: float
    """That exams are as frequent in it as in the rest of the days."""

    def holds(self) -> pl.Expr:
        """The rows of its hours."""
        hours = pl.col("hour") >= self.hour if self.end == "evening" else pl.col("hour") < self.hour
        return pl.col("weekday").is_in(self.weekdays) & hours


def find(star: Star, last: date, as_of: date, scope: Scope, narrowed: Filters | None, names: Names) -> Found:
    """The standing waste of all scanners, `last` being the last day that is known."""
    first = monday(last - timedelta(weeks=WEEKS_BACK))
    asked = star.frame(_QUERY(over(narrowed, first, last), scope, ("device", "day", "hour")))
    frame = asked.filter(pl.col("device") != "unknown").with_columns(
        week=pl.col("day").dt.truncate("1w"), weekday=pl.col("day").dt.weekday()
    )
    parts = frame.partition_by("device", as_dict=True)
    told = []
    for (device,), part in sorted(parts.items()):
        recent = part.filter(pl.col("day") > last - timedelta(weeks=RECENT_WEEKS))
        told += [_finding(str(device), block, recent, part, as_of, names) for block in idle_blocks(recent)]
    return Found(told, 2 * len(parts))


def idle_blocks(recent: pl.DataFrame) -> Iterator[Block]:
    """The idle evenings and mornings of one scanner.

    Args:
        recent: `day, weekday, hour, value` (idle minutes), `available` (minutes), `n` (exams), of four weeks.
    """
    cells = (
        recent.group_by("weekday", "hour").agg(pl.col("value", "available", "n").sum()).filter(pl.col("available") > 0)
    )
    ends: tuple[tuple[Literal["evening", "morning"], bool], ...] = (("evening", True), ("morning", False))
    for end, late in ends:
        edges = {
            int(part["weekday"][0]): edge
            for part in cells.partition_by("weekday")
            if (edge := _edge(part, late=late)) is not None
        }
        choices = [
            Block(
                end,
                hour,
                tuple(sorted(d for d, edge in edges.items() if (edge <= hour if late else edge >= hour))),
                1.0,
            )
            for hour in set(edges.values())
        ]
        if not choices:
            continue
        best = max(choices, key=lambda block: (_minutes(cells.filter(block.holds())), block.hour))
        if (p := _judged(recent, best)) is not None:
            yield best._replace(chance=p)


def _edge(day: pl.DataFrame, *, late: bool) -> int | None:
    """The hour from which (or up to which) a weekday's staffed hours are empty; None where its end is in use."""
    edge = None
    for row in day.sort("hour", descending=late).iter_rows(named=True):
        if row["value"] < IDLE * row["available"]:
            break
        edge = int(row["hour"]) if late else int(row["hour"]) + 1
    return edge


def _judged(recent: pl.DataFrame, block: Block) -> float | None:
    """How likely chance alone leaves the block so empty; None where it is small, or the rest of the days no fuller."""
    own = recent.filter(pl.col("weekday").is_in(block.weekdays))
    inside, rest = own.filter(block.holds()), own.filter(~block.holds())
    days = inside.filter(pl.col("available") > 0)["day"].n_unique()
    hours, spare = _minutes(inside) / 60 / RECENT_WEEKS, float(rest["available"].sum())
    if hours < LEAST_HOURS or days < LEAST_DAYS or not spare or _minutes(rest) > BUSY * spare:
        return None
    return rate_rise(int(rest["n"].sum()), spare, int(inside["n"].sum()), float(inside["available"].sum()))


def _minutes(frame: pl.DataFrame) -> float:
    return float(frame["value"].sum())


def _finding(device: str, block: Block, recent: pl.DataFrame, days: pl.DataFrame, as_of: date, names: Names) -> Finding:
    own = recent.filter(pl.col("weekday").is_in(block.weekdays))
    inside, rest = own.filter(block.holds()), own.filter(~block.holds())
    hours, offered = (float(inside[name].sum()) / 60 / RECENT_WEEKS for name in ("value", "available"))
    usual = offered * _minutes(rest) / float(rest["available"].sum())
    per_hour = float(rest["n"].sum()) / (float(rest["available"].sum()) / 60)
    by_week = days.filter(block.holds()).group_by("week").agg(pl.col("value", "available", "n").sum()).sort("week")
    since = _since(by_week)
    evidence = Evidence(
        tuple(by_week["week"].to_list()), tuple((by_week["value"] / 60).to_list()), tuple(int(n) for n in by_week["n"]),
        "exams per staffed hour, against the rest of the same days", block.chance, usual, hours,
    )  # fmt: skip
    length = "for half a year or longer" if since <= by_week["week"][1] else f"since {said(since, as_of)}"
    edge = f"from {block.hour}:00" if block.end == "evening" else f"until {block.hour}:00"
    return Finding(
        "concern", "idle hours", _IDLE_HOURS.name, _IDLE_HOURS.permission, {"device": device}, since, None, hours - usual, "h",
        evidence, hours * RECENT_WEEKS * per_hour,
        f"Staffed and idle {edge} {names.words({'device': device})}: {hours:.0f} h a week on {_listed(block.weekdays)}, {length}",
        f"{counted(float(inside['n'].sum()), 'exam')} in {offered * RECENT_WEEKS:.0f} staffed hours of four weeks, where the "
        f"rest of these days has {per_hour:.1f} an hour; by chance {chance(block.chance)}.",
    )  # fmt: skip


def _since(by_week: pl.DataFrame) -> date:
    """Monday of the first week from which on the block is idle in every week in which it is staffed."""
    staffed = by_week.filter(pl.col("available") > 0).sort("week", descending=True)
    empty = staffed.with_columns(idle=pl.col("value") >= STILL_IDLE * pl.col("available"))
    row = empty.filter(pl.col("idle").cast(pl.Int8).cum_min() == 1)["week"]
    since: date = row[-1] if len(row) else staffed["week"][0]
    return since


def _listed(weekdays: tuple[int, ...]) -> str:
    """`Mon to Fri`, or the days one by one."""
    names = [_WEEKDAYS[day - 1] for day in weekdays]
    is_row = len(names) > 2 and weekdays[-1] - weekdays[0] == len(weekdays) - 1
    return f"{names[0]} to {names[-1]}" if is_row else ", ".join(names)
