"""Exposures and administrations that image headers state, where no dose report is; and Philips' dose screens.

An exposure is identified by its Irradiation Event UID (0008,3010), else by what its images share, so that the For
Processing and For Presentation objects of one exposure are one event.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from etl.sources.contract import Context, Row, month_of
from etl.sources.dicom import tags
from etl.sources.dicom.dataset import DataSet
from etl.sources.dicom.exam import Exam, person_columns
from etl.sources.dicom.file import DicomFile
from etl.sources.dicom.series import SECONDARY_CAPTURE
from etl.sources.dose.dose_codes import decoded, view_of
from etl.sources.dose.figures import Figures, hashed_uid
from etl.sources.dose.sr_content import code_of

HEADER_RANK, SCREEN_RANK = 4, 3

_ACTIVITY_UNITS = {
    "1.2.840.10008.5.1.4.1.1.128": "Bq",
    "1.2.840.10008.5.1.4.1.1.128.1": "Bq",
    "1.2.840.10008.5.1.4.1.1.130": "Bq",
    "1.2.840.10008.5.1.4.1.1.20": "MBq",
}
"""Unit of Radionuclide Total Dose (0018,1074) by SOP class: PET Bq, NM MBq (PS3.3 C.8.9.2, C.8.4.10)."""
_ELSCINT = "ELSCINT1"
"""Private creator of Philips CT."""


class _Tag(NamedTuple):
    """One header element that is a figure."""

    tag: int
    column: str
    unit: str
    binary: str = ""
    """Struct code of an FD or FL element."""


_TECHNIQUE = (
    _Tag(tags.KVP, "kvp", "kV"),
    _Tag(tags.TUBE_CURRENT, "tube_current_ma", "mA"),
    _Tag(tags.EXPOSURE_TIME, "exposure_time_s", "ms"),
    _Tag(tags.EXPOSURE_UAS, "exposure_mas", "uA.s"),
    _Tag(tags.EXPOSURE_MAS, "exposure_mas", "mA.s", "d"),
    _Tag(tags.EXPOSURE, "exposure_mas", "mA.s"),
)
"""Exposure in µAs first: the integer mAs is rounded. 0 is `not known` in all of them (old CR)."""

_PROJECTION = (
    _Tag(tags.DOSE_AREA_PRODUCT, "dap_gycm2", "dGy.cm2"),
    _Tag(tags.EXPOSURE_INDEX, "exposure_index", "1"),
    _Tag(tags.TARGET_EXPOSURE_INDEX, "exposure_index_target", "1"),
    _Tag(tags.DEVIATION_INDEX, "deviation_index", "1"),
    _Tag(tags.FILTER_MINIMUM, "filter_thickness_min_mm", "mm"),
    _Tag(tags.FILTER_MAXIMUM, "filter_thickness_max_mm", "mm"),
    _Tag(tags.SOURCE_TO_DETECTOR, "source_to_detector_mm", "mm"),
)
_MAMMOGRAPHY = (
    _Tag(tags.ORGAN_DOSE, "agd_mgy", "dGy"),
    _Tag(tags.ENTRANCE_DOSE_MGY, "entrance_exposure_mgy", "mGy"),
    _Tag(tags.COMPRESSION_THICKNESS, "compression_thickness_mm", "mm"),
    _Tag(tags.COMPRESSION_FORCE, "compression_force_n", "N"),
)
_CT = (
    _Tag(tags.CTDI_VOL, "ctdivol_mgy", "mGy", "d"),
    _Tag(tags.PITCH, "pitch", "1", "d"),
    _Tag(tags.SINGLE_COLLIMATION, "collimation_single_mm", "mm", "d"),
    _Tag(tags.TOTAL_COLLIMATION, "collimation_total_mm", "mm", "d"),
    _Tag(tags.WATER_EQUIVALENT_DIAMETER, "water_equivalent_diameter_mm", "mm", "d"),
)
_ZERO_IS_UNKNOWN = {column.column for column in _TECHNIQUE}
_DOSES = frozenset(
    ["dap_gycm2", "agd_mgy", "entrance_exposure_mgy", "ctdivol_mgy", "kvp", "exposure_mas", "exposure_index"]
)
"""An image with none of these states no exposure."""

_ACQUISITION_TYPES = {
    "SPIRAL": "116152004", "SEQUENCED": "113804", "CONSTANT_ANGLE": "113805", "STATIONARY": "113806", "FREE": "113807",
}  # fmt: skip
"""(0018,9302) to the code values of CID 10013."""


def header_rows(
    file: DicomFile, exam: Exam, context: Context, sop_class: str, started: datetime | None
) -> dict[str, list[Row]]:
    """Rows of `irradiation_event`, and for a dose screen of `dose_report`, that an image's header gives."""
    data = file.data
    header = _Header(file, exam, context, started)
    if sop_class.startswith(SECONDARY_CAPTURE) and exam.columns["modality"] == "CT" and tags.EXPOSURE_DOSE in data:
        return header.dose_screen()
    if tags.RADIOPHARMACEUTICAL_INFORMATION in data and sop_class in _ACTIVITY_UNITS:
        return header.administrations(_ACTIVITY_UNITS[sop_class])
    reads: dict[str, Callable[[], list[Row]]] = {
        "MG": header.mammography,
        "DX": header.projection,
        "CR": header.projection,
        "PX": header.projection,
        "IO": header.projection,
        "CT": header.ct,
    }
    read = reads.get(str(exam.columns["modality"]))
    rows = read() if read else []
    return {"irradiation_event": rows} if rows else {}


