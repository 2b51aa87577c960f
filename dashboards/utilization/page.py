"""The utilization page: how much of its staffed time each room and scanner is used, and what stands in the way."""

from __future__ import annotations

from typing import Any

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component

from dashboards._shell import charts, numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.filter_bar import choice
from dashboards._shell.kpi import fact_card, kpi, kpi_card
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.subpages import subpages
from dashboards._shell.tables import Column
from dashboards._shell.weekly import statement, weekly
from dashboards.utilization import figures, queries
from dashboards.utilization.appointments import soonest
from dashboards.utilization.compute import FEWEST_DAYS, funnel, rate_of_days
from dashboards.utilization.parts import (
    BASES,
    CAUSES,
    FEW,
    PAGES,
    chosen,
    device_column,
    no_scanner_time,
    rows_frame,
    spoken,
    table,
    with_devices,
)
from warehouse.measures import measure

HEADLINES = (
    ("room_utilization", urls.UTILIZATION), ("scanner_utilization", urls.UTILIZATION),
    ("first_case_on_time_share", urls.UTILIZATION_LOST), ("no_show_share", urls.UTILIZATION_APPOINTMENTS),
)  # fmt: skip
MOST_DEVICES = 14
"""Scanners in the picture: where there are more, the most and the least used."""
LIKES = {"device": "All scanners", "site": "Sites"}
COMPARED = {
    "first_case_on_time_share": "First case on time",
    "no_show_share": "No-shows",
    "late_cancel_share": "Late cancellations",
    "slot_overrun_share": "Exams longer than their slot",
}
UNITS = {
    "first_case_on_time_share": "days",
    "no_show_share": "slots",
    "late_cancel_share": "slots",
    "slot_overrun_share": "exams",
}
CURVE_POINTS = 60
WIDE = 2.0
"""From this over-dispersion on it is no longer chance that makes the units differ."""

dash.register_page(
    __name__,
    path=urls.UTILIZATION,
    name="Utilization",
    title="Utilization – Isocenter",
    order=1,
    icon="gauge",
    permission="view_utilization",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("utilization.headlines", height=190, is_wide=True), slot("utilization.devices", height=480), slot("utilization.gap", height=480),
        slot("utilization.trend"), slot("utilization.funnel"), slot("utilization.pace", height=380, is_wide=True), slot("utilization.evenings", height=420, is_wide=True),
    ]  # fmt: skip
    return page(
        "Utilization",
        urls.UTILIZATION,
        query,
        content,
        intro="How much of their staffed, available time rooms and scanners are used. Closures and planned downtime are taken out; breakdowns stay in.",
    )


@section("utilization.headlines")
def headlines(reading: Reading) -> Drawn:
    """The headline cards."""
    cards = [
        kpi_card(kpi(reading, name, urls.page(path, reading.filters) if path != urls.UTILIZATION else None), reading)
        for name, path in HEADLINES
        if reading.may(measure(name).permission)
        and not (reading.scope.departments is not None and name != "no_show_share")
    ]
    waits = soonest(reading)
    known = [row for row in waits if row["days"] is not None]
    if known:
        longest = max(known, key=lambda row: row["days"])
        line = f"{longest['name']}, the longest of {len(waits)}; measured at {numbers.moment(reading.data_to, reading.zone)}"
        cards.append(fact_card("Third next available", f"{numbers.rounded(longest['days'], 2)} days", line))
    if reading.scope.departments is not None:
        cards.append(html.P("Scanner time is hidden: it belongs to no department, and your access is limited to departments.", className="card note"))  # fmt: skip
    return html.Div([subpages(PAGES, urls.UTILIZATION, reading), html.Div(cards, className="kpis five")])


