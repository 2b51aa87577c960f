"""Protocols: their typical dose on each scanner, the expected range, and what a change achieved."""

from __future__ import annotations

from datetime import date
from typing import Any

import dash
import numpy as np
import polars as pl
from dash import html
from dash.development.base_component import Component

from dashboards._shell import numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.decisions import decision_list, effect_words, standing
from dashboards._shell.filter_bar import choice
from dashboards._shell.forms import Field, Form, html_form, reason
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Table
from dashboards.dose.parts import dose_pages
from dashboards.protocols import decide, figures, queries
from state.decisions import DecisionKind
from state.roles import Permission
from warehouse.dose_groups import KIND_METRICS, METRICS, exam_values, typical_values
from warehouse.dosimetry.bands import ADULT
from warehouse.dosimetry.icrp135 import difference

FIRST = "dlp_mgycm"
LEAST_FOR_RANGE = 20
RANGE = (0.025, 0.975)
"""The expected range where nobody set one: 19 of 20 exams of the chosen period."""
MOST_ROWS = 25

dash.register_page(
    __name__,
    path=urls.DOSE_PROTOCOLS,
    name="Protocols",
    title="Dose by protocol – Isocenter",
    permission="view_dose",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("protocols.parts", height=60, is_wide=True), slot("protocols.ranges", height=480, is_wide=True), slot("protocols.scanners", height=380), slot("protocols.time", height=380),
        slot("protocols.technique", height=200, is_wide=True), slot("protocols.set-range", height=240), slot("protocols.project", height=240), slot("protocols.projects", height=160, is_wide=True),
    ]  # fmt: skip
    return page(
        "Dose by protocol",
        urls.DOSE_PROTOCOLS,
        query,
        content,
        intro="What each protocol gives on each scanner, its expected range, and what changes achieved. Choose one protocol in the filters or the list to see it in full.",
    )


@section("protocols.parts")
def parts(reading: Reading) -> Drawn:
    """Links, and whether ranges that were set are in the star."""
    return html.Div([dose_pages(urls.DOSE_PROTOCOLS, reading), effect_words(reading)])


@section("protocols.ranges")
def ranges(reading: Reading) -> Drawn:
    """Each protocol on each scanner: typical value, expected range, and how many exams lie outside."""
    metric, controls = _metric(reading)
    name, unit = METRICS[metric][1:]
    values = exam_values(reading.star, reading.filters, reading.scope, metric)
    if values.is_empty():
        return Empty(f"{name} by protocol", f"No exam has this quantity: {reading.sentence}.", is_wide=True, controls=controls)  # fmt: skip
    frame = range_rows(values, queries.ranges(reading), metric, reading.settings.dose.smallest_sample)
    outside = int(frame["above"].sum()) + int(frame["below"].sum())
    columns = (
        Column("protocol_name", "Protocol", link=lambda row: urls.page(urls.DOSE_PROTOCOLS, reading.filters.narrowed(protocol=(str(row["protocol_key"]),)))), Column("device_name", "Scanner"), Column("age_band", "Age"),
        Column("n", "Exams", "number"), Column("median", "Typical value", "number", unit), Column("interval", "95 % interval"), Column("range", "Expected range"), Column("basis", "Set by"),
        Column("above", "Above", "number"), Column("below", "Below", "number"),
    )  # fmt: skip
    return Card(
        f"{numbers.count(outside)} of {numbers.count(values.height)} exams lie outside the range of their protocol",
        f"{name}, {unit}, by protocol, scanner and age",
        Table(columns, frame, reading.scope.small_count),
        note=f"Where nobody set a range it holds 19 of 20 exams of the chosen period, if there are at least {LEAST_FOR_RANGE}. Too low is looked at as well: it may cost image quality.",
        formula="Typical value: median over patients' exams with its 95 % bootstrap interval. Range from history: 2.5th to 97.5th percentile of the chosen period.",
        is_wide=True,
        rows_shown=MOST_ROWS,
        controls=controls,
    )


