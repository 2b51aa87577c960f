"""One image instance to one row of the landing table `series`; the loader folds them."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from hashlib import sha256

from etl.sources.contract import Row, month_of
from etl.sources.dicom import tags
from etl.sources.dicom.dataset import DataSet
from etl.sources.dicom.exam import Exam, person_columns, required_uid
from etl.sources.dicom.file import DicomFile
from etl.sources.dicom.time import parse_date

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
PROJECTION = ("1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.1.")
"""CR, and the prefix of DX, MG and IO, whose For Presentation image is DERIVED although it is the exposure."""
MAX_FRAMES = 1_000_000


def series_row(file: DicomFile, exam: Exam, sop_class: str) -> Row:
    """The instance as a `series` row.

    Raises:
        UnusableError: the Series or SOP Instance UID is missing.
    """
    data = file.data
    series_uid = required_uid(data, tags.SERIES, "Series Instance UID", "series-uid", exam.flags)
    sop_uid = required_uid(data, tags.SOP_INSTANCE, "SOP Instance UID", "sop-instance-uid", exam.flags)
    clock = exam.clock
    started, ended, times_from = acquisition_times(data, exam)
    study_at = clock.day_and_time(data.text(tags.STUDY_DATE), data.text(tags.STUDY_TIME), "(0008,0030)")
    series_at = clock.day_and_time(data.text(tags.SERIES_DATE), data.text(tags.SERIES_TIME), "(0008,0031)")
    return {
        **exam.columns,
        **person_columns(data, exam),
        "month": month_of(started or series_at or study_at),
        "series_uid": series_uid,
        "sop_class": sop_class,
        "is_acquired": is_acquired(data, sop_class),
        "order_key": f"{started.isoformat(timespec='microseconds') if started else '~'}|{sop_uid}",
        "started_at": started,
        "ended_at": ended,
        "times_from": times_from or None,
        "time_offset": data.text(tags.TIMEZONE) if clock.offset else "site",
        "study_at": study_at,
        "series_at": series_at,
        "step_started_at": clock.day_and_time(
            data.text(tags.STEP_START_DATE), data.text(tags.STEP_START_TIME), "(0040,0245)"
        ),
        "step_ended_at": clock.day_and_time(
            data.text(tags.STEP_END_DATE), data.text(tags.STEP_END_TIME), "(0040,0251)"
        ),
        "protocol": data.text(tags.PROTOCOL) or None,
        "series_text": data.text(tags.SERIES_DESCRIPTION) or None,
        "calibrated_on": _calibrated_on(data, exam),
        "worklist_used": any(
            item.text(tags.STEP_ID) or item.text(tags.REQUESTED_PROCEDURE_ID)
            for item in data.items(tags.REQUEST_ATTRIBUTES)
        ),
        "accessions": exam.accessions,
        "instances": [int.from_bytes(sha256(sop_uid.encode()).digest()[:8], "big", signed=True)],
        "frames": _frames(data, exam.flags),
        "bytes": file.size,
    }


def is_acquired(data: DataSet, sop_class: str) -> bool:
    """Whether the image came from the scanner: ORIGINAL and PRIMARY, a localizer, or a projection's PRIMARY.

    Without an Image Type (CR, NM of old) it counts as acquired, except a secondary capture (PS3.3 C.7.6.1.1.2).
    """
    values = [value.upper() for value in data.texts(tags.IMAGE_TYPE)]
    if not values:
        return not sop_class.startswith(SECONDARY_CAPTURE)
    if "LOCALIZER" in values[2:]:
        return True
    is_projection = sop_class == PROJECTION[0] or sop_class.startswith(PROJECTION[1])
    return values[1:2] == ["PRIMARY"] and (values[0] == "ORIGINAL" or is_projection)


def acquisition_times(data: DataSet, exam: Exam) -> tuple[datetime | None, datetime | None, str]:
    """First and last acquisition of the instance and the tags that gave them.

    Frames of an enhanced object speak for themselves (their top level is often the time of creation); then
    Acquisition DateTime, Acquisition Date and Time, Content Date and Time, and last the series' own.
    """
    if per_frame := data.items(tags.PER_FRAME):
        started, ended = _frame_times(per_frame, exam)
        if started is not None:
            return started, ended, "(0018,9074)"
    started, field = _first_time(data, exam)
    if started is None:
        return None, None, ""
    duration = _duration(data)
    return started, started + duration, f"{field}, (0018,1242)" if duration else field


def _first_time(data: DataSet, exam: Exam) -> tuple[datetime | None, str]:
    """The start of the acquisition by the best element that has one, and that element."""
    clock, text = exam.clock, data.text
    if at := clock.date_time(text(tags.ACQUISITION_DATETIME), "(0008,002A)"):
        return at, "(0008,002A)"
    day = text(tags.ACQUISITION_DATE) or text(tags.CONTENT_DATE) or text(tags.SERIES_DATE) or text(tags.STUDY_DATE)
    pairs = (
        (day, tags.ACQUISITION_TIME),
        (text(tags.CONTENT_DATE), tags.CONTENT_TIME),
        (text(tags.SERIES_DATE), tags.SERIES_TIME),
    )
    for day_text, time_tag in pairs:
        field = f"(0008,{time_tag & 0xFFFF:04X})"
        if at := clock.day_and_time(day_text, text(time_tag), field):
            return at, field
    return None, ""


def _frame_times(frames: list[DataSet], exam: Exam) -> tuple[datetime | None, datetime | None]:
    """First start and last end over (5200,9230) > (0020,9111) > (0018,9074) with (0018,9220) ms."""
    starts, ends = [], []
    for frame in frames:
        for content in frame.items(tags.FRAME_CONTENT):
            at = exam.clock.date_time(content.text(tags.FRAME_ACQUISITION_DATETIME), "(0018,9074)")
            if at is not None:
                milliseconds = content.numbers(tags.FRAME_ACQUISITION_DURATION, "d")
                starts.append(at)
                ends.append(at + _span(milliseconds[0] if milliseconds else 0))
    return min(starts, default=None), max(ends, default=None)


def _span(milliseconds: float) -> timedelta:
    """A duration, or none where it is not within a day."""
    return timedelta(milliseconds=milliseconds) if 0 < milliseconds < 86_400_000 else timedelta(0)


def _duration(data: DataSet) -> timedelta:
    """How long the acquisition took after its start: Actual Frame Duration (0018,1242) in ms.

    NM states it by rotation and phase, times their frames (PS3.3 C.8.4.11, C.8.4.14); detectors run side by side.
    """
    total = _milliseconds(data)
    for sequence, frames in ((tags.ROTATION, tags.FRAMES_IN_ROTATION), (tags.PHASE, tags.FRAMES_IN_PHASE)):
        for item in data.items(sequence):
            count = item.numbers(frames, "H")
            total += _milliseconds(item) * (count[0] if count else 1)
    return _span(total)


def _milliseconds(data: DataSet) -> float:
    text = data.text(tags.FRAME_DURATION)
    return float(text) if text.isdecimal() else 0.0


def _calibrated_on(data: DataSet, exam: Exam) -> date | None:
    """The latest day of Date of Last Calibration (0018,1200)."""
    days = [day for text in data.texts(tags.CALIBRATION_DATE) if (day := parse_date(text))]
    plausible = [day for day in days if 1990 <= day.year <= exam.clock.now.year + 1]
    return max(plausible, default=None)


def _frames(data: DataSet, flags: list[str]) -> int:
    text = data.text(tags.FRAMES)
    if text and not (text.isdecimal() and len(text) < 10 and int(text) <= MAX_FRAMES):
        flags.append("(0028,0008): no number of frames")
        return 1
    return int(text or 1) or 1
