"""Radiation dose, one row an event or an exam, always with its unit.

Which exams and events a figure is of stands here once: the dose pages draw the spread of the same rows.
"""

from __future__ import annotations

from functools import partial

from sqlalchemy import and_, func, select

from warehouse.measures.measure import Measure, over, over_exams, percentile, share
from warehouse.schema import dim_protocol, fact_exam, fact_exam_dose, fact_irradiation_event

_event = fact_irradiation_event.c
_dose = fact_exam_dose.c
_exam = fact_exam.c

IONISING = ("CT", "MG", "XA", "RF")
"""Modalities whose devices are expected to send dose reports."""

_RDSR = "Radiation dose structured reports (TID 10001, 10011); image headers where no report covers the event."

_of_patients = _dose.exposure_class == "patient"
EVENTS_OF_PATIENTS = _event.exam_key.not_in(select(_dose.exam_key).where(_dose.exposure_class != "patient"))
"""Events of all exams but phantoms, tests and exposures in doubt."""
_scanned = and_(EVENTS_OF_PATIENTS, _event.is_localizer.is_(False))

EXAMS_WITH_DLP = and_(_of_patients, _dose.dose_kind == "ct", _dose.dlp_mgycm > 0)
EXAMS_WITH_DAP = and_(_of_patients, _dose.dose_kind == "projection", _dose.headline_value > 0)
EVENTS_WITH_BODY_CTDI = and_(_scanned, _event.ctdivol_mgy > 0, _event.ctdi_phantom == "body32")
EVENTS_WITH_HEAD_CTDI = and_(_scanned, _event.ctdivol_mgy > 0, _event.ctdi_phantom == "head16")
EVENTS_WITH_AGD = and_(_scanned, _event.event_kind == "mammography", _event.agd_mgy > 0)

_KEYS = ("device_key", "protocol_key")
_over_events = partial(over, fact_irradiation_event, keys=_KEYS)
_over_doses = partial(over, fact_exam_dose, keys=_KEYS)

