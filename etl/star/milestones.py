"""From the times that statements give to the milestones of exams; what was passed over is kept beside."""

from __future__ import annotations

from itertools import pairwise

import polars as pl

from etl.sources.events import DEFAULT_PRECEDENCE, EVENTS, SOURCE_PRECEDENCE, STATE_ORDER
from etl.star.matching import PROBABLE

_COARSE = ("h", "d", "month", "year")
_ORDERED_MILESTONES = ("ordered", "arrived", "started", "ended", "final")
"""Milestones that must not run backwards."""

CANDIDATE = {
    "exam_key": pl.Int64,
    "event": pl.Utf8,
    "event_at": pl.Datetime("us", "UTC"),
    "precision": pl.Utf8,
    "field": pl.Utf8,
    "source": pl.Utf8,
    "source_name": pl.Utf8,
    "file": pl.Utf8,
    "position": pl.Utf8,
    "digest": pl.Utf8,
    "run_id": pl.Utf8,
    "stated_at": pl.Datetime("us", "UTC"),
    "text_digest": pl.Utf8,
    "match_rule": pl.Utf8,
}
"""One time that one statement gives for one step of one exam."""


def candidates(workflow: pl.DataFrame, machine: pl.DataFrame, matches: pl.DataFrame) -> pl.DataFrame:
    """Every time that is stated for a step of an exam, in the columns of `CANDIDATE`.

    Args:
        workflow: landing rows.
        machine: first and last acquisition of exams, already in candidate form without `match_rule`.
        matches: `digest`, `exam_key`, `match_rule` of workflow rows.
    """
    stated = (
        workflow.join(matches, on="digest")
        .explode("events")
        .filter(pl.col("events").is_not_null())
        .unnest("events")
        .rename({"at": "event_at"})
    )
    said = stated.filter(pl.col("event_at").is_not_null()).select(list(CANDIDATE))
    return pl.concat([said, machine.select(list(CANDIDATE))]).unique(
        ["exam_key", "event", "digest", "field"], keep="first", maintain_order=True
    )


def choose(found: pl.DataFrame) -> pl.DataFrame:
    """The candidates with `is_chosen`: the one of each exam and step that gives its milestone.

    The best source has it; within it the first time counts, or for plans and ends the latest statement. Equal candidates
    are told apart by digest and field, so the order of arrival never matters.
    """
    ranks = [
        (event.name, source, (SOURCE_PRECEDENCE.get(event.name, DEFAULT_PRECEDENCE)).index(source))
        for event in EVENTS
        for source in SOURCE_PRECEDENCE.get(event.name, DEFAULT_PRECEDENCE)
    ]
    rank = pl.DataFrame(ranks, schema={"event": pl.Utf8, "source": pl.Utf8, "rank": pl.Int32}, orient="row")
    latest = [event.name for event in EVENTS if event.take == "last"]
    epoch = pl.col("event_at").dt.epoch("us")
    said = pl.coalesce(pl.col("stated_at"), pl.col("event_at")).dt.epoch("us")
    ordered = found.join(rank, on=["event", "source"], how="left").with_columns(
        rank=pl.col("rank").fill_null(99), order=pl.when(pl.col("event").is_in(latest)).then(-said).otherwise(epoch)
    )
    ordered = ordered.sort("exam_key", "event", "rank", "order", "event_at", "digest", "field")
    return ordered.with_columns(is_chosen=pl.int_range(pl.len()).over("exam_key", "event") == 0).drop("rank", "order")


def milestones(chosen: pl.DataFrame) -> pl.DataFrame:
    """One row an exam: `<milestone>_at`, `_source`, `_confidence`, and `flags` for times that run backwards."""
    named = {event.name: event.milestone for event in EVENTS if event.milestone}
    exams = chosen.select("exam_key").unique()
    taken = chosen.filter(pl.col("is_chosen"))
    for event, milestone in named.items():
        confidence = (
            pl.when(pl.col("precision").is_in(_COARSE))
            .then(pl.lit("coarse"))
            .when(pl.col("match_rule").is_in(PROBABLE))
            .then(pl.lit("probable"))
            .otherwise(pl.lit("exact"))
        )
        part = taken.filter(pl.col("event") == event).select(
            "exam_key",
            pl.col("event_at").alias(f"{milestone}_at"),
            pl.col("source").alias(f"{milestone}_source"),
            confidence.alias(f"{milestone}_confidence"),
        )
        exams = exams.join(part, on="exam_key", how="left")
    return _doubt_backward_times(exams)


