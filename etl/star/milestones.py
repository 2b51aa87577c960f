"""From the times that statements give to the milestones of exams; what was passed over is kept beside."""

from __future__ import annotations

from itertools import pairwise

import polars as pl

from etl.sources.events import COARSE, DEFAULT_PRECEDENCE, EVENTS, SOURCE_PRECEDENCE, STATE_ORDER
from etl.star.matching import PROBABLE
from etl.star.site_time import seconds

_ORDERED_MILESTONES = ("ordered", "arrived", "started", "ended", "final")
"""Milestones that must not run backwards."""
WRONG_ENTRY = "110514"
"""CID 9301: incorrect worklist entry selected: the step is of another exam."""
_LATE_CLOSING_MINUTES = 60
"""Steps closed so long after the last image were closed late, often all at the end of a shift."""
_MACHINE_SOURCES = ("dicom", "mpps")
"""Sources whose times come from the scanner's own clock."""

TIME = pl.Datetime("us", "UTC")
CANDIDATE = {
    "exam_key": pl.Int64,
    "event": pl.Utf8,
    "event_at": TIME,
    "precision": pl.Utf8,
    "field": pl.Utf8,
    "source": pl.Utf8,
    "source_name": pl.Utf8,
    "file": pl.Utf8,
    "position": pl.Utf8,
    "digest": pl.Utf8,
    "run_id": pl.Utf8,
    "stated_at": TIME,
    "text_digest": pl.Utf8,
    "reason_code": pl.Utf8,
    "reason_text": pl.Utf8,
    "match_rule": pl.Utf8,
}
"""One time that one statement gives for one step of one exam."""


def candidates(workflow: pl.DataFrame, machine: pl.DataFrame, matches: pl.DataFrame) -> pl.DataFrame:
    """Every time that is stated for a step of an exam, in the columns of `CANDIDATE`, with `stated_event_at` and `passed_over`.

    Times of the scanner's clock are corrected by what is known of it; the time as stated stays beside.

    Args:
        workflow: landing rows.
        machine: `machine_time` of exams with `clock_offset_s`.
        matches: `digest`, `exam_key`, `match_rule` of workflow rows.
    """
    wrong_steps = workflow.filter((pl.col("source") == "mpps") & (pl.col("reason_code") == WRONG_ENTRY))["step_uid"]
    stated = (
        workflow.with_columns(wrong_step=pl.col("step_uid").is_in(wrong_steps.drop_nulls().unique().implode()))
        .join(matches, on="digest")
        .explode("events")
        .filter(pl.col("events").is_not_null())
        .unnest("events")
        .rename({"at": "event_at"})
    )
    said = stated.filter(pl.col("event_at").is_not_null()).select(*CANDIDATE, "wrong_step")
    found = pl.concat([said, machine_candidates(machine).select(list(CANDIDATE))], how="diagonal").unique(
        ["exam_key", "event", "digest", "field"], keep="first", maintain_order=True
    )
    clock = machine.select("exam_key", "clock_offset_s", "machine_ended_at")
    return _without_wrong_steps(_on_true_clock(found.join(clock, on="exam_key", how="left")))


def machine_candidates(times: pl.DataFrame) -> pl.DataFrame:
    """First and last acquisition as candidates for the start and the end of the exam, as the scanner states them."""
    parts = []
    for which, event, column in (
        ("first", "exam_started", "machine_started_at"),
        ("last", "exam_completed", "machine_ended_at"),
    ):
        parts.append(
            times.select(
                "exam_key",
                "match_rule",
                pl.lit(event).alias("event"),
                pl.col(column).alias("event_at"),
                pl.lit("s").alias("precision"),
                pl.col(f"{which}_times_from").fill_null("").alias("field"),
                pl.lit("dicom").alias("source"),
                pl.col(f"{which}_source_name").alias("source_name"),
                pl.col(f"{which}_file").alias("file"),
                pl.lit("").alias("position"),
                pl.col(f"{which}_digest").alias("digest"),
                pl.col(f"{which}_run_id").alias("run_id"),
                pl.col(column).alias("stated_at"),
                *(pl.lit(None, pl.Utf8).alias(name) for name in ("text_digest", "reason_code", "reason_text")),
            )
        )
    return pl.concat(parts)


