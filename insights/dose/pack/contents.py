"""What stands in the pack: tables of a period, from the star, the alerts and their reviews.

Nothing in it depends on when it is made: the same period of the same data and the same reviews give the same tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import polars as pl
from sqlalchemy import Integer, and_, cast, func, select

from insights.dose.evidence import Evidence
from insights.dose.rules import Rule
from insights.dose.words import amount
from settings import Settings
from state.alerts import Alert
from state.reviews import ACTIONS, REASONS, Review, Status, status_of
from warehouse.dose_groups import KIND_METRICS, METRICS, exam_values, levels, typical_values, with_levels
from warehouse.engines import Star
from warehouse.filters import Filters, exam_clause
from warehouse.schema import dim_device, dim_protocol, dim_reference_level, dim_site, fact_exam, fact_exam_dose
from warehouse.scope import Scope

_exam, _dose = fact_exam.c, fact_exam_dose.c
SEVERITIES = {3: "act today", 2: "review", 1: "look"}


@dataclass(frozen=True)
class Part:
    """One table of the pack."""

    name: str
    """Short: the sheet's name."""
    title: str
    note: str
    frame: pl.DataFrame


@dataclass(frozen=True)
class Pack:
    """The pack of a period."""

    organisation: str
    first: date
    last: date
    sites: str
    """Which sites it covers, in words."""
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Office:
    """What people keep: the rules as they stand, alerts of the period with their steps, sign-offs."""

    rules: Mapping[str, Rule]
    alerts: Sequence[Alert]
    steps: Mapping[int, Sequence[Review]]
    sign_offs: Sequence[Review]
    as_of: datetime | None = None
    """Steps after it are left out; None takes all."""

    def steps_of(self, alert: int) -> list[Review]:
        """The steps about an alert that count."""
        return [one for one in self.steps.get(alert, ()) if self.as_of is None or one.at <= self.as_of]


def contents(star: Star, office: Office, settings: Settings, scope: Scope, first: date, last: date) -> Pack:
    """The pack of a period.

    Args:
        scope: what the one who asks for it may see.
    """
    filters = Filters(start=first, end=last)
    sites = "all sites" if scope.sites is None else ", ".join(sorted(scope.sites))
    parts = (
        _method(settings, office),
        _levels(star),
        _medians(star, filters, scope, settings),
        _capture(star, filters, scope, settings),
        _alerts(office, settings, star, scope),
        _steps(office),
        _open(office, settings),
        _sign_offs(office, first, last, scope),
        _excluded(star, filters, scope),
        _devices(star, filters, scope),
        _rules(office.rules.values()),
    )
    return Pack(settings.organisation, first, last, sites, parts)


def _method(settings: Settings, office: Office) -> Part:
    rows = [
        ("Identity of an exposure", "Irradiation Event UID (113769): however many objects state it, it counts once; a dose report is better than a header, of two reports the later content time holds."),
        ("Dose of an exam", "CT and mammography: sum of distinct events. Fluoroscopy: the report's stated total where there is one, else the sum."),
        ("Typical value", f"Median over patients' exams, at least {settings.dose.smallest_sample}; mammography 50, angiography and fluoroscopy 30 (ICRP Publication 135). Interval: 95 % bootstrap, 999 resamples."),
        ("Comparison", "Medians are compared with reference levels, never single exams. A level is no limit."),
        ("Outliers", "Fixed limits; robust z of logarithms within protocol, scanner, age and weight; robust regression on size; CUSUM of a protocol's level."),
        ("Left out", "Phantoms, service and exposures in doubt: listed under Excluded."),
        ("Second signature", "needed" if settings.dose.second_signature else "not needed"),
        ("Integrity", "Each step of a review is sealed by a row of the audit's chain; the numbers stand under Reviews."),
        ("Reviews up to", office.as_of.isoformat(timespec="seconds") if office.as_of else "the newest"),
    ]  # fmt: skip
    return Part("Method", "Policy and method", "", pl.DataFrame(rows, schema=["what", "how"], orient="row"))


def _levels(star: Star) -> Part:
    level = dim_reference_level.c
    query = select(
        level.authority, level.year, level.population, level.modality, level.procedure_name, level.indication, level.metric, level.level, level.unit,
        level.percentile, level.phantom, level.valid_from, level.valid_to, level.standard_code, level.origin, level.source,
    ).order_by(level.modality, level.procedure_name, level.metric, level.year, level.level_key)  # fmt: skip
    return Part("Levels", "Reference levels", "With their sources; shipped ones, and those that a physicist imported.", star.frame(query))  # fmt: skip