MEASURES = (
    Measure(
        "dose_capture_share",
        "Exams with dose",
        "%",
        "up",
        "CT, mammography, angiography and fluoroscopy exams with a dose report or dose in their headers, divided by all of them.",
        _RDSR,
        "Radiography and ultrasound; exams without images.",
        over_exams(share(_exam.has_dose_report), and_(_exam.is_performed, _exam.modality.in_(IONISING))),
        minimum_n=20,
        decimals=1,
        permission="view_dose",
    ),
    Measure(
        "irradiation_events",
        "Irradiation events",
        "",
        "neither",
        "Number of distinct exposures, each counted once by its event UID.",
        "113769 Irradiation Event UID.",
        "Administrations.",
        _over_events(func.count(), _event.event_kind != "administration"),
        additive=True,
        permission="view_dose",
    ),
    Measure(
        "ctdivol_p50",
        "CTDIvol, median",
        "mGy",
        "down",
        "Median of mean CTDIvol over CT events, 32 cm phantom.",
        f"113830. {_RDSR}",
        "Localizers, phantoms and exposures in doubt, events without CTDIvol, with the 16 cm phantom or an unknown one.",
        _over_events(percentile(0.5, _event.ctdivol_mgy), EVENTS_WITH_BODY_CTDI),
        minimum_n=20,
        decimals=1,
        permission="view_dose",
    ),
    Measure(
        "ctdivol_head_p50",
        "CTDIvol head, median",
        "mGy",
        "down",
        "Median of mean CTDIvol over CT events, 16 cm phantom.",
        f"113830. {_RDSR}",
        "Localizers, phantoms and exposures in doubt, events without CTDIvol, with the 32 cm phantom or an unknown one.",
        _over_events(percentile(0.5, _event.ctdivol_mgy), EVENTS_WITH_HEAD_CTDI),
        minimum_n=20,
        decimals=1,
        permission="view_dose",
    ),
    Measure(
        "dlp_p50",
        "CT dose length product, median",
        "mGy·cm",
        "down",
        "Median over exams of the sum of DLP over their distinct events.",
        f"113838. {_RDSR}",
        "Exams without DLP, phantoms and exposures in doubt.",
        _over_doses(percentile(0.5, _dose.dlp_mgycm), EXAMS_WITH_DLP),
        minimum_n=20,
        permission="view_dose",
    ),
    Measure(
        "dlp_p90",
        "CT dose length product, 9 of 10 exams",
        "mGy·cm",
        "down",
        "90th percentile over exams of the sum of DLP over their distinct events.",
        f"113838. {_RDSR}",
        "Exams without DLP, phantoms and exposures in doubt.",
        _over_doses(percentile(0.9, _dose.dlp_mgycm), EXAMS_WITH_DLP),
        minimum_n=20,
        permission="view_dose",
    ),
    Measure(
        "dap_p50",
        "Dose area product, median",
        "Gy·cm²",
        "down",
        "Median over projection exams of the stated total, or of the sum over events where none is stated.",
        f"113722, 122130. {_RDSR}",
        "Exams without DAP, phantoms and exposures in doubt.",
        _over_doses(percentile(0.5, _dose.headline_value), EXAMS_WITH_DAP),
        minimum_n=20,
        decimals=2,
        permission="view_dose",
    ),
    Measure(
        "agd_p50",
        "Average glandular dose, median",
        "mGy",
        "down",
        "Median over mammography events of the average glandular dose.",
        f"111631; (0040,0316). {_RDSR}",
        "Events of 0 mGy (the breast was not imaged), phantoms and exposures in doubt.",
        _over_events(percentile(0.5, _event.agd_mgy), EVENTS_WITH_AGD),
        minimum_n=20,
        decimals=2,
        permission="view_dose",
    ),
    Measure(
        "ssde_p50",
        "Size-specific dose of CT, median",
        "mGy",
        "down",
        "Median over exams of the greatest SSDE of their events.",
        "113930 as stated; else AAPM reports 204, 220 and 293 from the size that the object states.",
        "Exams without size or phantom, phantoms and exposures in doubt.",
        _over_doses(
            percentile(0.5, _dose.ssde_max_mgy), and_(_dose.dose_kind == "ct", _dose.ssde_max_mgy > 0, _of_patients)
        ),
        minimum_n=20,
        decimals=1,
        permission="view_dose",
    ),
    Measure(
        "air_kerma_p50",
        "Air kerma at the reference point, median",
        "mGy",
        "down",
        "Median over angiography and fluoroscopy exams of the stated total, or of the sum over events where none is stated.",
        f"113725, 113738. {_RDSR}",
        "Exams without it, phantoms and exposures in doubt.",
        _over_doses(percentile(0.5, _dose.rp_exam_mgy), and_(_dose.rp_exam_mgy > 0, _of_patients)),
        minimum_n=30,
        permission="view_dose",
    ),
    Measure(
        "fluoro_minutes_p50",
        "Fluoroscopy time, median",
        "min",
        "down",
        "Median over exams of the fluoroscopy time that their reports state.",
        "113730 Total Fluoro Time.",
        "Exams without it, phantoms and exposures in doubt.",
        _over_doses(percentile(0.5, _dose.fluoro_time_total_s / 60), and_(_dose.fluoro_time_total_s > 0, _of_patients)),
        minimum_n=30,
        decimals=1,
        permission="view_dose",
    ),
    Measure(
        "standard_exam_share",
        "Exams with a standard exam",
        "%",
        "up",
        "Exams with dose whose protocol people mapped to a standard exam, divided by all exams with dose.",
        "Decisions in the protocol dictionary.",
        "Phantoms and exposures in doubt.",
        _over_doses(
            share(
                _dose.protocol_key.in_(
                    select(dim_protocol.c.protocol_key).where(dim_protocol.c.mapping_status == "confirmed")
                )
            ),
            _of_patients,
        ),
        minimum_n=20,
        decimals=1,
        permission="view_dose",
    ),
)
