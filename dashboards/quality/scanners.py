"""What the data says of the scanners: clocks, worklist use, doubtful identities, comings and goings."""

from __future__ import annotations

from datetime import date
from typing import Any

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component

from dashboards._shell import charts, numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.decisions import parts_of_data, standing, undo_form
from dashboards._shell.forms import Field, Form, html_form, reason
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Table
from dashboards._shell.weekly import weekly_filters
from dashboards.quality import decide, figures, queries
from dashboards.quality.issues import doubt
from insights.devices import QUIET_DAYS, Clock, clocks, doubtful_devices, moved
from state.decisions import Decision, DecisionKind
from state.roles import Permission
from warehouse.measures import measure

MOST_CLOCKS = 8
"""Small charts; the table has all."""
MOST_DEVICES = 24
WEEKS = 13
CORRECTED = {"whole_hours": "yes: whole hours, by rule", "approved": "yes: approved by a person"}
SEVERAL_PATIENTS = "images of several patients"
OTHER_PATIENT = "images of another patient than the order"

dash.register_page(
    __name__,
    path=urls.QUALITY_DEVICES,
    name="Scanners and clocks",
    title="Scanners and clocks – Isocenter",
    permission="view_data",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("scanners.parts", height=60, is_wide=True), slot("scanners.clocks", height=420, is_wide=True), slot("scanners.corrections", height=200, is_wide=True),
        slot("scanners.worklist", height=420, is_wide=True), slot("scanners.wrong", height=200), slot("scanners.doubtful", height=200), slot("scanners.moved", height=100, is_wide=True),
    ]  # fmt: skip
    return page(
        "Scanners and clocks",
        urls.QUALITY_DEVICES,
        query,
        content,
        intro="Clocks that are off, exams without a worklist entry, machines with two names, and stations that came or went.",
    )


@section("scanners.parts")
def parts(reading: Reading) -> Drawn:
    """Links to the other pages about the data."""
    return parts_of_data(reading, urls.QUALITY_DEVICES)


@section("scanners.clocks")
def clock_offsets(reading: Reading) -> Drawn:
    """How far each scanner's clock is off, since when, and whether it is corrected."""
    found = _clocks(reading)
    if not found:
        return Empty(
            "Clocks of scanners",
            "No scanner could be compared: this needs exams with images and an end that the RIS states, at two scanners of a kind or more.",
        )
    off = [one for one in found if one.is_off]
    shown = (off + [one for one in found if one.corrected and not one.is_off] or found)[:MOST_CLOCKS]
    names = reading.names
    frame = pl.DataFrame(
        [
            {
                "device": one.device_id,
                "name": names.devices.get(one.device_id, one.device_id),
                "site": names.sites.get(names.device_sites.get(one.device_id, ""), ""),
                "now": figures.offset_words(one.now_s),
                "since": one.since,
                "corrected": CORRECTED.get(one.rule or "", "no") if one.is_off or one.rule else "not needed",
                "was": len(one.corrected),
                "last_was": one.corrected[-1] if one.corrected else None,
                "days": len(one.days),
                "last": one.days[-1],
            }
            for one in found
        ],
        schema_overrides={"since": pl.Date, "last_was": pl.Date},
    )
    columns = (
        Column("name", "Scanner", link=lambda row: urls.page(urls.QUALITY_DEVICES, reading.filters.narrowed(device=(row["device"],)))),
        Column("site", "Site"), Column("now", "To be added to its times"), Column("since", "Since", "day"), Column("corrected", "Corrected"), Column("was", "Days corrected", "number"), Column("last_was", "The last", "day"), Column("days", "Days compared", "number"), Column("last", "Last compared", "day"),
    )  # fmt: skip
    open_ones = [one for one in off if one.is_open]
    flag_s = reading.settings.clocks.flag_seconds
    title = (
        f"{len(off)} of {len(found)} clocks are off, {len(open_ones)} of them not corrected"
        if off
        else f"No clock of {len(found)} is off now by more than {numbers.duration(flag_s / 60)}"
    )
    return Card(
        title,
        "Daily offset of a scanner's clock against its kind's, in minutes",
        Table(columns, frame, zone=reading.zone),
        tuple(figures.clock_days(one, names.devices.get(one.device_id, one.device_id), reading.look) for one in shown),
        note="Whole hours are corrected by rule (a missed change to summer or winter time); anything else only where a person approves it.",
        formula=f"The time from the last image to the end of the exam that the RIS states, its median a day, less that of scanners of the same modality. Off: the median of the last seven compared days is more than {flag_s:.0f} s away, and has been for three or more.",
        period=f"all days compared up to {numbers.day(reading.filters.end)}",
        is_wide=True,
    )


