"""Everything that stands out in some days, by three readers side by side, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl
from sqlalchemy import select

from insights.dose.baselines import DAYS, LEVELS, falls_short, stands_out, with_group
from insights.dose.causes import as_twins, causes, twins_of
from insights.dose.drift import Drift, drifts, first_day
from insights.dose.evidence import Baseline, Cause, Evidence
from insights.dose.limits import outside_ranges, over_limits
from insights.dose.rows import QUANTITIES, QUANTITY_WORDS, exam_rows
from insights.dose.rules import Rule
from insights.dose.size_model import with_size_model
from insights.dose.words import amount, group_words
from state.alerts import Raised
from warehouse.dosimetry.tables import METRICS
from warehouse.engines import Star
from warehouse.schema import dim_expected_range

NORMAL_FOR_SIZE = 2.5
"""A dose within this many robust deviations of what its size lets expect is explained by size."""
AROUND = 30
"""Exams before a change of level among which new software counts as its occasion."""
SIGNS = frozenset({"extra_phase", "modulation", "data_error", "long_range", "repeat"})
"""Causes that make a dose worth a look before it is far off."""
LONG_AGO = 3650
"""Days of history in which changes of level are looked for."""


@dataclass(frozen=True)
class Judged:
    """The exams of some days beside what patients like theirs got; rules are held against it without asking the star again."""

    first: date
    last: date
    publication: str
    rows: pl.DataFrame
    """All exams of the history to these days."""
    exams: pl.DataFrame
    """The exams of these days with the figures that they are judged by."""
    ranges: pl.DataFrame
    """Rows of `dim_expected_range`."""
    window_weeks: int


@dataclass(frozen=True)
class Found:
    """What rules raise among some days' exams."""

    raised: list[Raised]
    explained_by_size: int
    """Exams far above their group that are usual for their size: not raised."""


def judge(star: Star, first: date, last: date, window_weeks: int) -> Judged:
    """The exams from `first` to `last` with their groups and size models.

    Args:
        window_weeks: over which one patient's air kerma is summed.
    """
    rows = exam_rows(star, first - timedelta(days=LONG_AGO), last)
    exams = with_size_model(rows, with_group(rows, first, last))
    ranges = star.frame(select(dim_expected_range))
    return Judged(first, last, star.publication.id, rows, exams, ranges, window_weeks)


def outliers(judged: Judged, rules: Mapping[str, Rule]) -> Found:
    """What stands out by these rules.

    Args:
        rules: of `rules_with`.
    """
    rows, exams = judged.rows, judged.exams
    within = pl.col("local_day").is_between(judged.first, judged.last)
    recent = rows.filter(pl.col("local_day") >= judged.first - timedelta(weeks=judged.window_weeks))
    crossed = pl.concat(
        [
            over_limits(recent, rules.values(), judged.window_weeks),
            outside_ranges(rows.filter(within), judged.ranges, dict(rules)),
        ]
    )
    context = _Context(judged.publication, rows, {row["exam_key"]: row for row in exams.iter_rows(named=True)})
    far = exams.filter(stands_out(rules["group"].threshold or 3.5))
    is_usual = (pl.col("value_z").abs() <= NORMAL_FOR_SIZE).fill_null(value=False)
    up, down = rules["size"].threshold or 3.5, rules["low"].threshold or 3.5
    worst = pl.max_horizontal("value_z", "ctdivol_mgy_z")
    least = pl.min_horizontal("value_z", "ctdivol_mgy_z")
    short = (falls_short(down) & ~is_usual) | (least <= -down).fill_null(value=False)
    found = [
        *_limits(crossed, rows.filter(within), rules, context),
        *_statistics(far.filter(~is_usual), rules["group"], context),
        *_statistics(exams.filter(worst >= up), rules["size"], context),
        *_signed(exams, pl.max_horizontal("z", worst), rules, context),
        *_statistics(exams.filter(short), rules["low"], context),
        *_drifts(rows, rules["drift"], context, judged.first),
    ]
    return Found(found, far.filter(is_usual).height)


