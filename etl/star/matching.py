"""Which exam each landing row speaks of.

In order, first hit wins, and each match keeps its rule. Statements of orders, reports, appointments and performed steps:
the accession number; the filler number (under the accession that it goes with); the study that an order names; the placer
number; the requested procedure of the patient; the performed step. Statements that name a visit alone speak of all exams
of that visit. Images and dose objects: the accession, where an order with it is known; the study; an accession of more
than 16 characters that DICOM had to cut; the accession on its own; the study of images that are matched already; the one
order of the same patient, modality and site that is near in time; the study alone.

One row may speak of several exams (one acquisition under several accessions; a split order), and several rows of one.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from etl.star import naturals
from etl.star.keys import key_column
from etl.star.tokens import NEAR_EVENTS, request_text, visit_text

RULES = ("accession", "study", "filler", "placer", "step", "request", "cut", "near", "alone")
"""From the strongest to the weakest; `visit` stands apart, for it joins no images or reports."""
CONFIDENCE = {
    "accession": "certain", "study": "certain", "filler": "strong", "placer": "strong", "step": "strong",
    "request": "probable", "cut": "probable", "near": "probable", "alone": "alone",
}  # fmt: skip
"""Rule to what a reader may make of it."""
PROBABLE = tuple(rule for rule, confidence in CONFIDENCE.items() if confidence == "probable")

_MATCH = {"digest": pl.Utf8, "exam_key": pl.Int64, "match_rule": pl.Utf8}


@dataclass(frozen=True)
class Matches:
    """Landing rows with the exams that they speak of: `digest`, `exam_key`, `match_rule`."""

    workflow: pl.DataFrame
    imaging: pl.DataFrame
    """Of `series`, `irradiation_event` and `dose_report` rows."""


def weakest(rule: pl.Expr) -> pl.Expr:
    """The weakest rule of some that join an exam's sources, `alone` only where no other does; null without any."""
    number = rule.replace_strict({name: place for place, name in enumerate(RULES)}, default=None, return_dtype=pl.Int32)
    alone = len(RULES) - 1
    return pl.coalesce(number.filter(number < alone).max(), number.max()).replace_strict(
        dict(enumerate(RULES)), default=None, return_dtype=pl.Utf8
    )


def match(
    workflow: pl.DataFrame,
    series: pl.DataFrame,
    events: pl.DataFrame,
    reports: pl.DataFrame,
    proximity_minutes: int,
) -> Matches:
    """Exams of all rows of some components.

    Args:
        workflow, series, events, reports: landing rows, each digest once.
        proximity_minutes: how near in time an order may be to images without a number; 0 matches none.
    """
    said = _order_keys(workflow)
    everything = _workflow_exams(said)
    unscheduled = _of_steps_alone(said, everything)
    resolved = everything.join(unscheduled, on="exam_key", how="anti")
    imaging = pl.concat(
        [
            series.select(
                "digest",
                "study_uid",
                pl.when(pl.col("accessions").list.len() > 0)
                .then(pl.col("accessions"))
                .otherwise(pl.concat_list("accession"))
                .alias("accession"),
            ),
            events.select("digest", "study_uid", pl.concat_list("accession").alias("accession")),
            reports.select("digest", "study_uid", pl.concat_list("accession").alias("accession")),
        ]
    )
    matched = _Imaging(imaging, said, resolved)
    if proximity_minutes > 0:
        matched.take_near(_near(matched, series, workflow, resolved, proximity_minutes))
    steps = _followed(everything.join(unscheduled, on="exam_key"), matched)
    resolved = pl.concat([resolved, steps])
    whole = pl.concat([resolved, _visit_exams(said, resolved)])
    return Matches(whole.unique(["digest", "exam_key"], keep="first", maintain_order=True), matched.all())


def _of_steps_alone(said: pl.DataFrame, resolved: pl.DataFrame) -> pl.DataFrame:
    """Exams that performed steps alone speak of, by their study: unscheduled ones, whose order may come later."""
    told = resolved.join(said.select("digest", "source", "study"), on="digest")
    alone = (pl.col("source") == "mpps").all() & (pl.col("study") == pl.col("exam_key")).any()
    return told.group_by("exam_key").agg(alone.alias("alone")).filter("alone").select("exam_key")


def _followed(steps: pl.DataFrame, matched: _Imaging) -> pl.DataFrame:
    """Statements of unscheduled steps with the exams of their study's images; without images they keep their own."""
    led = steps.join(matched.studies, left_on="exam_key", right_on="study", how="left", suffix="_led")
    rule = pl.when(pl.col("exam_key_led").is_not_null() & (pl.col("exam_key_led") != pl.col("exam_key"))).then(
        pl.lit("study")
    )
    return led.select(
        "digest",
        pl.coalesce("exam_key_led", "exam_key").alias("exam_key"),
        pl.coalesce(rule, "match_rule").alias("match_rule"),
    )