@section("scanners.corrections")
def corrections(reading: Reading) -> Drawn:
    """Approving a clock's correction, or taking it back."""
    taken = standing(reading, DecisionKind.CLOCK_OFFSET)
    may = reading.may(Permission.DECIDE_DATA)
    decided = {one.value["device_id"] for one in taken}
    wanting = [one for one in _clocks(reading) if one.is_open and one.device_id not in decided]
    parts: list[Component] = [_approved(one, reading, may=may) for one in taken]
    parts += [_approval(one, reading) for one in wanting if may]
    if not parts:
        return html.Div()
    words = "A correction moves the scanner's own times in all measures; what the scanner wrote stays beside on the exam's page."
    if reading.settings.clocks.correct == "none":
        words = "The configuration corrects no clock ([clocks] correct): what is approved here is kept and not applied."
    return html.Section(
        [
            html.H2("Corrections of clocks"),
            html.P(words, className="subtitle"),
            *parts,
        ],
        className="card wide",
    )


@section("scanners.worklist")
def worklist(reading: Reading) -> Drawn:
    """Exams whose series name no worklist entry, by scanner and week."""
    if reading.scope.departments is not None:
        return html.Div()
    filters = weekly_filters(reading.filters, WEEKS)
    frame = queries.without_worklist(reading, filters)
    names = reading.names.devices
    frame = frame.filter(pl.col("device").is_in(list(names)))
    total = frame.group_by("device").agg(pl.col("n", "without").sum()).filter(pl.col("n") > 0)
    if total.is_empty():
        return Empty("Worklist use", "No exam with images fits these filters.")
    worst = (
        total.with_columns(share=pl.col("without") / pl.col("n"))
        .sort("share", "device", descending=[True, False])
        .head(MOST_DEVICES)
    )
    weeks = sorted(set(frame["week"]))
    cells = {
        (row["device"], row["week"]): 100 * row["without"] / row["n"]
        for row in frame.iter_rows(named=True)
        if row["n"] and row["without"] is not None
    }
    devices = worst["device"].to_list()
    values = [[cells.get((device, week)) for week in weeks] for device in devices]
    words = [
        [
            f"<b>{numbers.shown(value, '%', 1)}</b> without a worklist entry<br>{names[device]}, week of {numbers.day(week)}"
            for week, value in zip(weeks, line, strict=True)
        ]
        for device, line in zip(devices, values, strict=True)
    ]
    figure = charts.heat(
        values,
        [_week(week) for week in weeks],
        [names[one] for one in devices],
        words,
        reading.look,
        height=90 + 24 * len(devices),
    )
    figure["data"][0]["zmax"] = max([*cells.values(), figures.LEAST_SCALE])
    figure["layout"]["xaxis"] |= {"tickvals": [_week(week) for week in weeks[::3]]}
    shown = frame.with_columns(
        name=pl.col("device").replace_strict(dict(names), default=pl.col("device"), return_dtype=pl.Utf8),
        share=100 * pl.col("without") / pl.col("n"),
    ).sort("week", "without", descending=True, nulls_last=True)
    columns = (
        Column("name", "Scanner", link=_to_exams(reading, "no_worklist")), Column("week", "Week from", "day"), Column("share", "Without", "number", "%", 1),
        Column("without", "Exams without", "number"), Column("n", "Exams with images", "number"),
    )  # fmt: skip
    first = worst.row(0, named=True)
    title = (
        f"{names[first['device']]} names no worklist entry in {numbers.shown(100 * first['share'], '%', 1)} of its exams"
        if first["without"]
        else "Every exam with images names its worklist entry"
    )
    return Card(
        title,
        f"Share of exams whose series name no worklist entry, by scanner and week: the {len(devices)} with most",
        Table(columns, shown, reading.scope.small_count, reading.zone),
        figure,
        measures=(measure("worklist_share"),),
        note="A sudden week of a scanner is an outage of its worklist; a level of its own is a habit.",
        period=f"{WEEKS} weeks to {numbers.day(filters.end)}",
        is_wide=True,
    )


