"""Dose that a performed procedure step states in sum: retired from the standard, still sent (PS3.3-2016 C.4.16)."""

from __future__ import annotations

from etl.sources.contract import Context, Row
from etl.sources.dicom import tags
from etl.sources.dicom.dataset import DataSet
from etl.sources.dose.figures import Figures
from warehouse.dose_columns import TOTAL_COLUMNS

_TOTALS = (
    (tags.DOSE_AREA_PRODUCT, "dap_total_gycm2", "dGy.cm2"),
    (tags.FLUOROSCOPY_SECONDS, "fluoro_time_total_s", "s"),
    (tags.EXPOSURES, "events_stated", "1"),
)
_OWN = {column.name for column in TOTAL_COLUMNS}


def step_dose(data: DataSet, shared: Row, context: Context) -> list[Row]:
    """One `dose_report` row where a step states a dose area product or fluoroscopy time; 0 is not known.

    A change of a step that names neither study nor order gives none: nothing but the step's UID would tie it, and dose
    is tied to exams by study and accession.

    Args:
        shared: columns of the step's `workflow` row.
    """
    if not (shared["study_uid"] or shared["accession"]):
        return []
    figures = Figures(context.settings.dose)
    for tag, column, unit in _TOTALS:
        texts = (
            [data.text(tag).split("\\")[0].strip()] if tag == tags.DOSE_AREA_PRODUCT else data.number_texts(tag, "H")
        )
        text = texts[0] if texts else ""
        if text.strip("+-0. "):
            figures.number(column, text, unit, f"({tag >> 16:04X},{tag & 0xFFFF:04X})")
    columns = {name: value for name, value in figures.row().items() if name in _OWN}
    if not columns.keys() & {"dap_total_gycm2", "fluoro_time_total_s"}:
        return []
    kept = ("source", "source_name", "month", "site", "study_uid", "accession", "patient", "sex", "birth_year", "not_patient", "modality", "procedure_code", "procedure_scheme", "procedure_text")  # fmt: skip
    started = next((one["at"] for one in shared["events"] if one["event"] == "exam_started"), None)
    return [
        {
            **{name: shared.get(name) for name in kept},
            "position": "dose",
            "object_uid": shared["step_uid"],
            "object_class": "mpps",
            "object_at": shared["stated_at"],
            "template": "",
            "procedure_reported": "projection",
            "irradiated_from": started,
            "events_found": 0,
            **columns,
            "stated": figures.stated,
            "flags": figures.flags,
        }
    ]