def _on_true_clock(found: pl.DataFrame) -> pl.DataFrame:
    wrong = pl.col("source").is_in(_MACHINE_SOURCES) & pl.col("clock_offset_s").is_not_null()
    corrected = pl.col("event_at") + seconds(pl.col("clock_offset_s"))
    return found.with_columns(
        stated_event_at=pl.when(wrong).then("event_at"), event_at=pl.when(wrong).then(corrected).otherwise("event_at")
    )


def _without_wrong_steps(found: pl.DataFrame) -> pl.DataFrame:
    """Says why statements count for nothing: steps of a wrong worklist entry, and steps closed long after the last image."""
    wrong = pl.col("wrong_step").fill_null(value=False)
    last_image = pl.col("machine_ended_at") + seconds(pl.col("clock_offset_s").fill_null(0.0))
    late = (pl.col("source") == "mpps") & (pl.col("event") == "exam_completed")
    late = (late & (pl.col("event_at") > last_image + pl.duration(minutes=_LATE_CLOSING_MINUTES))).fill_null(
        value=False
    )
    return found.with_columns(
        passed_over=pl.when(wrong)
        .then(pl.lit("wrong worklist entry"))
        .when(late)
        .then(pl.lit("closed long after the last image"))
    ).drop("clock_offset_s", "machine_ended_at", "wrong_step")