@section("scanners.wrong")
def wrong(reading: Reading) -> Drawn:
    """Exams under a wrong worklist entry, and images of other patients."""
    entries = queries.wrong_entries(reading)
    flags = queries.doubts(reading).filter(pl.col("flag").is_in([SEVERAL_PATIENTS, OTHER_PATIENT]))
    names = reading.names
    rows: list[dict[str, Any]] = [
        {"where": names.devices.get(row["device"], row["device"]), "what": "step broken off: wrong worklist entry (110514)", "n": row["n"], "withheld": row["withheld"], "device": row["device"], "site": None, "issue": None}
        for row in entries.iter_rows(named=True)
    ]  # fmt: skip
    rows += [
        {"where": names.sites.get(row["site"], row["site"]), "what": row["flag"], "n": row["n"], "withheld": row["withheld"], "device": None, "site": row["site"], "issue": doubt(row["flag"])}
        for row in flags.iter_rows(named=True)
    ]  # fmt: skip
    if not rows:
        return _calm(
            "No wrong worklist entry is known",
            "No step says that a wrong entry was chosen, and no exam has images of several patients.",
        )
    schema: dict[str, Any] = {
        "where": pl.Utf8, "what": pl.Utf8, "n": pl.Int64, "withheld": pl.Boolean, "device": pl.Utf8, "site": pl.Utf8, "issue": pl.Utf8,
    }  # fmt: skip
    frame = pl.DataFrame(rows, schema=schema)
    columns = (
        Column("where", "Where"), Column("what", "What"),
        Column("n", "Exams", "number", link=lambda row: urls.page(urls.QUALITY_EXAMS, reading.filters.narrowed(site=(row["site"],)), issue=row["issue"]) if row["issue"] and reading.scope.rows else None),
    )  # fmt: skip
    count = float(frame["n"].fill_null(0).sum())
    return Card(
        f"{numbers.count(count)} exams were done under a wrong entry or mix patients",
        "Performed steps of wrong worklist entries, and exams whose images name several patients",
        Table(columns, frame, reading.scope.small_count, reading.zone),
        formula="MPPS discontinued with reason 110514 (CID 9301): its times count for nothing. Patients are compared after merges.",
    )


@section("scanners.doubtful")
def doubtful(reading: Reading) -> Drawn:
    """Machines that may stand in the data twice, and names that may mean two machines."""
    versions = queries.device_versions(reading)
    found = doubtful_devices(versions)
    if not found:
        return _calm(
            "No scanner seems to stand here twice",
            "No serial number has two stations, and no station two serial numbers.",
        )
    by_key = {row["device_key"]: row for row in versions.iter_rows(named=True)}
    rows = []
    for one in found:
        seen = [by_key[key] for key in one.device_keys]
        rows.append(
            {
                "kind": one.kind,
                "what": one.what,
                "devices": "; ".join(
                    f"{row['station'] or row['device_name']} ({row['model'] or 'model unknown'}, {row['serial'] or 'no serial'})"
                    for row in seen
                ),
                "site": ", ".join(sorted({row["site_name"] for row in seen})),
                "last": max((row["last_seen"] for row in seen if row["last_seen"]), default=None),
            }
        )
    columns = (
        Column("kind", "Candidate"), Column("what", "Serial or station"), Column("devices", "Versions"), Column("site", "Site"), Column("last", "Last seen", "moment"),
    )  # fmt: skip
    frame = pl.DataFrame(rows, schema_overrides={"last": pl.Datetime("us", "UTC")})
    return Card(
        f"{len(rows)} scanners may be one machine with two names, or one name of two",
        "Same serial number at two stations; same station with two serial numbers",
        Table(columns, frame, zone=reading.zone),
        note="A renamed or moved scanner keeps its history by itself. A new machine under an old name is a device of its own. What is left is for you to check on site.",
        formula="Serial numbers and station names as the images state them; placeholders such as 0 or NONE are left out.",
        period="all time",
    )