def range_rows(values: pl.DataFrame, known: pl.DataFrame, metric: str, smallest: int) -> pl.DataFrame:
    """One row a protocol, scanner and age band with its range and the exams outside of it."""
    by = ("protocol_key", "protocol_name", "device_id", "device_name", "age_band")
    middle = typical_values(values, by, smallest)
    history = values.group_by(by).agg(
        pl.col("value").quantile(RANGE[0], "linear").alias("hist_low"),
        pl.col("value").quantile(RANGE[1], "linear").alias("hist_high"),
        pl.len().alias("in_history"),
    )
    kept = known.filter(pl.col("metric") == metric).select("protocol_key", "device_id", "low", "high", "set_by")
    own = kept.filter(pl.col("device_id") != "").rename({"low": "own_low", "high": "own_high", "set_by": "own_by"})
    every = kept.filter(pl.col("device_id") == "").drop("device_id").rename({"low": "all_low", "high": "all_high", "set_by": "all_by"})  # fmt: skip
    enough = pl.col("in_history") >= LEAST_FOR_RANGE
    is_set = pl.coalesce("own_by", "all_by").is_not_null()
    bounded = (
        history.join(own, on=["protocol_key", "device_id"], how="left")
        .join(every, on="protocol_key", how="left")
        .with_columns(
            basis=pl.coalesce("own_by", "all_by", pl.when(enough).then(pl.lit("history"))),
            low=pl.when(is_set).then(pl.coalesce("own_low", "all_low")).when(enough).then("hist_low"),
            high=pl.when(is_set).then(pl.coalesce("own_high", "all_high")).when(enough).then("hist_high"),
        )
        .select(*by, "low", "high", "basis")
    )
    outside = (
        values.join(bounded, on=by, how="left", nulls_equal=True)
        .group_by(by)
        .agg(
            (pl.col("value") > pl.col("high")).sum().alias("above"),
            (pl.col("value") < pl.col("low")).sum().alias("below"),
        )
    )
    ends = bounded.rename({"low": "range_low", "high": "range_high"})
    joined = middle.join(ends, on=by, how="left", nulls_equal=True).join(outside, on=by, how="left", nulls_equal=True)
    rows = joined.to_dicts()
    return joined.with_columns(
        interval=pl.Series([_span(row["low"], row["high"]) for row in rows], dtype=pl.Utf8),
        range=pl.Series([_span(row["range_low"], row["range_high"]) for row in rows], dtype=pl.Utf8),
    )


@section("protocols.scanners")
def scanners(reading: Reading) -> Drawn:
    """One protocol across scanners."""
    key = _protocol(reading)
    if key is None:
        return html.Div()
    metric, _ = _metric(reading)
    name, unit = METRICS[metric][1:]
    values = exam_values(reading.star, reading.filters, reading.scope, metric).filter(pl.col("age_band") == ADULT)
    if values.is_empty():
        return Empty("Across scanners", f"No exam of an adult has this quantity: {reading.sentence}.")
    rows = [_scanner_row(values, device) for device in sorted(values["device_id"].unique())]
    shown = sorted((row for row in rows if row["n"] >= 2), key=lambda row: -row["q2"])
    columns = (
        Column("device_name", "Scanner"), Column("n", "Exams", "number"), Column("q2", "Median", "number", unit), Column("q1", "25th percentile", "number", unit), Column("q3", "75th percentile", "number", unit),
        Column("against", "Against the others"),
    )  # fmt: skip
    title = f"{shown[0]['device_name']} gives the most: {shown[0]['against']}" if len(shown) > 1 and shown[0]["against"] else f"{name} across scanners"  # fmt: skip
    return Card(
        title,
        f"{name}, {unit}, adults, one protocol",
        Table(columns, pl.DataFrame(shown, infer_schema_length=None), reading.scope.small_count),
        figures.boxes(shown, unit, reading.look),
        formula="Difference of a scanner's median from that of all the others, with its 95 % bootstrap interval.",
    )


def _scanner_row(values: pl.DataFrame, device: str) -> dict[str, Any]:
    own, others = values.filter(pl.col("device_id") == device), values.filter(pl.col("device_id") != device)
    quantiles = np.quantile(own["value"].to_numpy(), (0.05, 0.25, 0.5, 0.75, 0.95))
    gap = difference(others["value"].to_numpy(), own["value"].to_numpy()) if others.height else None
    said = None if gap is None else f"{100 * gap.share:+.0f} % ({100 * gap.low:+.0f} to {100 * gap.high:+.0f} %)"
    return {"device_id": device, "device_name": own["device_name"][0] or device, "n": own.height, "against": said} | {f"q{index}": float(one) for index, one in enumerate(quantiles)}  # fmt: skip


