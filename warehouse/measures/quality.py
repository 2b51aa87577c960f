"""How good the data is: what was joined, what is known of an exam, and what a gap costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, and_, func, literal, not_, or_, select, union_all

from warehouse.filters import Filters
from warehouse.measures.measure import Measure, broken_down, over_exams, share
from warehouse.schema import MILESTONES, UNKNOWN, fact_exam
from warehouse.scope import Scope

_exam = fact_exam.c
IRRADIATING = ("CT", "XA", "RF", "MG", "NM", "PT")
"""Modalities whose exams come with a dose report or an exposure; XR systems often send neither."""
OTHERWISE_KNOWN = or_(_exam.has_order, _exam.has_images)
"""An order or images stand behind an exam: a report or a dose is not all that is known of it."""


@dataclass(frozen=True)
class Part:
    """Something that an exam has or lacks."""

    name: str
    title: str
    """What is there, in a few words."""
    there: ColumnElement[bool]
    among: ColumnElement[bool]
    """Exams that should have it."""
    among_words: str
    sources: str
    costs: str
    """What is lost where it is missing."""


_PERFORMED = _exam.is_performed
_PERFORMED_WORDS = "exams that took place"

JOINS: tuple[Part, ...] = (
    Part("images_with_order", "Images with an order", _exam.has_order, _exam.has_images, "exams with images",
         "Accession number, study, order numbers of images and messages.",
         "Without an order, class, priority, referrer and the time of the order are unknown, and the report may stand alone."),
    Part("orders_with_images", "Orders with images", _exam.has_images, and_(_exam.has_order, _PERFORMED), "performed exams with an order",
         "The same, the other way.", "Without images, scanner, machine time and dose are unknown."),
    Part("reports_with_exam", "Reports with their exam", OTHERWISE_KNOWN, _exam.final_at.is_not(None), "exams with a final report",
         "Numbers of results and orders.", "A report without its exam leaves the exam unread for ever, and turnaround without it."),
    Part("dose_with_exam", "Dose with its exam", OTHERWISE_KNOWN, _exam.has_dose_report, "exams with dose",
         "Accession number and study of dose reports.", "Dose without its exam has no procedure, class or age to compare it by."),
    Part("charges_with_exam", "Charges with their exam", _PERFORMED, _exam.has_charge, "exams with a charge",
         "Numbers of charges.", "A charge without an exam is billed for something that the data does not show."),
)  # fmt: skip

_MILESTONE_COSTS = {
    "ordered": "order to exam, order to report",
    "booked": "lead time of appointments",
    "scheduled_for": "lateness, no-shows, fill of the schedule",
    "door": "door to exam and door to report",
    "arrived": "waiting time, no-shows",
    "in_room": "room time is modelled, not measured",
    "started": "every interval that begins or ends at the exam",
    "ended": "report turnaround",
    "left_room": "room time is modelled, not measured",
    "read_started": "queue apart from reading time",
    "prelim": "first report, time to sign",
    "final": "report turnaround; the exam counts as unread",
    "communicated": "time to tell a critical result",
    "charged": "charge lag, unbilled exams",
}
_MILESTONE_AMONG: dict[str, tuple[ColumnElement[bool], str]] = {
    "door": (and_(_PERFORMED, _exam.patient_class == "ED"), "emergency exams that took place"),
    "charged": (and_(_PERFORMED, _exam.final_at.is_not(None)), "reported exams"),
    "booked": (and_(_PERFORMED, _exam.patient_class == "OP"), "outpatient exams that took place"),
    "scheduled_for": (and_(_PERFORMED, _exam.patient_class == "OP"), "outpatient exams that took place"),
}


def _milestone(name: str) -> Part:
    among, words = _MILESTONE_AMONG.get(name, (_PERFORMED, _PERFORMED_WORDS))
    spoken = name.replace("_", " ")
    return Part(
        f"{name}_known", f"Time known: {spoken}", _exam[f"{name}_at"].is_not(None), among, words,
        "Whatever states the step; the page of an exam shows each statement.", _MILESTONE_COSTS[name],
    )  # fmt: skip


TIMES: tuple[Part, ...] = tuple(_milestone(name) for name in MILESTONES if name != "cancelled")

FIELDS: tuple[Part, ...] = (
    Part("accession_stated", "Accession number", _exam.accession_pseudonym.is_not(None), _PERFORMED, _PERFORMED_WORDS,
         "(0008,0050); OBR-18 or as configured.", "joining images, order and report"),
    Part("procedure_stated", "Procedure", _exam.procedure_key != UNKNOWN, _PERFORMED, _PERFORMED_WORDS,
         "OBR-4; (0008,1030).", "everything by procedure, section and standard procedure"),
    Part("protocol_stated", "Scanner protocol", _exam.protocol_key != UNKNOWN, _exam.has_images, "exams with images",
         "(0018,1030).", "dose and times by protocol"),
    Part("device_stated", "Scanner", _exam.device_key != UNKNOWN, _PERFORMED, _PERFORMED_WORDS,
         "(0008,0070), (0008,1090), (0018,1000), (0008,1010).", "utilization, dose by scanner"),
    Part("class_stated", "Patient class", _exam.patient_class != "unknown", _PERFORMED, _PERFORMED_WORDS,
         "PV1-2.", "turnaround by class, emergency paths"),
    Part("priority_stated", "Priority", _exam.priority != "unknown", _PERFORMED, _PERFORMED_WORDS,
         "ORC-7.6, OBR-27.6, TQ1-9.", "turnaround targets by priority"),
    Part("age_stated", "Age", _exam.age_years.is_not(None), _PERFORMED, _PERFORMED_WORDS,
         "PID-7; (0010,1010), (0010,0030).", "paediatric dose, diagnostic reference levels"),
    Part("sex_stated", "Sex", _exam.sex.is_not(None), _PERFORMED, _PERFORMED_WORDS, "PID-8; (0010,0040).", "dose by sex"),
    Part("weight_stated", "Weight", _exam.weight_kg.is_not(None), and_(_PERFORMED, _exam.modality.in_(IRRADIATING)),
         "exams with radiation", "(0010,1030).", "dose against size, reference levels for a standard patient"),
    Part("body_part_stated", "Body part", _exam.body_part.is_not(None), _exam.has_images, "exams with images",
         "(0018,0015).", "dose and times by region"),
    Part("dose_stated", "Dose", _exam.has_dose_report, and_(_exam.has_images, _exam.modality.in_(IRRADIATING)),
         "imaged exams with radiation", "Dose reports; image headers.", "dose of this exam is missing from every sum"),
)  # fmt: skip

PROBABLE = _exam.match_confidence == "probable"
FLAGGED = _exam.flags.is_not(None)


def _measure(part: Part) -> Measure:
    return Measure(
        f"{part.name}_share",
        part.title,
        "%",
        "up",
        f"{part.title[:1].upper()}{part.title[1:]}: {part.among_words} that have it, divided by all {part.among_words}.",
        part.sources,
        "Phantom and service exams; exams that people took out.",
        over_exams(share(part.there), part.among),
        minimum_n=20,
        decimals=1,
        permission="view_data",
        notes=f"Where it is missing: {part.costs.removesuffix('.')}.",
    )


MEASURES = (
    *(_measure(part) for part in (*JOINS, *TIMES, *FIELDS)),
    Measure(
        "probable_match_share",
        "Joined by a fall-back",
        "%",
        "down",
        "Exams whose sources were joined by patient and request, a cut accession number or nearness in time, divided by all exams that took place.",
        "Rule by which each source was joined; the weakest of them counts.",
        "Phantom and service exams.",
        over_exams(share(PROBABLE), _PERFORMED),
        minimum_n=20,
        decimals=1,
        permission="view_data",
    ),
    Measure(
        "doubtful_share",
        "Exams with a doubt",
        "%",
        "down",
        "Exams whose times run backwards or whose sources contradict each other, divided by all exams that took place.",
        "Order of milestones; cancellations beside images; patients of images.",
        "Phantom and service exams.",
        over_exams(share(FLAGGED), _PERFORMED),
        minimum_n=20,
        decimals=1,
        permission="view_data",
        notes="Such an exam leaves the interval that it breaks, not every measure.",
    ),
)


def part_counts(
    parts: Sequence[Part], filters: Filters, scope: Scope, by: Sequence[str] = ()
) -> Select[tuple[object, ...]]:
    """One row a combination of the breakdowns: `<name>` exams that have each part, `<name>_of` that should."""
    ways, source = broken_down(fact_exam, fact_exam, by)
    counts = [
        column
        for part in parts
        for column in (
            func.count().filter(and_(part.among, part.there)).label(part.name),
            func.count().filter(part.among).label(f"{part.name}_of"),
        )
    ]
    query = select(*ways, *counts).select_from(source).where(filters.clauses(fact_exam, scope))
    return query.group_by(*ways).order_by(*ways)


def milestone_sources(filters: Filters, scope: Scope) -> Select[tuple[object, ...]]:
    """Exams that took place by milestone and kind of source that gave it: `milestone, source, n`."""
    kept = and_(filters.clauses(fact_exam, scope), _PERFORMED)
    parts = [
        select(literal(name).label("milestone"), _exam[f"{name}_source"].label("source"), func.count().label("n"))
        .where(kept, _exam[f"{name}_at"].is_not(None))
        .group_by(_exam[f"{name}_source"])
        for name in MILESTONES
        if name != "cancelled"
    ]
    found = union_all(*parts).subquery()
    return select(found.c.milestone, found.c.source, found.c.n).order_by(found.c.milestone, found.c.n.desc())


def match_counts(filters: Filters, scope: Scope, by: Sequence[str] = ()) -> Select[tuple[object, ...]]:
    """Exams that took place by rule and confidence of their match: `match_rule, match_confidence, n`."""
    ways, source = broken_down(fact_exam, fact_exam, by)
    columns = (*ways, _exam.match_rule, _exam.match_confidence)
    return (
        select(*columns, func.count().label("n"))
        .select_from(source)
        .where(filters.clauses(fact_exam, scope), _PERFORMED)
        .group_by(*columns)
        .order_by(func.count().desc(), *columns)
    )


def flag_counts(filters: Filters, scope: Scope, by: Sequence[str] = ()) -> Select[tuple[object, ...]]:
    """Exams by their doubts as they stand, joined by `; `: `flags, n`."""
    ways, source = broken_down(fact_exam, fact_exam, by)
    return (
        select(*ways, _exam.flags, func.count().label("n"))
        .select_from(source)
        .where(filters.clauses(fact_exam, scope), FLAGGED)
        .group_by(*ways, _exam.flags)
        .order_by(*ways, _exam.flags)
    )


DAILY: dict[str, ColumnElement[bool]] = {
    "orders": and_(_exam.has_order, _PERFORMED),
    "images": _exam.has_images,
    "reports": _exam.final_at.is_not(None),
    "dose": _exam.has_dose_report,
    "charges": _exam.has_charge,
}
"""What systems count a day: RIS orders done, PACS studies, reports, dose, billing."""

DIFFERENCES: dict[str, tuple[str, ColumnElement[bool], str]] = {
    "ordered_not_imaged": ("orders", and_(DAILY["orders"], not_(_exam.has_images)), "no images arrived"),
    "imaged_not_ordered": ("images", and_(_exam.has_images, not_(DAILY["orders"])), "no order"),
    "imaged_not_reported": ("images", and_(_exam.has_images, _exam.final_at.is_(None)), "not reported yet"),
    "reported_not_imaged": ("reports", and_(DAILY["reports"], not_(_exam.has_images)), "report without images"),
    "irradiated_without_dose": (
        "images", and_(_exam.has_images, _exam.modality.in_(IRRADIATING), not_(_exam.has_dose_report)), "no dose report",
    ),
    "dose_not_imaged": ("dose", and_(_exam.has_dose_report, not_(_exam.has_images)), "dose without images"),
    "reported_not_charged": ("reports", and_(DAILY["reports"], not_(_exam.has_charge)), "no charge"),
    "charged_not_reported": ("charges", and_(_exam.has_charge, _exam.final_at.is_(None)), "charge without a report"),
}  # fmt: skip
"""Why two counts differ: the count that has these exams too many, which exams they are, and the class in words.

Orders less images = ordered_not_imaged less imaged_not_ordered, images less reports = imaged_not_reported less
reported_not_imaged, reports less charges = reported_not_charged less charged_not_reported: exactly.
"""


def daily_counts(filters: Filters, scope: Scope, by: Sequence[str] = ("day",)) -> Select[tuple[object, ...]]:
    """One row a day with the counts of `DAILY` and the classes of `DIFFERENCES`."""
    ways, source = broken_down(fact_exam, fact_exam, by)
    counts = [
        func.count().filter(condition).label(name)
        for name, condition in {**DAILY, **{name: found[1] for name, found in DIFFERENCES.items()}}.items()
    ]
    return (
        select(*ways, *counts)
        .select_from(source)
        .where(filters.clauses(fact_exam, scope))
        .group_by(*ways)
        .order_by(*ways)
    )
