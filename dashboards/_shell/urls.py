"""Every link of the pages, made here and nowhere else."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from warehouse.filters import Filters

EXECUTIVE = "/"
UTILIZATION = "/utilization"
UTILIZATION_APPOINTMENTS = "/utilization/appointments"
UTILIZATION_LOST = "/utilization/lost"
UTILIZATION_VOLUME = "/utilization/volume"
UTILIZATION_PLAN = "/utilization/plan"
UTILIZATION_DAY = "/utilization/day"
UTILIZATION_WAITING = "/utilization/waiting"
DEMAND = "/demand"
TURNAROUND = "/turnaround"
TURNAROUND_WHY = "/turnaround/why"
TURNAROUND_BOARD = "/turnaround/board"
TURNAROUND_PATHS = "/turnaround/paths"
DOSE = "/dose"
DOSE_EVENT = "/dose/event"
DOSE_INBOX = "/dose/inbox"
DOSE_CASE = "/dose/case"
DOSE_PROTOCOLS = "/dose/protocols"
DOSE_DICTIONARY = "/dose/dictionary"
DOSE_LEVELS = "/dose/levels"
DOSE_RULES = "/dose/rules"
DOSE_FLUOROSCOPY = "/dose/fluoroscopy"
DOSE_MODALITIES = "/dose/modalities"
DOSE_PATIENTS = "/dose/patients"
DOSE_FIND_PATIENT = "/dose/patients/find"
DOSE_SIGN_OFF = "/dose/sign-off"
DOSE_REVIEW = "/dose/review"
DOSE_SIGN = "/dose/sign"
DOSE_PACK = "/dose/pack"
DATA = "/data"
QUALITY = "/data/quality"
QUALITY_DEVICES = "/data/scanners"
QUALITY_EXAMS = "/data/exams"
PROCEDURES = "/data/procedures"
HOURS = "/data/hours"
DECISIONS = "/data/decisions"
DECIDE = "/decide/"
REVOKE = "/revoke"
PUBLISH = "/publish"
EFFECT = "/publish/effect"
KEEP_VIEW = "/views/keep"
FORGET_VIEW = "/views/forget"
EXAMS = "/exams"
EXAM = "/exam"
EXPORT = "/export/"


def page(path: str, filters: Filters | None = None, **more: str) -> str:
    """A page with these filters; `more` is what the page reads besides."""
    return with_query(path, filters.to_query() if filters else "", **more)


def with_query(path: str, query: str, **more: str) -> str:
    """A page with a query as it stands in the address, and more."""
    text = "&".join(part for part in (query, urlencode(more, safe=",")) if part)
    return f"{path}?{text}" if text else path


def exams(filters: Filters, **more: str) -> str:
    """The exams behind what the filters keep."""
    return page(EXAMS, filters, **more)


def exam(exam_key: int) -> str:
    """One exam in full."""
    return f"{EXAM}?exam={exam_key}"


def dose_event(event_key: int) -> str:
    """One irradiation event in full."""
    return f"{DOSE_EVENT}?event={event_key}"


def dose_case(alert: int, query: str = "") -> str:
    """The case that an alert belongs to."""
    return with_query(DOSE_CASE, query, alert=str(alert))


def export(section: str, query: str) -> str:
    """The table of a chart as a CSV file."""
    return with_query(f"{EXPORT}{quote(section)}.csv", query)


def icon(name: str) -> str:
    """An icon of the assets."""
    return f"/assets/icons/{name}.svg"