def _order_keys(workflow: pl.DataFrame) -> pl.DataFrame:
    """Keys of the order numbers, a filler number replaced by the one accession number that it goes with."""
    said = workflow.select(
        "digest",
        "source",
        "study_uid",
        "accession",
        "accession_cut",
        "filler",
        "placer",
        "step_uid",
        visit_text().alias("visit"),
        request_text().alias("request"),
    )
    keyed = said.select(
        "digest",
        "source",
        key_column("order", said["accession"]).alias("accession"),
        key_column("order", said["accession_cut"]).alias("cut"),
        key_column("order", said["filler"]).alias("filler"),
        key_column("placer", said["placer"]).alias("placer"),
        key_column("study", said["study_uid"]).alias("study"),
        key_column("step", said["step_uid"]).alias("step"),
        key_column("visit", said["visit"]).alias("visit"),
        key_column("request", said["request"]).alias("request"),
    )
    # FHIR resources that name no filler number carry their own name in its place: the placer number leads further.
    placed = keyed.join(_only_one(keyed, "placer", "accession"), on="placer", how="left").with_columns(
        placed=pl.when((pl.col("source") == "fhir") & pl.col("accession").is_null()).then("only")
    )
    known = placed.drop("only").with_columns(known=pl.coalesce("accession", "placed"))
    return known.join(_only_one(known, "filler", "known").rename({"only": "alias"}), on="filler", how="left").drop(
        "known"
    )


def _only_one(keyed: pl.DataFrame, number: str, leads_to: str) -> pl.DataFrame:
    """Numbers that go with exactly one other number: `number`, `only`."""
    together = keyed.filter(pl.col(number).is_not_null() & pl.col(leads_to).is_not_null())
    one = together.group_by(number).agg(pl.col(leads_to).unique()).filter(pl.col(leads_to).list.len() == 1)
    return one.select(number, pl.col(leads_to).list.first().alias("only"))


def _workflow_exams(said: pl.DataFrame) -> pl.DataFrame:
    """Exams of workflow rows, those of visits alone left out: `digest`, `exam_key`, `match_rule`."""
    own = said.with_columns(
        exam_key=pl.coalesce("accession", "placed", "alias", "filler"),
        match_rule=pl.when(pl.col("accession").is_null() & pl.col("placed").is_not_null())
        .then(pl.lit("placer"))
        .when(pl.col("accession").is_not_null() | pl.col("alias").is_not_null())
        .then(pl.lit("accession"))
        .otherwise(pl.lit("filler")),
    )
    found = own.filter(pl.col("exam_key").is_not_null())
    resolved = found.select(list(_MATCH))
    rest = own.filter(pl.col("exam_key").is_null()).drop("exam_key", "match_rule")
    # What orders name is told from the orders alone, so that one weak match never leads to the next.
    for rule, column in (("study", "study"), ("placer", "placer"), ("request", "request")):
        ways = found.filter(pl.col(column).is_not_null()).select(column, "exam_key").unique()
        hits = rest.join(ways, on=column).select("digest", "exam_key", pl.lit(rule).alias("match_rule"))
        resolved, rest = pl.concat([resolved, hits]), rest.join(hits, on="digest", how="anti")
    alone = (
        rest.with_columns(exam_key=pl.coalesce("study", "placer"), match_rule=pl.lit("alone"))
        .filter(pl.col("exam_key").is_not_null())
        .select(list(_MATCH))
    )
    resolved, rest = pl.concat([resolved, alone]), rest.join(alone, on="digest", how="anti")
    steps = (
        said.filter(pl.col("step").is_not_null())
        .select("digest", "step")
        .join(resolved, on="digest")
        .select("step", "exam_key")
        .unique()
    )
    by_step = rest.join(steps, on="step").select("digest", "exam_key", pl.lit("step").alias("match_rule"))
    rest = rest.join(by_step, on="digest", how="anti").filter(pl.col("step").is_not_null())
    lone_steps = rest.select("digest", pl.col("step").alias("exam_key"), pl.lit("alone").alias("match_rule"))
    return pl.concat([resolved, by_step, lone_steps])


def _visit_exams(said: pl.DataFrame, resolved: pl.DataFrame) -> pl.DataFrame:
    """Statements that name a visit and no exam, with all exams of the visit."""
    visits = (
        said.filter(pl.col("visit").is_not_null())
        .select("digest", "visit")
        .join(resolved, on="digest")
        .select("visit", "exam_key")
        .unique()
    )
    silent = said.filter(pl.col("visit").is_not_null()).join(resolved, on="digest", how="anti")
    return silent.join(visits, on="visit").select("digest", "exam_key", pl.lit("visit").alias("match_rule"))