@section("scanners.moved")
def appeared(reading: Reading) -> Drawn:
    """Stations that appeared or vanished in the period."""
    versions = queries.device_versions(reading)
    found = moved(versions, reading.filters.start, reading.filters.end, reading.data_from)
    if not found:
        return _calm(
            "No scanner came or went in this period",
            f"Vanished: nothing seen for {QUIET_DAYS} days at the end of the period.",
        )
    names = reading.names
    frame = pl.DataFrame(
        [
            {
                "name": names.devices.get(one.device_id, one.device_id),
                "site": names.sites.get(names.device_sites.get(one.device_id, ""), ""),
                "what": one.what,
                "at": one.at,
            }
            for one in found
        ]
    )
    came = sum(one.what == "appeared" for one in found)
    columns = (
        Column("name", "Scanner"),
        Column("site", "Site"),
        Column("what", "What"),
        Column("at", "When", "moment"),
    )
    return Card(
        f"{came} scanners appeared and {len(found) - came} vanished",
        "First image of a scanner, and last image of one that is silent since",
        Table(columns, frame, zone=reading.zone),
        formula=f"Appeared: first seen in the period, not in the first {QUIET_DAYS} days of the data. Vanished: last seen in the period, and silent for the {QUIET_DAYS} days to its end.",
    )


def _clocks(reading: Reading) -> list[Clock]:
    known = set(reading.names.devices)
    return [
        one
        for one in clocks(queries.clock_days(reading), reading.settings.clocks.flag_seconds)
        if one.device_id in known
    ]


def _approval(one: Clock, reading: Reading) -> Component:
    """The form that approves a clock's correction."""
    name = reading.names.devices.get(one.device_id, one.device_id)
    since: date = one.since or one.days[-1]
    fields = (
        Field("offset_s", "Seconds to add to its times", "number", f"{one.now_s:.0f}", step="any", help="Negative where the clock is ahead."),
        Field("first_day", "From", "date", since.isoformat(), help="The day on which it began."),
        Field("last_day", "To", "date", "", help="Empty: until you take it back.", required=False),
        reason(),
    )  # fmt: skip
    form = Form(f"{urls.DECIDE}{DecisionKind.CLOCK_OFFSET}", "Approve", fields, hidden={"device_id": one.device_id})
    words = f"{name}: off by {figures.offset_words(one.now_s)} since {numbers.day(since)}"
    return html.Div([html.H3(words), html_form(form, f"Approve the correction of {name}")])


def _approved(one: Decision, reading: Reading, *, may: bool) -> Component:
    when = numbers.moment(one.decided_at, reading.zone)
    parts: list[Component] = [
        html.H3(decide.clock_words(one, reading)),
        html.P([f"{one.decided_by}, {when}: ", html.Q(one.reason)], className="subtitle"),
    ]
    return html.Div([*parts, undo_form(one)] if may else parts)


def _to_exams(reading: Reading, issue: str) -> Any:
    def link(row: Any) -> str | None:
        if not row["without"] or not reading.scope.rows or not reading.may("see_exam_rows"):
            return None
        week = row["week"]
        last = min(date.fromordinal(week.toordinal() + 6), reading.as_of)
        return urls.page(
            urls.QUALITY_EXAMS, reading.filters.over(week, last).narrowed(device=(row["device"],)), issue=issue
        )

    return link


def _week(monday: date) -> str:
    return f"{monday.day} {monday:%b}"


def _calm(title: str, text: str) -> Component:
    return html.Section([html.H2(title), html.P(text, className="subtitle")], className="card")
