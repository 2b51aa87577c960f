"""Unread now: how much waits, how long, what passes its target next, and whether the queue is stable."""

from __future__ import annotations

from datetime import timedelta

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component

from dashboards._shell import charts, numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.filter_bar import choice
from dashboards._shell.kpi import fact_card
from dashboards._shell.layout import page
from dashboards._shell.reading import PATIENT_CLASSES, PRIORITIES, Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.subpages import subpages
from dashboards._shell.tables import Column
from dashboards.turnaround import queries
from dashboards.turnaround.compute import AGE_BANDS, age_counts
from dashboards.turnaround.parts import PAGES, SPLITS, chosen, named, table
from warehouse.measures import measure

OLD_BANDS = 3
"""From this band on an exam waits for more than a day."""
LITTLE_GAP = 0.20
"""Two sides of Little's law further apart than this do not describe one steady queue."""
NEXT_SHOWN = 30

dash.register_page(
    __name__,
    path=urls.TURNAROUND_BOARD,
    name="Unread now",
    title="Unread now – Isocenter",
    permission="view_turnaround",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("turnaround.now", height=170, is_wide=True), slot("turnaround.unread"), slot("turnaround.waiting"), slot("turnaround.next", height=420, is_wide=True), slot("turnaround.flow", height=240, is_wide=True),
    ]  # fmt: skip
    return page(
        "Unread now",
        urls.TURNAROUND_BOARD,
        query,
        content,
        intro="Completed exams without a final report at the time of the data, whatever period is chosen: sites, modalities and the other filters hold.",
    )


@section("turnaround.now")
def now(reading: Reading) -> Drawn:
    """How many exams wait, how many are late, the oldest, and how long clearing them takes."""
    frame, stream = queries.unread_now(reading), queries.flow(reading)
    daily = int(stream["last_week"] or 0) / 7
    least = reading.scope.small_count
    late, due = _late(frame).height, _due(frame, 60).height
    oldest = frame["waited_minutes"].max()
    clear = f"{numbers.rounded(frame.height / daily, 2)} days" if daily else numbers.NOTHING
    cards = [
        fact_card("Unread now", _count(frame.height, least), f"at {numbers.moment(reading.data_to, reading.zone)}"),
        fact_card("Past their target", _count(late, least), f"{_count(due, least)} more within the hour"),
        fact_card("Waiting longest", numbers.duration(float(oldest)) if isinstance(oldest, float) and not 0 < frame.height < least else numbers.NOTHING, "since the end of the exam"),
        fact_card("To clear them", clear if not 0 < frame.height < least else numbers.NOTHING, f"at {numbers.count(daily)} reports a day, the mean of the last 7 days, if nothing came"),
    ]  # fmt: skip
    return html.Div([subpages(PAGES, urls.TURNAROUND_BOARD, reading), html.Div(cards, className="kpis")])


@section("turnaround.unread")
def unread(reading: Reading) -> Drawn:
    """Exams that wait for their report now, by age."""
    frame = queries.unread_now(reading)
    counts = age_counts(frame["waited_minutes"].to_list())
    names = [name for name, _ in AGE_BANDS]
    small = [0 < count < reading.scope.small_count for count in counts]
    old = sum(counts[OLD_BANDS:])
    title = "No exam is unread"
    if any(small):
        title = "Exams without a report, by age"
    elif frame.height:
        title = f"{numbers.count(frame.height)} exams are unread, {numbers.count(old)} of them for more than a day"
    words = [
        numbers.withheld(reading.scope.small_count) if hidden else numbers.count(count)
        for count, hidden in zip(counts, small, strict=True)
    ]
    look = reading.look
    figure = charts.columns(
        [name.replace(" days", " d") for name in names],
        [0 if hidden else count for count, hidden in zip(counts, small, strict=True)],
        words,
        [look.series[0]] * OLD_BANDS + [look.variation["concern"]] * (len(names) - OLD_BANDS),
        look,
        height=280,
    )
    listed = pl.DataFrame({"band": names, "n": counts, "withheld": small})
    return Card(
        title,
        "Completed exams without a final report, by age",
        table((Column("band", "Age"), Column("n", "Exams", "number")), listed, reading),
        figure,
        (measure("unread"),),
        formula="By hours from the end of the exam to the end of the data. Exams that wait for more than a year are taken as lost.",
        period=_period(reading),
        exams=_exams(reading),
    )


