"""Where the time goes and why it changed: stages, mix against speed, reading hours, and what is counted."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import dash
import polars as pl
from dash.development.base_component import Component

from dashboards._shell import numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.filter_bar import choice
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.subpages import subpages
from dashboards._shell.tables import Column
from dashboards.turnaround import figures, queries
from dashboards.turnaround.parts import (
    FEW,
    MEDIAN,
    PAGES,
    SPLITS,
    TAIL,
    chosen,
    explained,
    named,
    rows_frame,
    table,
    target_measure,
)
from warehouse.filters import Filters
from warehouse.measures import Measure, measure
from warehouse.measures.decomposition import average, decompose
from warehouse.measures.reading_hours import reading_minutes
from warehouse.measures.survival import curve, quantile
from warehouse.measures.turnaround import INTERVALS

BEGINS = {"arrived": "arrival", "ordered": "the order", "ended": "the exam's end"}
FIGURES = {"mean": "Mean minutes", "target": "Within target"}
AGAINST = {"before": "The time before", "year": "A year before"}
LEAST_KNOWN = 0.5
"""A milestone that fewer of the reported exams have is no step of the stages."""
MOST_GROUPS = 7
STAGES = {
    ("ordered", "arrived"): "Order to arrival", ("ordered", "started"): "Order to exam", ("arrived", "started"): "Wait after arrival", ("arrived", "ended"): "Wait and exam",
    ("started", "ended"): "Exam", ("ended", "read_started"): "Wait for a reader", ("ended", "first_report"): "Wait and reading", ("read_started", "first_report"): "Reading",
    ("first_report", "final"): "Signature",
}  # fmt: skip

dash.register_page(
    __name__,
    path=urls.TURNAROUND_WHY,
    name="Where the time goes",
    title="Where the time goes – Isocenter",
    permission="view_turnaround",
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("turnaround.tabs-why", height=44, is_wide=True), slot("turnaround.stages", height=360), slot("turnaround.change", height=360), slot("turnaround.distribution"), slot("turnaround.counted"),
        slot("turnaround.clock", height=240, is_wide=True), slot("turnaround.intervals", height=520, is_wide=True),
    ]  # fmt: skip
    return page(
        "Where the time goes",
        urls.TURNAROUND_WHY,
        query,
        content,
        intro="Which stage takes how long, what changed and why, and what the figures count.",
    )


@section("turnaround.tabs-why")
def tabs(reading: Reading) -> Drawn:
    """The links between the turnaround pages."""
    return subpages(PAGES, urls.TURNAROUND_WHY, reading)


@section("turnaround.stages")
def stages(reading: Reading) -> Drawn:
    """Mean minutes of each stage, which add up to the whole."""
    begin = chosen(reading, "begin", BEGINS, "arrived")
    controls = (
        choice("begin", "From", [(key, words.capitalize()) for key, words in BEGINS.items()], begin, "arrived"),
    )
    known = queries.milestones_known(reading)
    later = queries.CHAIN[queries.CHAIN.index(begin) + 1 :]
    chain = [begin, *(step for step in later if known[step] >= LEAST_KNOWN * max(1, known["reported"]))]
    now = queries.stage_means(reading, chain) if known[begin] and known["reported"] else {"n": 0}
    n = int(now["n"] or 0)
    if n < max(FEW, reading.scope.small_count):
        reason = f"Only {numbers.count(known[begin])} of {numbers.count(known['reported'])} reported exams have a time of {BEGINS[begin]}, and fewer than {max(FEW, reading.scope.small_count)} have it and all later times in order: {reading.sentence}."
        return Empty("Where the time goes", reason, controls=controls)
    earlier = _reading_before(reading, "before")
    before = queries.stage_means(earlier, chain) if earlier else {}
    enough = int(before.get("n") or 0) >= max(FEW, reading.scope.small_count)
    names = [STAGES.get(pair, f"{pair[0]} to {pair[1]}".replace("_", " ")) for pair in pairwise(chain)]
    minutes = [float(now[step] or 0) for step in chain[1:]]
    total = sum(minutes)
    rows = [
        {"name": name, "minutes": value, "share": 100 * value / total if total else 0.0, "before": was, "change": None if was is None else value - was}
        for name, value, step in zip(names, minutes, chain[1:], strict=True)
        for was in [float(before[step] or 0) if enough else None]
    ]  # fmt: skip
    top = max(rows, key=lambda row: row["minutes"] or 0)
    columns = (
        Column("name", "Stage"), Column("minutes", "Mean", "number", "min"), Column("share", "Of the whole", "number", "%"), Column("before", f"{reading.filters.days} days before", "number", "min"), Column("change", "Change", "number", "min"),
    )  # fmt: skip
    missing = [step.replace("_", " ") for step in later if step not in chain]
    note = (
        f"Means of {numbers.count(n)} exams that have all of these times in order, of {numbers.count(known['reported'])} reported ones; each stage's mean, so that they add up."
        + (f" Left out for want of times: {', '.join(missing)}." if missing else "")
    )
    schema = {"name": pl.Utf8, **dict.fromkeys(("minutes", "share", "before", "change"), pl.Float64)}
    return Card(
        f"{top['name']} takes {top['share']:.0f} % of the {numbers.duration(total)} from {BEGINS[begin]} to the final report",
        "Mean minutes of each stage, one after the other",
        table(columns, pl.DataFrame(rows, schema=schema), reading),
        figures.stages(names, minutes, [f"{numbers.duration(value)}" for value in minutes], reading.look),
        note=note,
        formula="Mean of the minutes between neighbouring milestones over the exams that have all of them in order. The first report is the earlier of the preliminary and the final one.",
        exams=urls.exams(reading.filters),
        controls=controls,
    )


@section("turnaround.change")
def change(reading: Reading) -> Drawn:
    """What the change between two periods is made of: the mix of exams, and the speed of each kind."""
    way = chosen(reading, "why", SPLITS, "modality")
    figure = chosen(reading, "figure", FIGURES, "mean")
    against = chosen(reading, "against", AGAINST, "before")
    controls = (
        choice("why", "By", list(SPLITS.items()), way, "modality"),
        choice("figure", "Of", list(FIGURES.items()), figure, "mean"),
        choice("against", "Against", list(AGAINST.items()), against, "before"),
    )
    asked = target_measure(reading) if figure == "target" else measure("report_minutes_mean")
    earlier = _reading_before(reading, against)
    if earlier is None:
        return Empty(
            "What changed",
            f"The data does not reach back to a whole period to compare with: {reading.sentence}.",
            controls=controls,
        )
    before, after = earlier.frame(asked, way), reading.frame(asked, way)
    parts = decompose(before, after, way)
    was, now = average(before), average(after)
    if parts.is_empty() or was is None or now is None:
        return Empty("What changed", f"Too few exams in one of the two periods: {reading.sentence}.", controls=controls)
    told = named(parts, way, reading).with_columns(both=pl.col("mix") + pl.col("speed"))
    return _change_card(asked, told, was, now, way, earlier, reading, controls)


def _change_card(
    asked: Measure,
    told: pl.DataFrame,
    was: float,
    now: float,
    way: str,
    earlier: Reading,
    reading: Reading,
    controls: tuple[Component, ...],
) -> Card:
    mix = float(told["mix"].sum())
    ordered = told.sort(pl.col("speed").abs(), descending=True)
    top, rest = ordered.head(MOST_GROUPS), ordered.slice(MOST_GROUPS)
    bars = [("Mix of exams", mix), *((str(row["name"]), float(row["speed"])) for row in top.iter_rows(named=True))]
    if not rest.is_empty():
        bars.append((f"{rest.height} others", float(rest["speed"].sum())))
    moved = abs(now - was)
    subject = "Mean turnaround" if asked.unit == "min" else "The share within target"
    title = f"{subject} {'rose' if now > was else 'fell'} by {_size(moved, asked)}: speed {_signed(now - was - mix, asked)}, mix {_signed(mix, asked)}"
    if not any(digit in _size(moved, asked) for digit in "123456789"):
        title = f"{subject} is as it was, {numbers.shown(now, asked.unit, asked.decimals)}"
    elif not top.is_empty() and abs(top["speed"][0]) > abs(mix):
        title += f"; {top['name'][0]} weighs most"
    unit = asked.unit
    columns = (
        Column("name", SPLITS[way]), Column("n0", "Exams before", "number"), Column("n1", "Exams now", "number"), Column("value0", "Before", "number", unit, 1), Column("value1", "Now", "number", unit, 1),
        Column("mix", "By mix", "number", unit, 1), Column("speed", "By speed", "number", unit, 1), Column("both", "Together", "number", unit, 1),
    )  # fmt: skip
    then = numbers.days(earlier.filters.start, earlier.filters.end)
    return Card(
        title,
        f"What each {SPLITS[way].lower()} adds to the change of the {'mean' if unit == 'min' else 'share'}, against {then}",
        table(columns, told, reading),
        figures.contributions(
            [name for name, _ in bars],
            [value for _, value in bars],
            [_signed(value, asked) for _, value in bars],
            reading.look,
            more_is_good=asked.direction == "up",
        ),
        (asked,),
        formula="Speed: the change of a group's value times its mean share of exams. Mix: the change of its share times how far its value lies from the average. Both with the mean of the two periods, so that nothing is left over (Das Gupta 1993).",
        note=""
        if unit == "%"
        else "Means count each wait up to 3 days; the last 3 days of the data are left out of both.",
        exams=urls.exams(reading.filters),
        controls=controls,
    )


def _size(value: float, asked: Measure) -> str:
    return f"{abs(value):.1f} pt" if asked.unit == "%" else numbers.duration(abs(value))


def _signed(value: float, asked: Measure) -> str:
    size = _size(value, asked)
    if not any(digit in size for digit in "123456789"):
        return "none"
    return f"{'+' if value > 0 else '−'}{size}"


def _reading_before(reading: Reading, against: str) -> Reading | None:
    """The reading of the period to compare with; None where the data does not reach back to it."""
    filters: Filters = reading.filters.before()
    if against == "year":
        year = timedelta(days=364)  # 52 weeks, so that the weekdays are the same
        filters = reading.filters.over(reading.filters.start - year, reading.filters.end - year)
    reaches = reading.data_from is not None and filters.start >= reading.data_from
    return reading.over(filters) if reaches else None


@section("turnaround.distribution")
def distribution(reading: Reading) -> Drawn:
    """How turnaround spreads, on a logarithmic axis."""
    frame = queries.report_minutes_histogram(reading)
    total = int(frame["n"].sum())
    if total < max(FEW, reading.scope.small_count):
        return Empty(
            "Spread of report turnaround",
            f"Fewer than {max(FEW, reading.scope.small_count)} exams were reported: {reading.sentence}.",
        )
    values = {name: reading.frame(name)["value"][0] for name in (MEDIAN, TAIL)}
    marks = tuple(
        (f"{label} {numbers.duration(values[name])}", float(values[name]))
        for name, label in ((MEDIAN, "median"), (TAIL, "9 of 10"))
    )
    shown = frame.with_columns(
        start=(10 ** (pl.col("bin") / queries.BINS_PER_DECADE)), end=(10 ** ((pl.col("bin") + 1) / queries.BINS_PER_DECADE)),
        withheld=pl.col("n") < reading.scope.small_count,
    )  # fmt: skip
    drawn = shown.filter(~pl.col("withheld"))
    columns = (
        Column("start", "From", "number", "min"),
        Column("end", "To", "number", "min"),
        Column("n", "Exams", "number"),
    )
    title = f"Half of the reports are there within {numbers.duration(marks[0][1])}, nine of ten within {numbers.duration(marks[1][1])}"
    return Card(
        title,
        "Exams by time from exam end to first final report, logarithmic axis",
        table(columns, shown, reading),
        figures.log_histogram(drawn, queries.BINS_PER_DECADE, marks, reading.look),
        (measure(MEDIAN), measure(TAIL)),
        exams=urls.exams(reading.filters),
    )


@section("turnaround.clock")
def clock(reading: Reading) -> Drawn:
    """The wall clock beside the clock that runs only in reading hours."""
    frame = queries.waits_by_site(reading)
    sites = reading.settings.sites
    if frame.is_empty():
        return Empty("Wall clock and reading hours", f"No exam was completed: {reading.sentence}.", is_wide=True)
    wall = (pl.col("until") - pl.col("ended_at")).dt.total_seconds() / 60
    timed = frame.with_columns(wall=wall.clip(lower_bound=0.0), open=reading_minutes(frame, sites, "ended_at", "until"))
    by_wall = _quantiles(timed, "wall")
    by_hours = _quantiles(timed.drop_nulls("open"), "open").drop("n")
    both = named(by_wall.join(by_hours, on="site", how="left"), "site", reading).sort(
        "wall_p50", descending=True, nulls_last=True
    )
    shown = both.with_columns(withheld=pl.col("n") < reading.scope.small_count)
    columns = (
        Column("name", "Site"), Column("wall_p50", "Wall clock, median", "number", "min"), Column("wall_p90", "9 of 10", "number", "min"), Column("open_p50", "Reading hours, median", "number", "min"), Column("open_p90", "9 of 10", "number", "min"), Column("n", "Exams", "number"),
    )  # fmt: skip
    with_hours = shown.filter(~pl.col("withheld")).drop_nulls(["open_p50", "wall_p50"])
    title = "The wall clock stands alone: no site has reading hours"
    if not with_hours.is_empty():
        top = with_hours.row(0, named=True)
        title = f"{top['name']}: half of the reports are there within {numbers.duration(top['wall_p50'])} by the wall clock, {numbers.duration(top['open_p50'])} of reading hours"
    return Card(
        title,
        "Minutes to the first final report on both clocks, by site",
        table(columns, shown, reading),
        measures=(measure(MEDIAN), measure(TAIL)),
        formula="Reading hours: only minutes inside [[sites.reading_hours]] of the exam's site count, by its local clock.",
        note="Patients wait through nights and weekends too: targets and all other figures use the wall clock.",
        exams=urls.exams(reading.filters),
        is_wide=True,
    )


def _quantiles(timed: pl.DataFrame, clock: str) -> pl.DataFrame:
    """Median and 90th percentile of a clock by site, open exams as censored."""
    found = curve(timed.select("site", "is_over", minutes=pl.col(clock)), ["site"])
    p50 = quantile(found, 0.5, ["site"]).rename({"value": f"{clock}_p50"})
    p90 = quantile(found, 0.9, ["site"]).rename({"value": f"{clock}_p90"})
    return timed.group_by("site").agg(n=pl.len()).join(p50, on="site").join(p90, on="site")


@section("turnaround.intervals")
def intervals(reading: Reading) -> Drawn:
    """Every interval: from what to what, how long, of how many exams."""
    known = queries.interval_counts(reading)
    if not any(known.values()):
        return Empty("Every interval", f"No exam has the times of any interval: {reading.sentence}.", is_wide=True)
    rows: list[dict[str, Any]] = []
    for each in INTERVALS:
        n = known[each.name]
        values = {q: reading.frame(f"{each.name}_minutes_{q}")["value"][0] if n else None for q in ("p50", "p90")}
        way = "with open exams" if each.waits else "both times known"
        rows.append(
            {
                "name": each.title,
                "words": f"{each.start} → {each.end}".replace("_", " "),
                **values,
                "n": n,
                "way": way,
                "withheld": 0 < n < reading.scope.small_count,
            }
        )
    longest = max((row for row in rows if not row["withheld"]), key=lambda row: row["n"])
    columns = (
        Column("name", "Interval"), Column("p50", "Median", "number", "min"), Column("p90", "9 of 10 within", "number", "min"), Column("n", "Exams with both times", "number"), Column("way", "Counted"), Column("words", "From → to"),
    )  # fmt: skip
    schema = {
        "name": pl.Utf8,
        "words": pl.Utf8,
        "p50": pl.Float64,
        "p90": pl.Float64,
        "n": pl.Int64,
        "way": pl.Utf8,
        "withheld": pl.Boolean,
    }
    absent = [str(row["name"]) for row in rows if not row["n"]]
    return Card(
        f"{len(rows) - len(absent)} of {len(rows)} intervals are known; most exams have {str(longest['name']).lower()}",
        "Median and 90th percentile of each stretch of an exam's life",
        table(columns, pl.DataFrame(rows, schema=schema), reading),
        measures=tuple(found for each in INTERVALS for found in explained(each.name)[:1]),
        note=f"No source gives the times of: {', '.join(absent)}." if absent else "",
        exams=urls.exams(reading.filters),
        is_wide=True,
        rows_shown=len(rows),
    )


COUNTED = (
    ("reported", "Counted: with a final report"),
    ("unread", "Counted as waiting: no final report yet"),
    ("no_end", "Left out: no time of the exam's end"),
    ("backwards", "Left out: the report is before the exam's end"),
    ("day_only", "Left out: a time is known to the day or hour only"),
    ("orderless", "Left out: no report and no order that one could reach"),
    ("broken_off", "Waited until then: cancelled or broken off after its end"),
    ("with_addendum", "Of the reported: with an addendum or correction later, which moves nothing"),
)


@section("turnaround.counted")
def counted(reading: Reading) -> Drawn:
    """What is counted in turnaround, what is left out, and why."""
    found = queries.counted(reading)
    if not found["performed"]:
        return Empty("What is counted", f"No exam was performed: {reading.sentence}.")
    rows = [
        {"name": words, "n": found[key], "withheld": 0 < found[key] < reading.scope.small_count}
        for key, words in COUNTED
    ]
    inside = found["reported"] + found["unread"]
    columns = (Column("name", "What"), Column("n", "Exams", "number"))
    return Card(
        f"{numbers.count(inside)} of {numbers.count(found['performed'])} performed exams are in the turnaround figures",
        "Exams by how report turnaround counts them",
        table(columns, rows_frame(rows), reading),
        formula="The first final report ends the clock; a preliminary one has intervals of its own; addenda and corrections never restart it. Phantom, service and test exams are in no figure.",
        measures=(measure(MEDIAN),),
        exams=urls.exams(reading.filters),
    )