def _doubt_backward_times(exams: pl.DataFrame) -> pl.DataFrame:
    """Marks the later of two milestones that run backwards as doubtful and says so."""
    flags = []
    for earlier, later in pairwise(_ORDERED_MILESTONES):
        backwards = (
            (pl.col(f"{later}_at") < pl.col(f"{earlier}_at"))
            & (pl.col(f"{later}_confidence") != "coarse")
            & (pl.col(f"{earlier}_confidence") != "coarse")
        )
        flags.append(pl.when(backwards).then(pl.lit(f"{later} before {earlier}")))
        exams = exams.with_columns(
            pl.when(backwards.fill_null(value=False))
            .then(pl.lit("doubtful"))
            .otherwise(pl.col(f"{later}_confidence"))
            .alias(f"{later}_confidence")
        )
    return exams.with_columns(flags=pl.concat_list(flags).list.drop_nulls())


def states(chosen: pl.DataFrame, performed: pl.DataFrame) -> pl.DataFrame:
    """The state of each exam: the furthest step whose evidence holds, a function of the set of events alone.

    A cancellation holds unless a later statement orders or schedules the exam again, or it was performed; a request to
    cancel is a wish and changes nothing. Images win over a cancellation.

    Args:
        chosen: candidates with `is_chosen`.
        performed: `exam_key`, `is_performed`, `has_images`.

    Returns:
        `exam_key`, `state`, `addenda`, `contradiction` (cancelled, yet performed).
    """
    order = {state: number for number, state in enumerate(STATE_ORDER)}
    reached = {event.name: order[event.state] for event in EVENTS if event.state in order}
    said = pl.coalesce(pl.col("stated_at"), pl.col("event_at"))
    per_exam = (
        chosen.with_columns(reached=pl.col("event").replace_strict(reached, default=None, return_dtype=pl.Int32))
        .group_by("exam_key")
        .agg(
            pl.col("reached").max(),
            said.filter(pl.col("event") == "order_cancelled").max().alias("cancelled_said"),
            said.filter(pl.col("event") == "patient_no_show").max().alias("no_show_said"),
            said.filter(pl.col("event").is_in(["order_placed", "exam_scheduled_for", "scheduling_done"]))
            .max()
            .alias("wanted_said"),
            (pl.col("event") == "exam_discontinued").any().alias("broken_off"),
            (pl.col("event").is_in(["report_final", "report_preliminary"])).any().alias("reported"),
            (pl.col("event").is_in(["report_corrected", "report_addendum"])).sum().alias("amended"),
            pl.col("text_digest").filter(pl.col("event") == "report_final").drop_nulls().n_unique().alias("texts"),
        )
    )
    table = performed.join(per_exam, on="exam_key", how="left")
    holds = pl.col("cancelled_said").is_not_null() & ~(pl.col("wanted_said") > pl.col("cancelled_said")).fill_null(
        value=False
    )
    absent = pl.col("no_show_said").is_not_null() & ~(pl.col("wanted_said") > pl.col("no_show_said")).fill_null(
        value=False
    )
    evidence = (
        pl.when(pl.col("is_performed"))
        .then(pl.max_horizontal(pl.col("reached").fill_null(0), pl.lit(order["completed"])))
        .otherwise(pl.col("reached").fill_null(0))
    )
    running = pl.col("is_performed") & ~pl.col("has_images") & (pl.col("reached") == order["in_progress"])
    furthest = (
        pl.when(running)
        .then(pl.lit(order["in_progress"]))
        .otherwise(evidence)
        .replace_strict({n: s for s, n in order.items()}, return_dtype=pl.Utf8)
    )
    state = (
        pl.when(absent & ~pl.col("is_performed"))
        .then(pl.lit("no_show"))
        .when(holds & ~pl.col("is_performed"))
        .then(pl.lit("cancelled"))
        .when(pl.col("broken_off").fill_null(value=False) & ~pl.col("reported").fill_null(value=False))
        .then(pl.lit("discontinued"))
        .otherwise(furthest)
    )
    return table.select(
        "exam_key",
        state.alias("state"),
        (pl.col("amended").fill_null(0) + (pl.col("texts").fill_null(0).cast(pl.Int64) - 1).clip(lower_bound=0))
        .cast(pl.Int32)
        .alias("addenda"),
        (holds & pl.col("is_performed")).alias("contradiction"),
    )