def _texts(data: DataSet, tag: _Tag) -> list[str]:
    if tag.binary:
        return data.number_texts(tag.tag, tag.binary)
    if tag.tag in {tags.FILTER_MINIMUM, tags.FILTER_MAXIMUM}:  # Carestream puts a comma between two filters
        return [text.split(",")[0].strip() for text in data.texts(tag.tag) if text]
    return [text for text in data.texts(tag.tag) if text]


def _is_zero(text: str) -> bool:
    return not text.strip("+-0. ")


class _Header:
    """The header of one image being read for dose."""

    def __init__(self, file: DicomFile, exam: Exam, context: Context, started: datetime | None) -> None:
        self.file, self.data, self.exam, self.context, self.started = file, file.data, exam, context, started
        day, time = self.data.text(tags.CONTENT_DATE), self.data.text(tags.CONTENT_TIME)
        self.object_at = exam.clock.day_and_time(day, time, "(0008,0033)") or started

    def _figures(self, data: DataSet, *groups: tuple[_Tag, ...]) -> Figures:
        """The figures of one header or item; of several elements for one column, the first that says something."""
        figures = Figures(self.context.settings.dose)
        for tag in (tag for group in groups for tag in group):
            texts = _texts(data, tag)
            if not texts:
                continue
            text = texts[0]
            taken = tag.column in figures.numbers or (tag.column in _ZERO_IS_UNKNOWN and _is_zero(text))
            figures.number(
                None if taken else tag.column, text, tag.unit, f"({tag.tag >> 16:04X},{tag.tag & 0xFFFF:04X})"
            )
        return figures

    def _texts_of(self, figures: Figures) -> None:
        """Protocol, region, side, view and beam filter of a projection."""
        data = self.data
        side = (data.text(tags.IMAGE_LATERALITY) or data.text(tags.LATERALITY)).upper()
        code = code_of(data, tags.VIEW_CODE)
        figures.other("acquisition_protocol", data.text(tags.PROTOCOL))
        figures.other("target_region", data.text(tags.BODY_PART))
        figures.other("laterality", side if side in {"L", "R", "B"} else None)
        figures.other("view", data.text(tags.VIEW_POSITION) or view_of(code) or code.meaning)
        figures.other("filter_material", "; ".join(text for text in data.texts(tags.FILTER_MATERIAL) if text))
        figures.other("anode_material", data.text(tags.ANODE))

    def _uid(self, data: DataSet, tag: int, *parts: object) -> tuple[str, bool]:
        """The event UID of the header, else one made of the study and the parts; and whether it was made."""
        stated = data.text(tag)
        return (stated, False) if stated else (hashed_uid(self.exam.study_uid, *(str(part) for part in parts)), True)

    def _row(
        self, kind: str, number: int, uid: tuple[str, bool], figures: Figures, started: datetime | None, **more: object
    ) -> Row:
        columns = figures.row()
        return {
            **self.exam.columns,
            "source": "dicom",
            "input_digest": self.file.digest,
            "position": f"event {number}",
            "month": month_of(started or self.started),
            "object_uid": self.data.text(tags.SOP_INSTANCE),
            "object_class": "header",
            "object_rank": HEADER_RANK,
            "object_at": self.object_at,
            "event_uid": uid[0],
            "event_uid_derived": uid[1],
            "event_kind": kind,
            "event_number": number,
            "started_at": started,
            **columns,
            "stated": figures.stated,
            "flags": figures.flags,
            **more,
        }

    def mammography(self) -> list[Row]:
        """One exposure of a mammography image; entrance dose in dGy (0040,0302) only where the one in mGy is absent."""
        figures = self._figures(self.data, _MAMMOGRAPHY, _PROJECTION, _TECHNIQUE)
        entrance = self.data.text(tags.ENTRANCE_DOSE_DGY)
        if entrance:
            taken = "entrance_exposure_mgy" in figures.numbers or _is_zero(entrance)
            figures.number(None if taken else "entrance_exposure_mgy", entrance, "dGy", "(0040,0302)")
        return self._exposure("mammography", figures)

    def projection(self) -> list[Row]:
        """One exposure of a radiograph."""
        return self._exposure("projection", self._figures(self.data, _PROJECTION, _TECHNIQUE))

    def _exposure(self, kind: str, figures: Figures) -> list[Row]:
        if not _DOSES & figures.numbers.keys():
            return []
        self._texts_of(figures)
        at = self.started or self.data.text(tags.SOP_INSTANCE)
        key = (at, figures.others.get("laterality"), figures.others.get("view"), figures.value("exposure_mas"))
        return [self._row(kind, 1, self._uid(self.data, tags.IRRADIATION_EVENT, *key), figures, self.started)]

    def ct(self) -> list[Row]:
        """CTDIvol of the acquisition that a CT image belongs to; a DLP is not stated and none is made up.

        Without an event UID the acquisition is the study's Acquisition Number, which all reconstructions share.
        """
        figures = self._figures(self.data, _CT, _TECHNIQUE)
        if "ctdivol_mgy" not in figures.numbers:
            return []
        figures.other("ctdi_phantom", decoded("ctdi_phantom", code_of(self.data, tags.CTDI_PHANTOM)))
        figures.other("modulation", self.data.text(tags.MODULATION))
        figures.other("acquisition_protocol", self.data.text(tags.PROTOCOL))
        figures.other("target_region", self.data.text(tags.BODY_PART))
        acquisition = self.data.text(tags.ACQUISITION_NUMBER) or self.data.text(tags.SERIES)
        uid = self._uid(self.data, tags.IRRADIATION_EVENT, "ct", self.exam.device, acquisition)
        return [self._row("ct", 1, uid, figures, self.started)]

    def administrations(self, unit: str) -> dict[str, list[Row]]:
        """Administered activities, in the unit of the SOP class.

        One administration is one patient and start: every image of the exam repeats it.
        """
        rows = []
        for number, item in enumerate(self.data.items(tags.RADIOPHARMACEUTICAL_INFORMATION), start=1):
            elements = (_Tag(tags.TOTAL_DOSE, "activity_mbq", unit), _Tag(tags.HALF_LIFE, "half_life_s", "s"))
            figures = self._figures(item, elements)
            if not figures.stated:
                continue
            self._small_activity(figures)
            agent = code_of(item, tags.RADIOPHARMACEUTICAL_CODE)
            figures.other("radiopharmaceutical", item.text(tags.RADIOPHARMACEUTICAL) or agent.meaning)
            figures.other("radionuclide", code_of(item, tags.RADIONUCLIDE_CODE).meaning)
            started, ended = self._injection(item)
            figures.other("administered_to", ended)
            who = self.exam.columns["patient"] or self.exam.study_uid
            uid = item.text(tags.ADMINISTRATION_EVENT)
            when = started or (self.exam.study_uid, number, figures.value("activity_mbq"))
            made = hashed_uid(str(who), str(when))
            rows.append(self._row("administration", number, (uid or made, not uid), figures, started))
        return {"irradiation_event": rows} if rows else {}

    def _small_activity(self, figures: Figures) -> None:
        """Drops an activity below 0.1 MBq: its unit is not the one of its SOP class."""
        value = figures.value("activity_mbq")
        if value is not None and value < Decimal("0.1"):
            del figures.numbers["activity_mbq"]
            figures.flag("activity_mbq: implausible, below 0.1 MBq")

    def _injection(self, item: DataSet) -> tuple[datetime | None, datetime | None]:
        """Start and stop of the administration: date-times, else times on the day of the series."""
        clock, data = self.exam.clock, self.data
        day = data.text(tags.SERIES_DATE) or data.text(tags.STUDY_DATE)
        started = clock.date_time(item.text(tags.INJECTION_DATETIME), "(0018,1078)")
        ended = clock.date_time(item.text(tags.INJECTION_END_DATETIME), "(0018,1079)")
        return (
            started or clock.day_and_time(day, item.text(tags.INJECTION_TIME), "(0018,1072)"),
            ended or clock.day_and_time(day, item.text(tags.INJECTION_END_TIME), "(0018,1073)"),
        )

    def dose_screen(self) -> dict[str, list[Row]]:
        """Philips CT dose info: one event an item of (0040,030E), its DLP from Philips' private block."""
        rows = []
        screen = {"object_class": "dose_image", "object_rank": SCREEN_RANK}
        for number, item in enumerate(self.data.items(tags.EXPOSURE_DOSE), start=1):
            current = (_Tag(tags.TUBE_CURRENT_UA, "tube_current_ma", "uA", "d"),)
            figures = self._figures(item, _CT, _TECHNIQUE, current, _private_dlp(item, self.data, "dlp_mgycm"))
            figures.other("acquisition_type", _ACQUISITION_TYPES.get(item.text(tags.ACQUISITION_TYPE)))
            figures.other("acquisition_protocol", self.data.text(tags.PROTOCOL))
            parts = (self.exam.device, "screen", number, sorted(figures.row().items()))
            uid = self._uid(item, tags.IRRADIATION_EVENT, *parts)
            rows.append(self._row("ct", number, uid, figures, self.started, **screen))
        return {"irradiation_event": rows, "dose_report": [self._screen_report(len(rows))]} if rows else {}

    def _screen_report(self, events: int) -> Row:
        totals = Figures(self.context.settings.dose)
        for tag in _private_dlp(self.data, self.data, "dlp_total_mgycm"):
            totals = self._figures(self.data, (tag,))
        return {
            **self.exam.columns,
            "source": "dicom",
            "input_digest": self.file.digest,
            "position": "",
            "month": month_of(self.started),
            "object_uid": self.data.text(tags.SOP_INSTANCE),
            "object_class": "dose_image",
            "object_at": self.object_at,
            "template": "",
            "procedure_reported": "ct",
            "dose_source": None,
            "events_found": events,
            **totals.row(),
            "stated": totals.stated,
            **person_columns(self.data, self.exam),
            "flags": totals.flags,
        }


def _private_dlp(data: DataSet, header: DataSet, column: str) -> tuple[_Tag, ...]:
    """The element of Philips' private DLP (00E1,xx21) in mGy·cm; items use the header's block where they name none."""
    tag = data.private(0x00E1, _ELSCINT, 0x21) or header.private(0x00E1, _ELSCINT, 0x21)
    return (_Tag(tag, column, "mGy.cm"),) if tag else ()
