"""What is open or missing in a period before it is signed off: alerts, exams without dose, rejects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import and_, func, not_, select

from dashboards._shell import numbers, urls
from dashboards._shell.reading import Reading
from dashboards.review.cases import cases
from warehouse.schema import dim_device, dim_protocol, dim_site, fact_exam, fact_exam_dose

_exam, _dose = fact_exam.c, fact_exam_dose.c


@dataclass(frozen=True)
class Gap:
    """One kind of thing that a signature would cover."""

    words: str
    """With its number: `12 CT exams on CT 2 without dose`."""
    href: str


def gaps_of(reading: Reading, first: date, last: date, site: str) -> list[Gap]:
    """Everything open or missing of a period, most important first."""
    within = reading.over(reading.filters.over(first, last).narrowed(site=(site,) if site else (), modality=()))
    return [*_open_cases(within, first, last), *_without_dose(within), *_suspected(within), *_unmapped(within)]


def _open_cases(reading: Reading, first: date, last: date) -> list[Gap]:
    found = [one for one in cases(reading, first, last) if one.status.is_open]
    waiting = sum(one.status.state == "awaiting_signature" for one in found)
    gaps = []
    if still := len(found) - waiting:
        gaps.append(Gap(f"{_n(still, 'case')} not closed", urls.page(urls.DOSE_INBOX, reading.filters)))
    if waiting:
        gaps.append(
            Gap(
                f"{_n(waiting, 'case')} without a second signature",
                urls.page(urls.DOSE_INBOX, reading.filters, show="awaiting_signature"),
            )
        )
    return gaps


def _without_dose(reading: Reading) -> list[Gap]:
    """Exams that should have a dose and have none, by device."""
    query = (
        select(dim_device.c.device_id, dim_device.c.device_name, _exam.modality, func.count().label("n"))
        .select_from(fact_exam.join(dim_device, _exam.device_key == dim_device.c.device_key))
        .where(
            reading.filters.clauses(fact_exam, reading.scope),
            _exam.is_performed,
            _exam.has_images,
            not_(_exam.has_dose_report),
            _exam.modality.in_(reading.settings.dose.expected_from),
        )
        .group_by(dim_device.c.device_id, dim_device.c.device_name, _exam.modality)
        .order_by(func.count().desc(), dim_device.c.device_id)
    )
    return [
        Gap(
            f"{_n(n, f'{modality} exam')} on {name or device} without dose",
            urls.exams(reading.filters.narrowed(device=(device,))),
        )
        for device, name, modality, n in reading.star.frame(query).iter_rows()
    ]


def _suspected(reading: Reading) -> list[Gap]:
    """Exposures that may be phantoms: nobody said so yet."""
    source = fact_exam_dose.join(fact_exam, and_(_dose.exam_key == _exam.exam_key, _dose.month == _exam.month))
    query = (
        select(func.count())
        .select_from(source)
        .where(reading.filters.clauses(fact_exam_dose, reading.scope), _dose.exposure_class == "suspected")
    )
    n = int(reading.star.frame(query).item())
    words = f"{_n(n, 'exposure')} that may be a phantom: say what {'it is' if n == 1 else 'they are'}"
    return [Gap(words, urls.page(urls.DOSE_SIGN_OFF, reading.filters))] if n else []


def _unmapped(reading: Reading) -> list[Gap]:
    """Protocols of the period without a standard exam."""
    source = (
        fact_exam_dose.join(fact_exam, and_(_dose.exam_key == _exam.exam_key, _dose.month == _exam.month))
        .join(dim_protocol, _dose.protocol_key == dim_protocol.c.protocol_key)
        .join(dim_site, _dose.site_key == dim_site.c.site_key)
    )
    query = (
        select(func.count(dim_protocol.c.protocol_key.distinct()))
        .select_from(source)
        .where(
            reading.filters.clauses(fact_exam_dose, reading.scope),
            dim_protocol.c.mapping_status == "unmapped",
            dim_protocol.c.protocol_key != 0,
        )
    )
    n = int(reading.star.frame(query).item())
    return [Gap(f"{_n(n, 'protocol')} without a standard exam", urls.DOSE_DICTIONARY)] if n else []


def _n(count: int, what: str) -> str:
    return f"{numbers.count(count)} {what}{'' if count == 1 else 's'}"
