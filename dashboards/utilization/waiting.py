"""Waiting list: orders that wait for their exam, by age and priority, the work in them, and what passes its target by when."""

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
from dashboards._shell.reading import PRIORITIES, Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.subpages import subpages
from dashboards._shell.tables import Column
from dashboards.utilization.parts import PAGES, chosen, table
from warehouse.waiting import AGE_BANDS, PACE_DAYS, breaches, days_of_work, waiting

LISTS = {"soon": "Next to pass their target", "late": "Past their target", "oldest": "Oldest"}
SOON_DAYS = 28
MOST_ROWS = 30
MOST_BARS = 14

dash.register_page(
    __name__,
    path=urls.UTILIZATION_WAITING,
    name="Waiting list",
    title="Waiting list – Isocenter",
    permission="view_utilization",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("utilization.waiting", height=180, is_wide=True), slot("utilization.ages", height=380), slot("utilization.work", height=380),
        slot("utilization.breaching", height=480, is_wide=True),
    ]  # fmt: skip
    return page(
        "Waiting list",
        urls.UTILIZATION_WAITING,
        query,
        content,
        intro="Orders whose exam was neither made nor cancelled at the time of the data, whatever period is chosen: sites, modalities and the other filters hold.",
    )


def orders_with_targets(reading: Reading) -> pl.DataFrame:
    """Every waiting order with when it is due and when it can be expected."""
    asked = (reading.filters, reading.scope, reading.data_to)
    settings = reading.settings.utilization
    found = waiting(reading.star, *asked, settings.stale_days)
    return breaches(reading.star, found, *asked, settings.wait_days)


@section("utilization.waiting")
def headlines(reading: Reading) -> Drawn:
    """How many wait, how long, and how many are or will be late."""
    frame = orders_with_targets(reading)
    least = reading.scope.small_count
    known = least > 0 and 0 < frame.height < least
    middle = frame["waited_days"].median()
    soon = frame.filter(pl.col("will_breach") & (pl.col("due_at") <= reading.data_to + timedelta(days=SOON_DAYS)))
    cards = [
        fact_card("Orders that wait", _count(frame.height, least), f"{_count(frame['slot_at'].null_count(), least)} of them have no slot ahead"),
        fact_card("Wait so far", f"{numbers.rounded(float(middle), 2)} days" if isinstance(middle, (int, float)) and not known else numbers.NOTHING, "median since the order; they are not over yet"),
        fact_card("Past their target", _count(int(frame["is_late"].sum()), least), "by their priority's target"),
        fact_card(f"Will pass it in {SOON_DAYS} days", _count(soon.height, least), "at the slots that they have, or the next open ones"),
    ]  # fmt: skip
    return html.Div([subpages(PAGES, urls.UTILIZATION_WAITING, reading), html.Div(cards, className="kpis")])


@section("utilization.ages")
def ages(reading: Reading) -> Drawn:
    """Waiting orders by age and priority."""
    frame = orders_with_targets(reading)
    if frame.is_empty():
        return Empty("Waiting orders by age", f"No order waits: {reading.sentence}.")
    counted = frame.group_by("band", "priority").agg(pl.len().alias("n"))
    bands = [name for name, _ in AGE_BANDS]
    sums = [int(counted.filter(pl.col("band") == name)["n"].sum()) for name in bands]
    least = reading.scope.small_count
    small = [0 < one < least for one in sums]
    order = pl.col("band").replace_strict({name: index for index, name in enumerate(bands)}, return_dtype=pl.Int32)
    listed = counted.sort(order, "priority").with_columns(
        priority=pl.col("priority").replace_strict(PRIORITIES, default=pl.col("priority")),
        withheld=(pl.col("n") > 0) & (pl.col("n") < least),
    )
    old = sum(sums[3:])
    words = [numbers.withheld(least) if hidden else numbers.count(one) for one, hidden in zip(sums, small, strict=True)]
    look = reading.look
    return Card(
        "Waiting orders by age" if any(small) else f"{numbers.count(old)} of {numbers.count(frame.height)} orders wait for more than 4 weeks",
        "Days since the order, by priority",
        table((Column("band", "Age"), Column("priority", "Priority"), Column("n", "Orders", "number")), listed, reading),
        charts.columns(bands, [0 if hidden else one for one, hidden in zip(sums, small, strict=True)], words, [look.series[0]] * 3 + [look.variation["concern"]] * 2, look, height=280),
        formula=f"Orders in the states ordered or scheduled, not older than {reading.settings.utilization.stale_days} days unless a slot is ahead.",
        period=_at(reading),
    )  # fmt: skip