@section("turnaround.waiting")
def waiting(reading: Reading) -> Drawn:
    """Where the unread exams wait."""
    way = chosen(reading, "waiting", SPLITS, "priority")
    controls = (choice("waiting", "By", list(SPLITS.items()), way, "priority"),)
    frame = queries.unread_now(reading)
    if frame.is_empty():
        return Empty("Where they wait", "No exam is unread.", controls=controls)
    late = pl.col("left_minutes") < 0
    grouped = frame.group_by(way).agg(
        n=pl.len(), late=late.sum(), median=pl.col("waited_minutes").median(), oldest=pl.col("waited_minutes").max()
    )
    told = (
        named(grouped, way, reading)
        .sort("n", "name", descending=[True, False])
        .with_columns(withheld=pl.col("n") < reading.scope.small_count)
    )
    shown = told.filter(~pl.col("withheld"))
    columns = (
        Column("name", SPLITS[way], link=lambda row: urls.page(urls.TURNAROUND_BOARD, reading.filters.narrowed(**{way: (row["part"],)})) if row["part"] else None),
        Column("n", "Unread", "number"), Column("late", "Past target", "number"), Column("median", "Median wait", "number", "min"), Column("oldest", "Oldest", "number", "min"),
    )  # fmt: skip
    title = "Where they wait: too few to show"
    figure = None
    if not shown.is_empty():
        top = shown.row(0, named=True)
        title = f"{top['name']}: {numbers.count(top['n'])} unread, {numbers.count(top['late'])} past their target"
        words = [f"{numbers.count(row['n'])}, late {numbers.count(row['late'])}" for row in shown.iter_rows(named=True)]
        colours = [
            reading.look.modality(row["part"]) if way == "modality" else reading.look.series[0]
            for row in shown.iter_rows(named=True)
        ]
        figure = charts.bars(
            shown["name"].to_list(), shown["n"].to_list(), words, colours, reading.look, limit=float(top["n"]) * 1.3
        )
    return Card(
        title,
        f"Unread exams by {SPLITS[way].lower()}",
        table(columns, told, reading),
        figure,
        (measure("unread"),),
        period=_period(reading),
        exams=_exams(reading),
        controls=controls,
    )


@section("turnaround.next")
def next_to_breach(reading: Reading) -> Drawn:
    """Exam by exam: what passes its target next, and by when."""
    frame = queries.unread_now(reading)
    ahead, late = (
        frame.filter(pl.col("left_minutes") >= 0).sort("left_minutes"),
        _late(frame).sort("left_minutes", descending=True),
    )
    title = _next_title(ahead, late, reading)
    if not reading.scope.rows:
        return Card(
            title, "Unread exams by the time that is left to their target", table(_LEFT_COLUMNS, _left_bands(frame, reading), reading), period=_period(reading), is_wide=True,
            formula="Target of the exam less the minutes since its end, at the end of the data.", note="Your role sees counts, not exams.",
        )  # fmt: skip
    if frame.is_empty():
        return Empty("Next past their target", "No exam is unread.", is_wide=True)
    at = pl.lit(reading.data_to).dt.cast_time_unit("us")
    rows = named(
        pl.concat([ahead, late, frame.filter(pl.col("left_minutes").is_null())]), "site", reading
    ).with_columns(
        due=at + pl.duration(minutes=pl.col("left_minutes").cast(pl.Int64)),
        priority=pl.col("priority").replace_strict(PRIORITIES, default=None, return_dtype=pl.Utf8),
        patient_class=pl.col("patient_class").replace_strict(PATIENT_CLASSES, default=None, return_dtype=pl.Utf8),
        left=pl.col("left_minutes").map_elements(_left_words, return_dtype=pl.Utf8),
    )
    columns = (
        Column("exam_id", "Exam", link=lambda row: urls.exam(row["exam_key"])), Column("left", "Left"), Column("due", "Due", "moment"), Column("priority", "Priority"), Column("patient_class", "Class"), Column("modality", "Modality"),
        Column("procedure", "Procedure"), Column("section", "Section"), Column("name", "Site"), Column("waited_minutes", "Waits", "number", "min"),
    )  # fmt: skip
    return Card(
        title,
        "Unread exams, those that pass their target next first, then those that have",
        table(columns, rows, reading),
        is_wide=True,
        rows_shown=NEXT_SHOWN,
        period=_period(reading),
        formula="Target of the exam less the minutes since its end, at the end of the data.",
        exams=_exams(reading),
    )