@section("protocols.time")
def over_time(reading: Reading) -> Drawn:
    """One protocol week by week, with the changes that people made."""
    key = _protocol(reading)
    if key is None:
        return html.Div()
    metric, _ = _metric(reading)
    name, unit = METRICS[metric][1:]
    year = reading.over(reading.filters.over(reading.as_of.replace(year=reading.as_of.year - 1), reading.as_of))
    values = exam_values(year.star, year.filters, year.scope, metric).filter(pl.col("age_band") == ADULT)
    if values.height < LEAST_FOR_RANGE:
        return Empty("Over time", "Fewer than 20 exams of adults in the last 12 months.")
    weeks = (
        values.with_columns(week=pl.col("local_day").dt.truncate("1w"))
        .group_by("week")
        .agg(pl.col("value").median().alias("median"), pl.len().alias("n"))
        .sort("week")
    )
    changes = [
        (date.fromisoformat(one.value["changed_on"]), one.subject)
        for one in standing(reading, DecisionKind.DOSE_PROJECT)
        if one.value["protocol_key"] == str(key)
    ]
    upgrades = _upgrades(values)
    columns = (Column("week", "Week from", "day"), Column("median", "Median", "number", unit), Column("n", "Exams", "number"))  # fmt: skip
    return Card(
        f"{name} over 12 months" + (f": {len(changes)} changes marked" if changes else ""),
        f"Weekly median, {unit}, adults",
        Table(columns, weeks, reading.scope.small_count),
        figures.weeks(weeks, [*changes, *upgrades], unit, reading.look),
        note="Lines mark projects and the first exams under other software.",
        period="last 12 months",
    )


def _upgrades(values: pl.DataFrame) -> list[tuple[date, str]]:
    """First day of each later software version of each scanner."""
    first = (
        values.drop_nulls("software")
        .group_by("device_name", "software")
        .agg(pl.col("local_day").min())
        .sort("local_day")
    )
    later = first.filter(pl.col("local_day") > pl.col("local_day").min().over("device_name"))
    return [(day, f"{device} {software}") for device, software, day in later.iter_rows()]


@section("protocols.technique")
def technique(reading: Reading) -> Drawn:
    """How a protocol is run on each scanner."""
    key = _protocol(reading)
    if key is None:
        return html.Div()
    frame = queries.technique(reading, key)
    if frame.is_empty():
        return html.Div()
    columns = (
        Column("device_name", "Scanner"), Column("events", "Exposures", "number"), Column("kvp", "Voltage", "number", "kV"), Column("exposure_mas", "Exposure", "number", "mAs"), Column("tube_current_mean_ma", "Current", "number", "mA"),
        Column("pitch", "Pitch", "number", "", 2), Column("scan_length_mm", "Length", "number", "mm"), Column("ctdivol_mgy", "CTDIvol", "number", "mGy"),
    )  # fmt: skip
    kept = tuple(one for one in columns if frame[one.name].drop_nulls().len())
    return Card(
        "How it is run on each scanner",
        "Medians over its exposures, localizers left out",
        Table(kept, frame, reading.scope.small_count),
        is_wide=True,
    )


@section("protocols.set-range")
def set_range(reading: Reading) -> Drawn:
    """Setting the expected range of a protocol."""
    if not reading.may(Permission.MANAGE_DOSE):
        return html.Div()
    metric, _ = _metric(reading)
    fields = (
        _protocol_field(reading), _device_field(reading), _metric_field(metric),
        Field("low", "Lower end", "text", required=False, help="Below it an exam is looked at."), Field("high", "Upper end", "text", required=False), reason(),
    )  # fmt: skip
    form = Form(f"{urls.DECIDE}{DecisionKind.EXPECTED_RANGE}", "Set the range", fields)
    kept = standing(reading, DecisionKind.EXPECTED_RANGE)
    return html.Section(
        [
            html.H2("Set an expected range"),
            html_form(form, "Set an expected range"),
            html.Details(
                [html.Summary(f"{len(kept)} ranges are set"), decision_list(kept, reading, "No range is set yet.")]
            ),
        ],
        className="card",
    )


@section("protocols.project")
def project(reading: Reading) -> Drawn:
    """Beginning an optimisation project, or keeping its outcome."""
    if not reading.may(Permission.MANAGE_DOSE):
        return html.Div()
    metric, _ = _metric(reading)
    fields = (
        Field("name", "Name", help="The same name again changes the project."), _protocol_field(reading), _device_field(reading), _metric_field(metric),
        Field("baseline_from", "Baseline from", "date"), Field("changed_on", "Changed on", "date"), Field("target", "Target", "text"),
        Field("stop_rule", "Stop rule", required=False, help="When the change is taken back."), Field("note", "Image quality", required=False, help="Who judged it, and how."), Field("outcome", "Outcome", required=False), reason(),
    )  # fmt: skip
    form = Form(f"{urls.DECIDE}{DecisionKind.DOSE_PROJECT}", "Keep the project", fields)
    return html.Section([html.H2("Optimisation project"), html_form(form, "Optimisation project")], className="card")