@section("utilization.work")
def work(reading: Reading) -> Drawn:
    """Days of work in the waiting orders by modality and site."""
    asked = (reading.filters, reading.scope, reading.data_to)
    orders = waiting(reading.star, *asked, reading.settings.utilization.stale_days)
    frame = days_of_work(reading.star, orders, *asked)
    least = reading.scope.small_count
    frame = frame.filter((pl.col("orders") >= least) | (pl.col("orders") == 0)).with_columns(
        site=pl.col("site").replace_strict(dict(reading.names.sites), default=pl.col("site"), return_dtype=pl.Utf8)
    )
    known = frame.drop_nulls("days").head(MOST_BARS)
    if known.is_empty():
        return Empty("Days of work", "Nothing waits, or nothing was done in the last four weeks to know the pace.")
    first = known.row(0, named=True)
    names = [f"{modality}, {site}" for modality, site in known.select("modality", "site").iter_rows()]
    days = known["days"].to_list()
    columns = (
        Column("modality", "Modality"), Column("site", "Site"), Column("orders", "Orders", "number"), Column("unbooked", "Without a slot", "number"), Column("hours", "Scanner hours", "number", "h", 0),
        Column("hours_a_day", "Done in a day", "number", "h", 1), Column("days", "Days of work", "number", "days", 1),
    )  # fmt: skip
    look = reading.look
    return Card(
        f"{first['modality']}, {first['site']}: {numbers.rounded(first['days'], 2)} days of work wait",
        "Waiting orders at the pace of the last four weeks",
        table(columns, frame, reading),
        charts.bars(names, days, [f"{numbers.rounded(one, 2)} d" for one in days], [look.modality(one) for one in known["modality"]], look),
        formula=f"Usual scanner minutes of each waiting order's procedure (median of 90 days), summed, divided by the scanner minutes done in a day (mean of {PACE_DAYS} days, days off counted).",
        period=_at(reading),
    )  # fmt: skip


@section("utilization.breaching")
def breaching(reading: Reading) -> Drawn:
    """Which orders pass their target, by when."""
    kind = chosen(reading, "waits", LISTS, "soon")
    controls = (choice("waits", "Show", list(LISTS.items()), kind, "soon"),)
    frame = orders_with_targets(reading)
    kept = frame.filter(pl.col("will_breach")) if kind == "soon" else frame.filter("is_late") if kind == "late" else frame.sort("ordered_at")  # fmt: skip
    targets = ", ".join(f"{PRIORITIES.get(name, name).lower()} {days:g} days" for name, days in reading.settings.utilization.wait_days.items())  # fmt: skip
    note = f"Targets from the order: {targets} (configuration, local agreements). Without a slot, orders are given the open slots of their modality and site by priority, then age: the best case, for nobody else is booked in between."
    if kept.is_empty():
        return Empty(LISTS[kind], f"No order: {reading.sentence}.", is_wide=True, controls=controls)
    if not reading.scope.rows:
        text = f"{_count(kept.height, reading.scope.small_count)} orders. Single orders are open to roles that may see exam rows."
        return html.Section([html.Header([html.Div([html.H2(LISTS[kind]), html.P(text, className="subtitle")]), *controls], className="card-header"), html.P(note, className="note")], className="card wide")  # fmt: skip
    shown = kept.head(500).with_columns(
        priority=pl.col("priority").replace_strict(PRIORITIES, default=pl.col("priority")),
        site=pl.col("site").replace_strict(dict(reading.names.sites), default=pl.col("site"), return_dtype=pl.Utf8),
        booked=pl.when(pl.col("slot_at").is_not_null()).then(pl.lit("booked")).when(pl.col("expected_at").is_not_null()).then(pl.lit("next open slot")).otherwise(pl.lit("no open slot")),
    )  # fmt: skip
    columns = (
        Column("exam_id", "Exam", link=lambda row: urls.exam(row["exam_key"])), Column("modality", "Modality"), Column("procedure", "Procedure"), Column("site", "Site"), Column("priority", "Priority"), Column("ordered_at", "Ordered", "moment"),
        Column("waited_days", "Waits", "number", "days", 0), Column("due_at", "Due", "moment"), Column("expected_at", "Expected", "moment"), Column("booked", "How"),
    )  # fmt: skip
    return Card(
        f"{numbers.count(kept.height)} orders: {LISTS[kind].lower()}",
        "Soonest due first" if kind != "oldest" else "By the time of their order",
        table(columns, shown, reading),
        note=note,
        is_wide=True,
        rows_shown=MOST_ROWS,
        period=_at(reading),
        controls=controls,
    )


def _at(reading: Reading) -> str:
    return f"at {numbers.moment(reading.data_to, reading.zone)}"


def _count(value: int, least: int) -> str:
    return numbers.withheld(least) if 0 < value < least else numbers.count(value)