def _medians(star: Star, filters: Filters, scope: Scope, settings: Settings) -> Part:
    """Typical values by standard exam or protocol, device and age band."""
    parts = []
    for metric in METRICS:
        modalities = tuple(sorted(kind for kind, metrics in KIND_METRICS.items() if metric in metrics))
        values = exam_values(star, filters.narrowed(modality=modalities), scope, metric)
        if values.is_empty():
            continue
        groups = ("site_code", "device_name", "protocol_name", "standard_code", "standard_name", "age_band", "phantom")
        found = typical_values(values, groups, settings.dose.smallest_sample)
        named = with_levels(found, levels(star, metric))
        parts.append(named.with_columns(metric=pl.lit(METRICS[metric][1]), unit=pl.lit(METRICS[metric][2])))
    columns = (
        "modality", "site_code", "device_name", "protocol_name", "standard_name", "age_band", "phantom", "metric", "unit", "n", "needed", "p25", "median", "low",
        "high", "p75", "p95", "level", "authority", "year",
    )  # fmt: skip
    frame = pl.concat(parts).select(columns).sort(columns[:8], nulls_last=True) if parts else pl.DataFrame()
    note = "No median where fewer exams than needed are known. Low and high: 95 % interval of the median."
    return Part("Medians", "Typical values by protocol and device", note, frame)


def _capture(star: Star, filters: Filters, scope: Scope, settings: Settings) -> Part:
    """Exams that should have a dose, and have, by device."""
    query = (
        select(
            dim_site.c.site_code, dim_device.c.device_name, _exam.modality, func.count().label("exams"),
            func.sum(cast(_exam.has_dose_report, Integer)).label("with_dose"),
        )
        .select_from(fact_exam.join(dim_site, _exam.site_key == dim_site.c.site_key).join(dim_device, _exam.device_key == dim_device.c.device_key))
        .where(filters.clauses(fact_exam, scope), _exam.is_performed, _exam.has_images, _exam.modality.in_(settings.dose.expected_from))
        .group_by(dim_site.c.site_code, dim_device.c.device_name, _exam.modality)
        .order_by(dim_site.c.site_code, dim_device.c.device_name, _exam.modality)
    )  # fmt: skip
    frame = star.frame(query).with_columns(
        missing=pl.col("exams") - pl.col("with_dose"),
        share_percent=(100 * pl.col("with_dose") / pl.col("exams")).round(1),
    )
    return Part("Capture", "Completeness of capture by device", "Performed exams with images of the modalities that shall have a dose.", frame)  # fmt: skip


def _alerts(office: Office, settings: Settings, star: Star, scope: Scope) -> Part:
    ids = _exam_ids(star, scope, [one.exam_key for one in office.alerts if one.exam_key is not None])
    rows = []
    for one in office.alerts:
        status = _status(office, one, settings)
        evidence = Evidence.of_json(one.evidence)
        rows.append(
            {
                "case": one.id, "day": one.happened_on, "site": one.site_code, "modality": one.modality, "exam": ids.get(one.exam_key or 0, ""),
                "severity": SEVERITIES[one.severity], "rule": evidence.rule_text, "what": evidence.text, "value": amount(evidence.value, evidence.unit),
                "limit_or_expected": amount(evidence.limit if evidence.limit is not None else evidence.expected, evidence.unit),
                "likely_cause": evidence.why[0].text if evidence.why else "", "state": status.state.replace("_", " "),
                "reason": REASONS.get(status.reason or "", ""), "action": ACTIONS.get(status.action or "", ""),
                "closed_by": status.closed_by or "", "signed_by": status.signed_by or "",
            }
        )  # fmt: skip
    return Part("Alerts", "All alerts of the period with their closure", "", pl.DataFrame(rows, infer_schema_length=None))  # fmt: skip


def _steps(office: Office) -> Part:
    rows = [
        {
            "case": alert.id, "step": one.step.value.replace("_", " "), "by": one.actor, "at": one.at.isoformat(timespec="seconds"),
            "said": ", ".join(f"{name} {value}" for name, value in one.value.items()), "words": one.text, "audit_row": one.audit_seq, "digest": one.digest,
        }
        for alert in office.alerts
        for one in office.steps_of(alert.id)
    ]  # fmt: skip
    return Part("Reviews", "Every step of the reviews", "Times in UTC.", pl.DataFrame(rows, infer_schema_length=None))