@section("protocols.projects")
def projects(reading: Reading) -> Drawn:
    """What projects achieved."""
    kept = standing(reading, DecisionKind.DOSE_PROJECT)
    if not kept:
        return html.Div()
    rows = [_achieved(reading, one.subject, one.value) | {"about": decide.words(one, reading)} for one in kept]
    columns = (
        Column("name", "Project"), Column("protocol", "Protocol"), Column("changed_on", "Changed", "day"), Column("before", "Before"), Column("after", "After"), Column("change", "Change"), Column("target", "Target"), Column("verdict", "So far"), Column("about", "About"),
    )  # fmt: skip
    reached = sum(row["verdict"] == "target reached" for row in rows)
    listed = Table(columns, pl.DataFrame(rows, infer_schema_length=None), 0, reading.zone)
    return Card(
        f"{reached} of {len(rows)} projects reached their target",
        "Medians of adults before and after the change",
        listed,
        formula="Median from the baseline's first day to the change, and since; the change with its 95 % bootstrap interval.",
        is_wide=True,
        period="from each project's baseline on",
    )


def _achieved(reading: Reading, name: str, value: dict[str, Any]) -> dict[str, Any]:
    start, changed = date.fromisoformat(value["baseline_from"]), date.fromisoformat(value["changed_on"])
    metric, unit = value["metric"], METRICS[value["metric"]][2]
    device = (value["device_id"],) if value["device_id"] else ()
    filters = reading.filters.over(start, max(reading.as_of, changed)).narrowed(protocol=(value["protocol_key"],), device=device)  # fmt: skip
    values = exam_values(reading.star, filters, reading.scope, metric).filter(pl.col("age_band") == ADULT)
    before, after = (
        values.filter(pl.col("local_day") < changed)["value"],
        values.filter(pl.col("local_day") >= changed)["value"],
    )
    gap = difference(before.to_numpy(), after.to_numpy())
    said = {
        "name": name, "protocol": reading.names.protocols.get(value["protocol_key"], ""), "changed_on": changed, "before": _median_words(before, unit), "after": _median_words(after, unit),
        "target": numbers.shown(value["target"], unit),
    }  # fmt: skip
    if gap is None:
        return said | {"change": "", "verdict": "too few exams yet"}
    middle = float(np.median(after.to_numpy()))
    verdict = "target reached" if middle <= value["target"] and gap.is_certain else "better, not there yet" if gap.high < 0 else "no certain change"  # fmt: skip
    return said | {
        "change": f"{100 * gap.share:+.0f} % ({100 * gap.low:+.0f} to {100 * gap.high:+.0f} %)",
        "verdict": verdict,
    }


def _median_words(values: pl.Series, unit: str) -> str:
    return f"{numbers.shown(float(np.median(values.to_numpy())), unit)} (n {values.len()})" if values.len() else numbers.NOTHING  # fmt: skip


def _span(low: float | None, high: float | None) -> str | None:
    if low is None and high is None:
        return None
    ends = [numbers.rounded(one) if one is not None else "open" for one in (low, high)]
    return " – ".join(ends)


def _metric(reading: Reading) -> tuple[str, tuple[Component, ...]]:
    asked = reading.extra.get("metric", FIRST)
    metric = asked if asked in METRICS else FIRST
    return metric, (choice("metric", "Quantity", [(key, value[1]) for key, value in METRICS.items()], metric, FIRST),)


def _protocol(reading: Reading) -> int | None:
    """The one protocol that is chosen."""
    chosen = reading.filters.protocol
    return int(chosen[0]) if len(chosen) == 1 else None


def _protocol_field(reading: Reading) -> Field:
    chosen = str(_protocol(reading) or "")
    options = sorted(
        ((key, name) for key, name in reading.names.protocols.items() if key != "0"), key=lambda one: one[1]
    )
    return Field("protocol_key", "Protocol", "select", chosen, [("", "Choose …"), *options])


def _device_field(reading: Reading) -> Field:
    devices = [
        (key, name)
        for key, name in reading.names.devices.items()
        if reading.names.device_modalities[key] in KIND_METRICS
    ]
    return Field("device_id", "Scanner", "select", "", [("", "Every scanner"), *devices], required=False)


def _metric_field(metric: str) -> Field:
    return Field("metric", "Quantity", "select", metric, [(key, f"{name}, {unit}") for key, (_, name, unit) in METRICS.items()])  # fmt: skip