def choose(found: pl.DataFrame) -> pl.DataFrame:
    """The candidates with `is_chosen`: the one of each exam and step that gives its milestone.

    The best source has it; within it the first time counts, or for plans and ends the latest statement; of several
    performed steps the last one ends the exam. Equal candidates are told apart by digest and field, so the order of
    arrival never matters.
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
    last_step = (pl.col("event") == "exam_completed") & (pl.col("source") == "mpps")
    ordered = found.join(rank, on=["event", "source"], how="left").with_columns(
        rank=pl.when(pl.col("passed_over").is_not_null()).then(1000).otherwise(pl.col("rank").fill_null(99)),
        order=pl.when(pl.col("event").is_in(latest)).then(-said).when(last_step).then(-epoch).otherwise(epoch),
    )
    ordered = ordered.sort("exam_key", "event", "rank", "order", "event_at", "digest", "field")
    best = pl.int_range(pl.len()).over("exam_key", "event") == 0
    return ordered.with_columns(is_chosen=best & pl.col("passed_over").is_null()).drop("rank", "order")


def milestones(chosen: pl.DataFrame) -> pl.DataFrame:
    """One row an exam: `<milestone>_at`, `_source`, `_confidence`, and `flags` for times that run backwards."""
    named = {event.name: event.milestone for event in EVENTS if event.milestone}
    exams = chosen.select("exam_key").unique()
    taken = chosen.filter(pl.col("is_chosen"))
    for event, milestone in named.items():
        confidence = (
            pl.when(pl.col("precision").is_in(COARSE))
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


def reasons(chosen: pl.DataFrame) -> pl.DataFrame:
    """Why exams were cancelled, missed or broken off, by the latest statement: `exam_key`, `reason_code`, `reason_text`."""
    ends = chosen.filter(
        pl.col("event").is_in(["order_cancelled", "patient_no_show", "exam_discontinued"])
        & pl.col("passed_over").is_null()
        & (pl.col("reason_code").is_not_null() | pl.col("reason_text").is_not_null())
    )
    said = pl.coalesce("stated_at", "event_at").dt.epoch("us")
    return (
        ends.sort("exam_key", said, "digest")
        .group_by("exam_key", maintain_order=True)
        .agg(pl.col("reason_code", "reason_text").last())
    )


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


_RANK = {state: number for number, state in enumerate(STATE_ORDER)}


def states(chosen: pl.DataFrame, performed: pl.DataFrame) -> pl.DataFrame:
    """The state of each exam: the furthest step whose evidence holds, a function of the set of events alone.

    A cancellation or a no-show holds unless a later statement orders or schedules the exam again, or it was performed; a
    request to cancel is a wish and changes nothing. Images win over a cancellation. A step that was begun anew and completed
    makes up for one that was broken off; images alone do not.

    Args:
        chosen: candidates with `is_chosen`.
        performed: `exam_key`, `is_performed`, `has_images`.

    Returns:
        `exam_key`, `state`, `addenda`, `contradiction` (cancelled, yet performed).
    """
    table = performed.join(_evidence(chosen), on="exam_key", how="left")
    is_performed = pl.col("is_performed")
    cancelled, missed = _still("cancelled_said"), _still("no_show_said")
    made_up_for = (pl.col("done_at") > pl.col("broken_off_at")).fill_null(value=False)
    broken_off = pl.col("broken_off_at").is_not_null() & ~made_up_for & ~pl.col("reported").fill_null(value=False)
    state = (
        pl.when(missed & ~is_performed)
        .then(pl.lit("no_show"))
        .when(cancelled & ~is_performed)
        .then(pl.lit("cancelled"))
        .when(broken_off)
        .then(pl.lit("discontinued"))
        .otherwise(_furthest())
    )
    later_texts = (pl.col("texts").fill_null(0).cast(pl.Int64) - 1).clip(lower_bound=0)
    return table.select(
        "exam_key",
        state.alias("state"),
        (pl.col("amended").fill_null(0) + later_texts).cast(pl.Int32).alias("addenda"),
        (cancelled & is_performed).alias("contradiction"),
    )


def _evidence(chosen: pl.DataFrame) -> pl.DataFrame:
    """What the events of each exam say of its state, one row an exam."""
    reached = {event.name: _RANK[event.state] for event in EVENTS if event.state in _RANK}
    event = pl.col("event")
    said = pl.coalesce(pl.col("stated_at"), pl.col("event_at"))
    # A plan's own time says nothing about when it was made: a worklist entry without one never outlives a cancellation.
    wanted = pl.max_horizontal(
        said.filter(event.is_in(["order_placed", "scheduling_done"])).max(),
        pl.col("stated_at").filter(event == "exam_scheduled_for").max(),
    )
    done = (event == "exam_completed") & (pl.col("source") != "dicom")
    return (
        chosen.filter(pl.col("passed_over").is_null())
        .with_columns(reached=event.replace_strict(reached, default=None, return_dtype=pl.Int32))
        .group_by("exam_key")
        .agg(
            pl.col("reached").max(),
            said.filter(event == "order_cancelled").max().alias("cancelled_said"),
            said.filter(event == "patient_no_show").max().alias("no_show_said"),
            wanted.alias("wanted_said"),
            pl.col("event_at").filter(event == "exam_discontinued").max().alias("broken_off_at"),
            pl.col("event_at").filter(done).max().alias("done_at"),
            event.is_in(["report_final", "report_preliminary"]).any().alias("reported"),
            event.is_in(["report_corrected", "report_addendum"]).sum().alias("amended"),
            pl.col("text_digest").filter(event == "report_final").drop_nulls().n_unique().alias("texts"),
        )
    )


def _still(said: str) -> pl.Expr:
    """Whether an end that was said holds: nothing that was said later wants the exam again."""
    return pl.col(said).is_not_null() & ~(pl.col("wanted_said") > pl.col(said)).fill_null(value=False)


def _furthest() -> pl.Expr:
    """The furthest state reached; a performed exam is at least completed, unless it has only begun and no image yet."""
    reached = pl.col("reached").fill_null(0)
    running = pl.col("is_performed") & ~pl.col("has_images") & (pl.col("reached") == _RANK["in_progress"])
    rank = (
        pl.when(running)
        .then(pl.lit(_RANK["in_progress"]))
        .when(pl.col("is_performed"))
        .then(pl.max_horizontal(reached, pl.lit(_RANK["completed"])))
        .otherwise(reached)
    )
    return rank.replace_strict({number: state for state, number in _RANK.items()}, return_dtype=pl.Utf8)