@section("utilization.devices")
def devices(reading: Reading) -> Drawn:
    """Room and scanner utilization of each device, over its available hours."""
    rows = device_rows(reading)
    if not rows:
        return no_scanner_time("Utilization by scanner", reading, "No scanner with staffed hours fits these filters")
    first, last = rows[0], rows[-1]
    title = f"{first['name']} is used most, {first['room']:.0f} % of its available time" + (
        f"; {last['name']} least, {last['room']:.0f} %" if len(rows) > 1 else ""
    )
    columns = (
        device_column(reading), Column("modality", "Modality"), Column("site_name", "Site"), Column("room", "Room", "number", "%", 1), Column("scanner", "Scanner", "number", "%", 1),
        Column("available_hours", "Available", "number", "h"), Column("staffed_hours", "Staffed", "number", "h"), Column("planned", "Planned down", "number", "h", 1),
        Column("unplanned", "Breakdowns", "number", "h", 1), Column("closed", "Closed", "number", "h", 1), Column("basis", "Hours from"), Column("n", "Exams", "number"),
    )  # fmt: skip
    out = sum(row["planned"] + row["closed"] for row in rows)
    note = f"Pale: somebody in the room. Dark: scanning. {numbers.count(out)} h of closures and planned downtime are taken out."
    unsure = [row["name"] for row in rows if "inferred" in row["basis"]]
    if unsure:
        note += f" Staffed hours are inferred from use for {', '.join(unsure[:4])}{' and others' if len(unsure) > 4 else ''}: load a calendar to be sure."
    if len(rows) > MOST_DEVICES:
        note += (
            f" The {MOST_DEVICES // 2} most and the {MOST_DEVICES // 2} least used of {len(rows)}; the table has all."
        )
    note = " ".join(filter(None, (note, reading.filters.scanner_time_note)))
    return Card(
        title, "Share of available hours with the room taken and with acquisition, %", table(columns, rows_frame(rows), reading), figures.two_shares(_ends(rows), reading.look),
        (measure("room_utilization"), measure("scanner_utilization"), measure("available_hours"), measure("planned_downtime_hours")), note, exams=urls.exams(reading.filters),
    )  # fmt: skip