def _open(office: Office, settings: Settings) -> Part:
    rows = [
        {"case": one.id, "day": one.happened_on, "severity": SEVERITIES[one.severity], "what": Evidence.of_json(one.evidence).text, "state": status.state.replace("_", " "), "due": status.due_on}
        for one in office.alerts
        if (status := _status(office, one, settings)).is_open
    ]  # fmt: skip
    return Part("Open", "Open items", "", pl.DataFrame(rows, infer_schema_length=None))


def _sign_offs(office: Office, first: date, last: date, scope: Scope) -> Part:
    rows = [
        {
            "first": one.value["first"], "last": one.value["last"], "site": one.value["site"] or "all sites", "by": one.actor,
            "at": one.at.isoformat(timespec="seconds"), "open_then": "; ".join(one.value["gaps"]), "words": one.text, "audit_row": one.audit_seq,
        }
        for one in sorted(office.sign_offs, key=lambda one: one.audit_seq)
        if one.value["first"] <= last.isoformat()
        and one.value["last"] >= first.isoformat()
        and (office.as_of is None or one.at <= office.as_of)
        and (scope.sites is None or one.value["site"] in scope.sites)
    ]  # fmt: skip
    return Part("Sign-offs", "Signatures of periods", "Times in UTC.", pl.DataFrame(rows, infer_schema_length=None))


def _excluded(star: Star, filters: Filters, scope: Scope) -> Part:
    query = (
        select(_exam.exam_id, _exam.local_day, dim_site.c.site_code, dim_device.c.device_name, dim_protocol.c.protocol_name, _dose.exposure_class, _dose.class_reason)
        .select_from(
            fact_exam_dose.join(fact_exam, and_(_dose.exam_key == _exam.exam_key, _dose.month == _exam.month)).join(dim_site, _exam.site_key == dim_site.c.site_key)
            .join(dim_device, _dose.device_key == dim_device.c.device_key).join(dim_protocol, _dose.protocol_key == dim_protocol.c.protocol_key)
        )
        .where(_exam.local_day.between(filters.start, filters.end), exam_clause(scope), _dose.exposure_class != "patient")
        .order_by(_exam.local_day, _exam.exam_id)
    )  # fmt: skip
    return Part("Excluded", "Exposures that enter no figure, with the reason", "", star.frame(query))


def _devices(star: Star, filters: Filters, scope: Scope) -> Part:
    device = dim_device.c
    query = (
        select(dim_site.c.site_code, device.device_name, device.modality, device.manufacturer, device.model, device.serial, device.software, func.min(_exam.local_day).label("first_day"), func.max(_exam.local_day).label("last_day"), func.count().label("exams"))
        .select_from(fact_exam.join(dim_device, _exam.device_key == device.device_key).join(dim_site, device.site_key == dim_site.c.site_key))
        .where(filters.clauses(fact_exam, scope), _exam.has_dose_report)
        .group_by(dim_site.c.site_code, device.device_name, device.modality, device.manufacturer, device.model, device.serial, device.software)
        .order_by(dim_site.c.site_code, device.device_name, device.software)
    )  # fmt: skip
    return Part("Devices", "Devices with dose, by software version", "", star.frame(query))


def _rules(rules: Any) -> Part:
    rows = [
        {"rule": one.id, "title": one.title, "active": "yes" if one.fires else "no", "number": one.threshold, "unit": one.unit, "meaning": one.meaning, "severity": SEVERITIES[one.severity], "source": one.source}
        for one in rules
    ]  # fmt: skip
    return Part("Rules", "Rules as they stand", "", pl.DataFrame(rows, infer_schema_length=None))


def _status(office: Office, alert: Alert, settings: Settings) -> Status:
    return status_of(office.steps_of(alert.id), second_signature=settings.dose.second_signature)


def _exam_ids(star: Star, scope: Scope, exams: Sequence[int]) -> dict[int, str]:
    if not exams:
        return {}
    query = select(_exam.exam_key, _exam.exam_id).where(_exam.exam_key.in_(sorted(set(exams))), exam_clause(scope))
    return dict(star.frame(query).iter_rows())