class _Imaging:
    """Exams of imaging rows: see the module's text for the order of rules."""

    def __init__(self, imaging: pl.DataFrame, said: pl.DataFrame, resolved: pl.DataFrame) -> None:
        rows = imaging.explode("accession").unique()
        self._rows = rows.select(
            "digest",
            key_column("order", rows["accession"]).alias("own"),
            key_column("study", rows["study_uid"]).alias("study"),
        )
        self._rest = self._rows
        self._found: list[pl.DataFrame] = []
        ordered = resolved.select(pl.col("exam_key").alias("own")).unique().with_columns(exam_key=pl.col("own"))
        self._take("accession", ordered, "own")
        self._take("study", _studies(said, resolved), "study")
        self._take("cut", _cut_numbers(said, resolved), "own")
        self._take("accession", self._rest.select("own", exam_key=pl.col("own")).drop_nulls().unique(), "own")
        self._take("study", self._studies_of_images(), "study")

    def _take(self, rule: str, ways: pl.DataFrame, column: str) -> None:
        hits = (
            self._rest.join(ways.filter(pl.col(column).is_not_null()), on=column)
            .select("digest", "exam_key", pl.lit(rule).alias("match_rule"))
            .unique()
        )
        self._found.append(hits)
        self._rest = self._rest.join(hits, on="digest", how="anti")

    def _studies_of_images(self) -> pl.DataFrame:
        """Studies of which some images are matched already, with their exams."""
        matched = pl.concat(self._found).select("digest", "exam_key")
        return (
            self._rows.join(matched, on="digest")
            .filter(pl.col("study").is_not_null())
            .select("study", "exam_key")
            .unique()
        )

    def take_near(self, studies: pl.DataFrame) -> None:
        """Matches the rest by the exams that lie near: `study`, `exam_key`."""
        self._take("near", studies, "study")

    @property
    def lone(self) -> pl.DataFrame:
        """Rows of no exam yet: `digest`, `study`."""
        return self._rest.filter(pl.col("study").is_not_null()).select("digest", "study").unique()

    @property
    def studies(self) -> pl.DataFrame:
        """Every study with its exams: `study`, `exam_key`."""
        known = self._rows.filter(pl.col("study").is_not_null()).select("digest", "study")
        return known.join(self.all(), on="digest").select("study", "exam_key").unique()

    @property
    def exams(self) -> pl.Series:
        """Exams that have images or dose."""
        return pl.concat(self._found)["exam_key"].unique()

    def all(self) -> pl.DataFrame:
        """Every match; what is left is an exam by its study alone."""
        alone = self._rest.select(
            "digest", pl.col("study").alias("exam_key"), pl.lit("alone").alias("match_rule")
        ).unique()
        return (
            pl.concat([*self._found, alone])
            .filter(pl.col("exam_key").is_not_null())
            .unique(["digest", "exam_key"], keep="first", maintain_order=True)
        )


def _studies(said: pl.DataFrame, resolved: pl.DataFrame) -> pl.DataFrame:
    """Studies that orders name, with their exams."""
    named = said.filter(pl.col("study").is_not_null()).select("digest", "study")
    return named.join(resolved, on="digest").select("study", "exam_key").unique()


def _cut_numbers(said: pl.DataFrame, resolved: pl.DataFrame) -> pl.DataFrame:
    """Accession numbers cut to 16 characters that belong to one exam only: `own`, `exam_key`."""
    cut = (
        said.filter(pl.col("cut").is_not_null())
        .select("digest", pl.col("cut").alias("own"))
        .join(resolved, on="digest")
        .select("own", "exam_key")
        .unique()
    )
    return cut.filter(pl.len().over("own") == 1)


def _near(
    matched: _Imaging, series: pl.DataFrame, workflow: pl.DataFrame, resolved: pl.DataFrame, minutes: int
) -> pl.DataFrame:
    """Lone studies and the one order each that is near, where each is the other's only candidate: `study`, `exam_key`."""
    lone = (
        series.filter(pl.col("accession").is_null() & (pl.col("accessions").list.len().fill_null(0) == 0))
        .select("digest", "patient", "site", naturals.modality().alias("ours"), "started_at")
        .join(matched.lone, on="digest")
        .group_by("study", "patient", "site")
        .agg(pl.col("ours").drop_nulls().sort().first(), pl.col("started_at").min())
        .drop_nulls()
    )
    if lone.is_empty():
        return pl.DataFrame(schema={"study": pl.Int64, "exam_key": pl.Int64})
    free = (
        workflow.select(
            "digest",
            "patient",
            "site",
            pl.coalesce(naturals.modality(), naturals.modality("section")).alias("ours"),
            pl.col("events")
            .list.eval(pl.element().struct.field("at").filter(pl.element().struct.field("event").is_in(NEAR_EVENTS)))
            .alias("at"),
        )
        .explode("at")
        .drop_nulls()
        .join(resolved, on="digest")
        .filter(~pl.col("exam_key").is_in(matched.exams.implode()))
        .select("exam_key", "patient", "site", "ours", "at")
    )
    pairs = (
        lone.join(free, on=["patient", "site", "ours"])
        .filter((pl.col("started_at") - pl.col("at")).abs() <= pl.duration(minutes=minutes))
        .select("study", "exam_key")
        .unique()
    )
    return pairs.filter((pl.len().over("study") == 1) & (pl.len().over("exam_key") == 1))