def _ends(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All rows, or the first and the last of them where the picture has no room for more."""
    half = MOST_DEVICES // 2
    return rows if len(rows) <= MOST_DEVICES else [*rows[:half], *rows[-half:]]


@section("utilization.gap")
def gap(reading: Reading) -> Drawn:
    """What was booked against what was used, and where the rest of the available time went."""
    hours = _total(reading, "available_hours")
    if not hours:
        return no_scanner_time("Booked and used time", reading, "No staffed hours that have passed fit these filters")
    frame = reading.frame("lost_minutes", "cause")
    lost = {row["cause"]: float(row["value"] or 0) / 60 for row in frame.iter_rows(named=True)}
    room, booked = _total(reading, "room_utilization"), _total(reading, "slot_fill_share")
    used = hours - sum(lost.values())
    look = reading.look
    rows: list[dict[str, Any]] = [{"name": "Room in use", "hours": used, "share": 100 * used / hours, "kind": "used"}]
    rows += [
        {"cause": cause, "name": CAUSES[cause], "hours": value, "share": 100 * value / hours, "kind": "lost"}
        for cause, value in sorted(lost.items(), key=lambda item: -item[1])
        if cause in CAUSES
    ]
    overrun = queries.after_hours(reading)
    rows.append({"name": "Outside staffed hours", "hours": overrun, "share": 100 * overrun / hours, "kind": "outside"})
    for row in rows:
        row["words"] = f"{row['share']:.1f} % · {row['hours']:,.0f} h"
    colours = {"used": look.series[0], "lost": look.faint, "outside": look.variation["common"]}
    worst = max((row for row in rows if row["kind"] == "lost"), key=lambda row: row["hours"], default=None)
    planned = "" if booked is None else f"{booked:.0f} % of the available time was booked, "
    start = f"{planned}{room:.0f} % used" if room is not None else "Booked and used time"
    title = f"{start}; most was lost to {spoken(worst['cause'])}" if worst else start
    columns = (
        Column("name", "What became of it"),
        Column("share", "Of available time", "number", "%", 1),
        Column("hours", "Hours", "number", "h", 1),
    )
    return Card(
        title[:1].upper() + title[1:], f"Shares of {hours:,.0f} available hours", table(columns, rows_frame(rows), reading),
        figures.parts_of_time([(row["name"], row["share"], row["words"], colours[row["kind"]]) for row in rows], look),
        (measure("slot_fill_share"), measure("room_utilization"), measure("lost_minutes")),
        note="The lost parts and the time in use add up to the available time. Booked time is that of slots due on the day; walk-ins and emergencies use time that nobody booked.",
        formula="Outside staffed hours: hours in which the room was taken after closing, on closed days or at night, emergencies included.",
        exams=urls.exams(reading.filters),
    )  # fmt: skip


@section("utilization.trend")
def trend(reading: Reading) -> Drawn:
    """Room utilization week by week."""
    found = weekly(reading, "room_utilization")
    if found.known < 2:
        return no_scanner_time("Room utilization by week", reading, "Fewer than two full weeks with staffed hours")
    columns = (
        Column("week", "Week from", "day"),
        Column("value", "Room utilization", "number", "%", 1),
        Column("n", "Exams", "number"),
        Column("variation", "Rule"),
    )
    return Card(
        f"Room utilization is {statement(found)}", "Share of available hours, by week, %", table(columns, found.frame(), reading), charts.xmr(found, reading.look, height=420),
        (measure("room_utilization"),), period=found.period, exams=urls.exams(reading.filters),
    )  # fmt: skip


@section("utilization.funnel")
def compared(reading: Reading) -> Drawn:
    """Sites and like scanners, with the limits of chance at their size: never a ranking."""
    groups = list(reading.names.device_modalities.values())
    likes = LIKES | {code: f"{code} scanners" for code in sorted(set(groups)) if groups.count(code) > 1}
    name = chosen(reading, "figure", COMPARED, "first_case_on_time_share")
    usual = _most_alike(reading, name)
    like = chosen(reading, "like", likes, usual)
    controls = (
        choice("figure", "Compare", list(COMPARED.items()), name, "first_case_on_time_share"),
        choice("like", "Among", list(likes.items()), like, usual),
    )
    frame = _units(reading, name, like)
    if frame.height < 2:
        if reading.scope.departments is not None and not measure(name).counts_patients:
            return no_scanner_time("Like against like", reading, "", controls=controls)
        return Empty("Like against like", f"Fewer than two have {FEW} cases to compare: {reading.sentence}.", controls=controls)  # fmt: skip
    found = funnel(frame["value"].to_list(), frame["n"].to_list())
    unit = UNITS[name]
    rows = [
        _funnel_row(row, found.limits(row["n"]), found.is_outside(row["value"], row["n"]), unit)
        for row in frame.sort("name").iter_rows(named=True)
    ]
    widest = max(frame["n"]) * 1.12
    start = max(min(frame["n"]) * 0.5, 5.0)
    grid = [start + (widest - start) * place / CURVE_POINTS for place in range(CURVE_POINTS + 1)]
    outside = [row["name"] for row in rows if row["outside"]]
    label = COMPARED[name]
    if outside:
        listed = ", ".join(outside[:3]) + (f" and {len(outside) - 3} more" if len(outside) > 3 else "")
        title = f"{label}: {listed} {'differ' if len(outside) > 1 else 'differs'} from the others by more than chance"
    else:
        kind = {"site": "sites", "device": "scanners"}.get(like, f"{like} scanners")
        title = f"{label}: no difference between {kind} beyond chance"
        if found.dispersion > WIDE:
            title = f"{label}: {kind} vary more than chance explains; none stands out from that spread"
    spread = f" They vary {found.dispersion:.1f} times as much as pure chance would make them; the limits are widened for it." if found.dispersion > 1.05 else ""  # fmt: skip
    columns = (
        Column("name", "Site" if like == "site" else "Scanner"), Column("value", label, "number", "%", 1), Column("n", unit.capitalize(), "number"),
        Column("low", "Lower limit", "number", "%", 1), Column("high", "Upper limit", "number", "%", 1), Column("says", "Says"),
    )  # fmt: skip
    return Card(
        title, f"Share, %, by the number of {unit} behind it; dashed: 99.8 % limits around {found.centre:.1f} %", table(columns, rows_frame(rows), reading),
        figures.funnel_plot(rows, [(n, *found.limits(n)) for n in grid], found.centre, reading.look), (measure(name),),
        note=f"A dot between the dashed lines differs by no more than chance.{spread} Scanners with other patients or procedures may differ for good reason.",
        formula="Binomial limits at 3.09 standard errors; from 5 units on multiplied by the root of the over-dispersion, winsorised at 10 % (Spiegelhalter, Stat Med 2005;24:1185).",
        exams=urls.exams(reading.filters), controls=controls,
    )  # fmt: skip


def _funnel_row(row: dict[str, Any], limits: tuple[float, float], is_outside: bool, unit: str) -> dict[str, Any]:
    low, high = limits
    says = "within chance"
    if is_outside:
        says = "above the limit" if row["value"] > high else "below the limit"
    words = f"<b>{row['value']:.1f} %</b> {row['name']}<br>{numbers.count(row['n'])} {unit}<br>{says}: {low:.1f} to {high:.1f} %"
    return {"name": row["name"], "value": row["value"], "n": row["n"], "low": low, "high": high, "outside": is_outside, "says": says, "words": words}  # fmt: skip


def _most_alike(reading: Reading, name: str) -> str:
    """The modality with most scanners to compare, then with most cases; all scanners where none has two."""
    alike = _units(reading, name, "device").group_by("modality").agg(units=pl.len(), cases=pl.col("n").sum())
    two = alike.filter(pl.col("units") > 1).sort("units", "cases", "modality", descending=[True, True, False])
    return str(two["modality"][0]) if two.height else "device"


def _units(reading: Reading, name: str, like: str) -> pl.DataFrame:
    """Sites or scanners with enough cases: name, value, n."""
    enough = (pl.col("n") >= max(FEW, reading.scope.small_count)) & pl.col("value").is_not_null()
    if like == "site":
        frame = reading.frame(name, "site").filter(enough)
        return frame.with_columns(name=pl.col("site").replace_strict(dict(reading.names.sites), default=pl.col("site"), return_dtype=pl.Utf8))  # fmt: skip
    found = with_devices(reading.frame(name, "device").filter(enough), reading)
    return found if like == "device" else found.filter(pl.col("modality") == like)


@section("utilization.pace")
def pace(reading: Reading) -> Drawn:
    """What scanners of one modality do in an hour, each exam weighed by how long its procedure takes."""
    groups = list(reading.names.device_modalities.values())
    likes = {code: f"{code} scanners" for code in sorted(set(groups)) if groups.count(code) > 1}
    title = "Throughput of like scanners"
    if not likes:
        return html.Div()
    usual = max(likes, key=groups.count)
    like = chosen(reading, "pace", likes, usual)
    controls = (choice("pace", "Among", list(likes.items()), like, usual),)
    rows = _paces(reading.over(reading.filters.narrowed(modality=(like,))))
    if len(rows) < 2:
        return no_scanner_time(title, reading, f"Fewer than two {like} scanners have {FEWEST_DAYS} staffed days", is_wide=True, controls=controls)  # fmt: skip
    centre = sum(row["value"] * row["hours"] for row in rows) / sum(row["hours"] for row in rows)
    for row in rows:
        row["says"] = "slower" if row["high"] < centre else "faster" if row["low"] > centre else "within chance"
    apart = [f"{row['name']} is {row['says']}" for row in rows if row["says"] != "within chance"]
    if apart:
        title = f"{', '.join(apart[:3])}{f' and {len(apart) - 3} more differ' if len(apart) > 3 else ''}: {like}, same mix, beyond chance"
    else:
        title = f"No {like} scanner works faster or slower than the others beyond chance"
    columns = (
        device_column(reading), Column("site_name", "Site"), Column("value", "Same mix", "number", "/h", 2), Column("low", "Lower limit", "number", "/h", 2), Column("high", "Upper limit", "number", "/h", 2),
        Column("plain", "As counted", "number", "/h", 2), Column("hours", "Available", "number", "h"), Column("n", "Exams", "number"), Column("says", "Says"),
    )  # fmt: skip
    return Card(
        title, f"Exams per staffed, available hour as if all made the same mix of procedures (dot, 99 % interval), and as counted (ring); line: all {like} scanners, {centre:.2f}/h", table(columns, rows_frame(rows), reading),
        figures.paces(rows, centre, reading.look), (measure("throughput_mix_adjusted"), measure("throughput")),
        note="Patients who take longer, and urgent ones, are no part of the mix: a slower scanner may have good reason." + (f" {reading.filters.scanner_time_note}" if reading.filters.scanner_time_note else ""),
        formula="Interval: days are the units; ratio of sums over days (Cochran 1977, 6.4), 2.58 standard errors.", is_wide=True, controls=controls, exams=urls.exams(reading.filters.narrowed(modality=(like,))),
    )  # fmt: skip


def _paces(reading: Reading) -> list[dict[str, Any]]:
    """Scanners with enough staffed days, the fastest first: mix-adjusted and plain throughput with limits, hours and exams."""
    hours = reading.frame("available_hours", "device", "day").select("device", "day", hours="value")
    adjusted = reading.frame("throughput_mix_adjusted", "device", "day").select("device", "day", rate="value")
    days = hours.join(adjusted, on=["device", "day"], how="left").with_columns(pl.col("rate").fill_null(0.0))
    rows = []
    for (device,), part in days.partition_by("device", as_dict=True, maintain_order=True).items():
        found = rate_of_days((part["rate"] * part["hours"]).to_list(), part["hours"].to_list())
        if found is not None:
            rows.append({"device": device, **vars(found), "hours": float(part["hours"].sum())})
    if not rows:
        return []
    plain = reading.frame("throughput", "device").drop_nulls("value").select("device", "n", plain="value")
    shown = with_devices(rows_frame(rows).join(plain, on="device"), reading)
    return shown.sort("value", "name", descending=[True, False]).to_dicts()


@section("utilization.evenings")
def evenings(reading: Reading) -> Drawn:
    """Where staffed hours lie idle, by scanner and hour; the evening above all."""
    idle = with_devices(reading.frame("idle_hours", "device", "hour"), reading)
    late = with_devices(reading.frame("evening_idle_share", "device").drop_nulls("value"), reading)
    offered = with_devices(reading.frame("available_hours", "device", "hour"), reading)
    if offered.is_empty():
        return no_scanner_time(
            "Idle by hour", reading, "No staffed hours that have passed fit these filters", is_wide=True
        )
    cells = (
        offered.select("device", "hour", offered="value")
        .join(idle.select("device", "hour", idle="value"), on=["device", "hour"], how="left")
        .with_columns(pl.col("idle").fill_null(0))
    )
    order = offered.select("device", "name", "modality").unique().sort("modality", "name")
    by = {(row["device"], row["hour"]): row for row in cells.iter_rows(named=True)}
    enough = 0.05 * float(cells["offered"].max() or 0)  # type: ignore[arg-type]
    shown_hours = range(int(offered["hour"].min()), int(offered["hour"].max()) + 1)  # type: ignore[arg-type]
    values = [[_idle_share(by.get((device, hour)), enough) for hour in shown_hours] for device in order["device"]]
    rows = late.sort("value", descending=True).join(
        cells.filter(pl.col("hour") >= 17).group_by("device").agg(evening_idle=pl.col("idle").sum(), evening_offered=pl.col("offered").sum()), on="device", how="left"
    )  # fmt: skip
    title = "No scanner is staffed after 17:00"
    if rows.height:
        top = rows.row(0, named=True)
        title = f"{top['name']} is idle for {top['value']:.0f} % of its staffed time from 17:00"
        if rows.height > 1:
            title += f"; of {numbers.count(float(rows['evening_offered'].sum()))} staffed evening hours {numbers.count(float(rows['evening_idle'].sum()))} were idle"
    columns = (
        device_column(reading), Column("modality", "Modality"), Column("site_name", "Site"), Column("value", "Idle from 17:00", "number", "%", 1),
        Column("evening_idle", "Idle", "number", "h", 1), Column("evening_offered", "Available", "number", "h", 1), Column("n", "Days", "number"),
    )  # fmt: skip
    figure = figures.idle_heat(order["name"].to_list(), shown_hours, values, reading.look)
    shown = (
        rows
        if rows.height
        else order.with_columns(
            site_name=pl.lit(""), value=pl.lit(0.0), evening_idle=pl.lit(0.0), evening_offered=pl.lit(0.0), n=pl.lit(0)
        )
    )
    return Card(
        title, "Share of each scanner's available time that was idle, by local hour, %", table(columns, shown, reading), figure,
        (measure("evening_idle_share"), measure("idle_hours")), note="Empty cells are not staffed. The table has the evenings.", exams=urls.exams(reading.filters), is_wide=True,
    )  # fmt: skip


def _idle_share(cell: dict[str, Any] | None, enough: float) -> float | None:
    if cell is None or not cell["offered"] or cell["offered"] < enough:
        return None
    return min(100 * float(cell["idle"]) / float(cell["offered"]), 100.0)


def device_rows(reading: Reading) -> list[dict[str, Any]]:
    """One row a scanner with its shares, its hours and where they come from, the most used first."""
    room = with_devices(reading.frame("room_utilization", "device").drop_nulls("value"), reading).rename(
        {"value": "room"}
    )
    for name, column in (
        ("scanner_utilization", "scanner"), ("available_hours", "available_hours"), ("planned_downtime_hours", "planned"), ("unplanned_downtime_hours", "unplanned"),
    ):  # fmt: skip
        room = room.join(
            reading.frame(name, "device").select("device", pl.col("value").alias(column)), on="device", how="left"
        )
    bases, closed = queries.staffed_basis(reading), queries.closures(reading)
    rows = (
        room.sort(["room", "name"], descending=[True, False])
        .with_columns(pl.col("planned", "unplanned").fill_null(0.0))
        .to_dicts()
    )
    return [
        row | {"basis": ", ".join(BASES[basis] for basis in bases.get(row["device"], ())), "closed": closed.get(row["device"], 0.0)}
        for row in rows
    ]  # fmt: skip


def _total(reading: Reading, name: str) -> float | None:
    frame = reading.frame(name)
    value = frame["value"][0] if frame.height else None
    return None if value is None else float(value)