@dataclass(frozen=True)
class _Context:
    """What evidence is made from."""

    publication: str
    rows: pl.DataFrame
    judged: Mapping[int, Mapping[str, Any]]

    def peers(self, exam: Mapping[str, Any]) -> pl.DataFrame:
        """Exams of the same protocol and age band over the year before the exam's month, on the same scanner if it has any."""
        month = exam["local_day"].replace(day=1)
        same = self.rows.filter(
            (pl.col("protocol_key") == exam["protocol_key"])
            & (pl.col("age_band").eq_missing(exam["age_band"]))
            & pl.col("value").is_not_null()
            & pl.col("local_day").is_between(month - timedelta(days=DAYS), month, closed="left")
        )
        own = same.filter(pl.col("device_id") == exam["device_id"])
        return own if own.height else same


def _limits(
    crossed: pl.DataFrame, rows: pl.DataFrame, rules: Mapping[str, Rule], context: _Context
) -> Iterator[Raised]:
    """Fixed limits that exams of these days crossed."""
    exams = {row["exam_key"]: row for row in rows.iter_rows(named=True)}
    for hit in crossed.iter_rows(named=True):
        exam, rule = exams.get(hit["exam_key"]), rules[hit["rule"]]
        if exam is None:  # before these days: only the window of a sum reaches there
            continue
        unit = METRICS.get(hit["quantity"], rule.unit)
        over = f", limit {amount(hit['limit'], unit)}" if hit["limit"] is not None else ""
        said = QUANTITY_WORDS.get(hit["quantity"], hit["quantity"])
        known = context.judged.get(exam["exam_key"])
        yield _raised(
            rule,
            exam,
            Evidence(
                quantity=hit["quantity"], unit=unit, value=hit["found"], limit=hit["limit"],
                text=f"{rule.title}: {said} {amount(hit['found'], unit)}{over}, {exam['protocol_name']} on {exam['device_name']}",
                rule_text=rule.title, source=rule.source, publication=context.publication,
                size_cm=exam["size_cm"], size_method=exam["size_method"],
                **(_compared(known, context) if known is not None else {}),
            ),
        )  # fmt: skip


def _statistics(exams: pl.DataFrame, rule: Rule, context: _Context) -> Iterator[Raised]:
    """Exams that stand out statistically."""
    if not rule.fires:
        return
    if rule.modalities:
        exams = exams.filter(pl.col("modality").is_in(rule.modalities))
    for exam in exams.iter_rows(named=True):
        quantity, unit, value, expected, score = _telling(exam, rule)
        ratio = value / expected
        how = f"{ratio:.1f} times" if ratio >= 1 else f"{100 * ratio:.0f} % of"
        whom = f"patients of this {exam['size_by']}" if exam["size_by"] else "patients like this one"
        text = (
            f"{QUANTITY_WORDS[quantity][0].upper()}{QUANTITY_WORDS[quantity][1:]} {amount(value, unit)} is {how} what {whom} get "
            f"with {exam['protocol_name']} on {exam['device_name']} ({amount(expected, unit)})"
        )
        yield _raised(
            rule,
            exam,
            Evidence(
                quantity=quantity, unit=unit, value=value, expected=expected, score=score, text=text, rule_text=rule.title, source=rule.source,
                size_cm=exam["size_cm"], size_method=exam["size_method"], publication=context.publication,
                **_compared(exam, context),
            ),
        )  # fmt: skip


def _signed(exams: pl.DataFrame, score: pl.Expr, rules: Mapping[str, Rule], context: _Context) -> Iterator[Raised]:
    """Exams that are less far off, but did something differently: a phase more, a longer range, another phantom."""
    rule, others = rules["sign"], min(rules["group"].threshold or 3.5, rules["size"].threshold or 3.5)
    candidates = exams.filter((score >= (rule.threshold or 0)) & (score < others) & (pl.col("dose_kind") == "ct"))
    for one in _statistics(candidates, rule, context):
        if any(cause["cause"] in SIGNS for cause in one.evidence["why"]):
            yield one