@section("turnaround.flow")
def flow(reading: Reading) -> Drawn:
    """Little's law beside the count: do arrivals and waits explain what is unread?"""
    found = queries.flow(reading)
    arrived, minutes, standing = int(found["arrived"] or 0), found["minutes"], found["standing"]
    if arrived < max(20, reading.scope.small_count) or minutes is None or not standing:
        return Empty(
            "Arrivals, waits and backlog",
            f"Too few exams came or were reported in the last {queries.FLOW_DAYS} days of the data.",
            is_wide=True,
        )
    hours = queries.FLOW_DAYS * 24
    expected = arrived / hours * minutes / 60
    gap = expected / standing - 1
    rows = [
        {"name": "Arrivals", "value": numbers.rounded(arrived / hours), "unit": "exams an hour"},
        {"name": "Mean wait of the exams reported", "value": numbers.duration(minutes), "unit": ""},
        {"name": "Arrivals times mean wait", "value": numbers.rounded(expected), "unit": "exams"},
        {"name": "Unread on average, counted", "value": numbers.rounded(standing), "unit": "exams"},
        {
            "name": "Unread at the start",
            "value": _count(int(found["at_start"] or 0), reading.scope.small_count),
            "unit": "exams",
        },
        {
            "name": "Unread now",
            "value": _count(queries.unread_now(reading).height, reading.scope.small_count),
            "unit": "exams",
        },
    ]
    off = abs(gap) > LITTLE_GAP
    title = (
        f"The count is {100 * abs(1 - standing / expected):.0f} % {'above' if standing > expected else 'below'} what arrivals and waits explain: reports got lost, or the queue is not steady"
        if off
        else f"Arrivals and waits explain the backlog: {numbers.rounded(expected)} exams against {numbers.rounded(standing)} counted"
    )
    return Card(
        title,
        "Little's law beside the counted backlog",
        table((Column("name", "What"), Column("value", "Value"), Column("unit", "Unit")), pl.DataFrame(rows), reading),
        is_wide=True,
        period=f"{queries.FLOW_DAYS} days to {numbers.moment(reading.data_to, reading.zone)}",
        formula=f"Little's law: exams in a steady queue = arrivals an hour × mean hours in it (Little, Oper Res 1961;9:383). Counted: each exam's unread minutes within the {queries.FLOW_DAYS} days, divided by their length. A gap over {100 * LITTLE_GAP:.0f} % is called out.",
    )


_LEFT = (
    ("past its target", None, 0),
    ("under 30 min left", 0, 30),
    ("30 min to 2 h left", 30, 120),
    ("2 to 8 h left", 120, 480),
    ("more than 8 h left", 480, None),
)
_LEFT_COLUMNS = (Column("band", "Time to the target"), Column("n", "Exams", "number"))


def _left_bands(frame: pl.DataFrame, reading: Reading) -> pl.DataFrame:
    left = pl.col("left_minutes")
    counts = [
        frame.filter(
            (left >= low if low is not None else pl.lit(value=True))
            & (left < high if high is not None else pl.lit(value=True))
        )
        .drop_nulls("left_minutes")
        .height
        for _, low, high in _LEFT
    ]
    small = [0 < count < reading.scope.small_count for count in counts]
    return pl.DataFrame({"band": [name for name, _, _ in _LEFT], "n": counts, "withheld": small})


def _next_title(ahead: pl.DataFrame, late: pl.DataFrame, reading: Reading) -> str:
    least = reading.scope.small_count
    past = f"{_count(late.height, least)} exams are past their target" if late.height else "No exam is past its target"
    if ahead.is_empty() or 0 < ahead.height < least:
        return past
    if not reading.scope.rows:
        return f"{past}, {_count(_due(ahead, 60).height, least)} more will be within the hour"
    first = ahead.row(0, named=True)
    return f"{past}; the next is {first['exam_id']} in {numbers.duration(first['left_minutes'])}"


def _left_words(left: float | None) -> str | None:
    """The time left in words that stay on one line."""
    if left is None:
        return None
    words = numbers.duration(left) if left >= 0 else f"{numbers.duration(-left)} late"
    return words.replace(" ", "\N{NO-BREAK SPACE}")


def _late(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("left_minutes") < 0)


def _due(frame: pl.DataFrame, minutes: float) -> pl.DataFrame:
    return frame.filter(pl.col("left_minutes").is_between(0, minutes))


def _count(value: int, small_count: int) -> str:
    return numbers.withheld(small_count) if 0 < value < small_count else numbers.count(value)


def _period(reading: Reading) -> str:
    return f"at {numbers.moment(reading.data_to, reading.zone)}"


def _exams(reading: Reading) -> str:
    end = reading.data_to.date() + timedelta(days=1)
    return urls.exams(reading.filters.over(end - timedelta(days=queries.BOARD_DAYS), end), unread="1", sort="oldest")