def _telling(exam: Mapping[str, Any], rule: Rule) -> tuple[str, str, float, float, float | None]:
    """Quantity, unit, value, what was expected and score that tell most of an exam: its CTDIvol where that is further off."""
    quantity, unit = QUANTITIES[exam["dose_kind"]]
    own = (quantity, unit, exam["value"], exam["value_expected"] or exam["median"], exam["value_z"])
    by_output = exam["ctdivol_mgy_z"]
    if rule.reader == "group" or by_output is None:
        return own if rule.reader != "group" else (*own[:4], exam["z"])
    further = exam["value_z"] is None or abs(by_output) > abs(exam["value_z"])
    return ("ctdivol_mgy", "mGy", exam["ctdivol_mgy"], exam["ctdivol_mgy_expected"], by_output) if further else own


def _compared(exam: Mapping[str, Any], context: _Context) -> dict[str, Any]:
    """Baseline, causes and twins of an exam that was judged."""
    if exam["median"] is None:
        return {}
    peers = context.peers(exam)
    twins = twins_of(exam, peers)
    level = LEVELS[exam["group"]]
    quantity, unit = QUANTITIES[exam["dose_kind"]]
    base = Baseline(
        group=group_words(exam, level), first=exam["base_first"], last=exam["base_last"], n=int(exam["n"]), quantity=quantity, unit=unit,
        median=exam["median"], mad=exam["mad"], p5=exam["p5"], p95=exam["p95"],
    )  # fmt: skip
    return {"baseline": base, "why": causes(exam, twins, peers), "twins": as_twins(twins)}


def _drifts(rows: pl.DataFrame, rule: Rule, context: _Context, first: date) -> Iterator[Raised]:
    """Protocols whose level on a scanner changed, seen since `first`."""
    if not rule.fires or rule.threshold is None:
        return
    for _, group, change in drifts(rows, rule.threshold):
        seen = group.row(change.seen, named=True)
        if seen["local_day"] < first:
            continue
        yield _raised(rule, seen, _of_drift(rule, group, change, context), of_drift=True)


def _of_drift(rule: Rule, group: pl.DataFrame, change: Drift, context: _Context) -> Evidence:
    seen, old = group.row(change.seen, named=True), group.row(max(change.began - 1, 0), named=True)
    quantity, unit = ("ctdivol_mgy", "mGy") if seen["dose_kind"] == "ct" else QUANTITIES[seen["dose_kind"]]
    share = change.after / change.before - 1
    day = first_day(group, change)
    about = group["software"][max(change.began - AROUND, 0) : change.seen + 1].drop_nulls()
    upgraded = about.n_unique() > 1
    text = (
        f"{seen['protocol_name']} on {seen['device_name']}: {QUANTITY_WORDS[quantity]} {'up' if share > 0 else 'down'} {100 * abs(share):.0f} % "
        f"since {day.day} {day:%b %Y}, from {amount(change.before, unit)} to {amount(change.after, unit)}"
    )
    why = (
        (Cause("protocol_changed", f"The scanner's software changed from {about[0]} to {about[-1]} about then"),)
        if upgraded
        else ()
    )  # fmt: skip
    return Evidence(
        quantity=quantity, unit=unit, value=change.after, expected=change.before, text=text, rule_text=rule.title, source=rule.source,
        baseline=Baseline(f"{seen['protocol_name']} on {seen['device_name']}, adults", group["local_day"][0], old["local_day"], change.n_before, quantity, unit, median=change.before),
        why=why, publication=context.publication,
    )  # fmt: skip


def _raised(rule: Rule, exam: Mapping[str, Any], evidence: Evidence, *, of_drift: bool = False) -> Raised:
    subject = f"{exam['protocol_key']}|{exam['device_id']}" if of_drift else str(exam["exam_key"])
    return Raised(
        key=f"{rule.id}|{subject}|{exam['exam_key']}" if of_drift else f"{rule.id}|{subject}",
        rule=rule.id,
        reader=rule.reader,
        severity=rule.severity,
        subject_kind="protocol" if of_drift else "exam",
        subject=subject[:64],
        exam_key=None if of_drift else exam["exam_key"],
        site_code=exam["site_code"],
        modality=exam["modality"],
        device_id=exam["device_id"],
        protocol_key=exam["protocol_key"],
        happened_on=exam["local_day"],
        evidence=evidence.as_json(),
    )
