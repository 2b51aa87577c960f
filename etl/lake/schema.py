"""The landing tables: every row as received, typed, identifiers already replaced by keyed pseudonyms.

A landing row is a statement that one input made. Nothing is corrected here and nothing is ever changed: a later
statement is simply one more row, and `etl/star` decides what holds. Each table is a Delta table, partitioned by `month`,
the month of the row's own time (`0000-00` where it has none).
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from warehouse.dose_columns import EVENT_COLUMNS, TOTAL_COLUMNS, DoseColumn

TIME = pl.Datetime("us", "UTC")

EVENT = pl.Struct({"event": pl.Utf8, "at": TIME, "precision": pl.Utf8, "field": pl.Utf8})
"""A time of an exam's life: event name (`etl.sources.events`), UTC, precision (`us s min h d month year`), field."""

STATED = pl.Struct({"path": pl.Utf8, "column": pl.Utf8, "text": pl.Utf8, "unit": pl.Utf8, "value": pl.Float64})
"""A figure as written: concept codes from the event down (`113822/113830`) or tag, our column, text and unit of the
file, value in the column's unit (null where the unit is unknown or the value implausible)."""


class LandingColumn(NamedTuple):
    """One column of a landing table."""

    name: str
    dtype: pl.DataType | type[pl.DataType]
    doc: str


COMMON: tuple[LandingColumn, ...] = (
    LandingColumn(
        "digest",
        pl.Utf8,
        "Identity of the row: hash of table, input digest and position inside the input; of a series fragment, of its instances' digests.",
    ),
    LandingColumn("input_digest", pl.Utf8, "Hash of the bytes of the input (file, message, table row) that gave it."),
    LandingColumn("source", pl.Utf8, "Kind of source: dicom, rdsr, hl7, extract, …"),
    LandingColumn("source_name", pl.Utf8, "Which one: sending application, extract name, station."),
    LandingColumn("file", pl.Utf8, "File that gave it; archive members as `archive.zip!member`."),
    LandingColumn(
        "position", pl.Utf8, "Where in the file: `message 3, group 1`, `row 17`, `event 2`; empty for the whole."
    ),
    LandingColumn("received_at", TIME, "When it was read, our clock."),
    LandingColumn("run_id", pl.Utf8, "Load run that appended it."),
    LandingColumn("batch_id", pl.Utf8, "Append that brought it; complete only if the ledger lists it."),
    LandingColumn("month", pl.Utf8, "Partition: `YYYY-MM` of the row's own time in UTC, `0000-00` without one."),
    LandingColumn("site", pl.Utf8, "Site code that the input's institution or facility means."),
    LandingColumn("flags", pl.List(pl.Utf8), "Doubts about fields, each `field: reason`."),
)

EXAM_KEYS: tuple[LandingColumn, ...] = (
    LandingColumn("study_uid", pl.Utf8, "Study Instance UID (0020,000D)."),
    LandingColumn("accession", pl.Utf8, "Pseudonym of the accession number."),
    LandingColumn("patient", pl.Utf8, "Pseudonym of the patient identifier."),
    LandingColumn("sex", pl.Utf8, 'F, M or O (0010,0040; PID-8); `""` where the sender deletes it.'),
    LandingColumn("birth_year", pl.Int32, "Year of birth; -1 where the sender deletes it."),
    LandingColumn("not_patient", pl.Utf8, "Which configured phantom, service or test pattern the identifiers matched."),
)

DEVICE: tuple[LandingColumn, ...] = (
    LandingColumn("manufacturer", pl.Utf8, "(0008,0070)"),
    LandingColumn("model", pl.Utf8, "(0008,1090)"),
    LandingColumn("serial", pl.Utf8, "(0018,1000)"),
    LandingColumn("station", pl.Utf8, "(0008,1010)"),
    LandingColumn("software", pl.Utf8, "(0018,1020), values sorted and joined by ` | `."),
    LandingColumn("institution", pl.Utf8, "(0008,0080)"),
    LandingColumn("device_department", pl.Utf8, "(0008,1040)"),
)

EXAM_TEXT: tuple[LandingColumn, ...] = (
    LandingColumn("modality", pl.Utf8, "Modality code (0008,0060) or as the message says."),
    LandingColumn("procedure_code", pl.Utf8, "Local procedure code (OBR-4.1, (0008,1032), (0032,1064))."),
    LandingColumn("procedure_scheme", pl.Utf8, "Coding scheme of the code."),
    LandingColumn("procedure_text", pl.Utf8, "Procedure or study description."),
    LandingColumn("body_part", pl.Utf8, "(0018,0015)"),
)

SERIES: tuple[LandingColumn, ...] = (
    *COMMON,
    *EXAM_KEYS,
    *DEVICE,
    *EXAM_TEXT,
    LandingColumn("series_uid", pl.Utf8, "Series Instance UID (0020,000E)."),
    LandingColumn("sop_class", pl.Utf8, "SOP Class UID of the earliest instance."),
    LandingColumn(
        "is_acquired",
        pl.Boolean,
        "The earliest instance is ORIGINAL and PRIMARY (or a localizer), so its times are the scanner's.",
    ),
    LandingColumn("order_key", pl.Utf8, "Time and SOP UID of the earliest instance: its fragment's texts win."),
    LandingColumn("started_at", TIME, "First acquisition."),
    LandingColumn("ended_at", TIME, "Last acquisition, its own duration included where the header says it."),
    LandingColumn("times_from", pl.Utf8, "Tags that gave the times, as `(0008,002A)`."),
    LandingColumn("time_offset", pl.Utf8, "(0008,0201) or `site` where the site's zone was used."),
    LandingColumn("study_at", TIME, "Study date and time (often the registration, not the start)."),
    LandingColumn("series_at", TIME, "Series date and time."),
    LandingColumn("step_started_at", TIME, "Performed Procedure Step Start (0040,0244), (0040,0245)."),
    LandingColumn("step_ended_at", TIME, "Performed Procedure Step End (0040,0250), (0040,0251)."),
    LandingColumn("protocol", pl.Utf8, "(0018,1030)"),
    LandingColumn("series_text", pl.Utf8, "(0008,103E)"),
    LandingColumn("age_years", pl.Float64, "(0010,1010) or from the birth date."),
    LandingColumn("weight_kg", pl.Float64, "(0010,1030); 0 is no weight."),
    LandingColumn("height_m", pl.Float64, "(0010,1020); centimetres recognised."),
    LandingColumn("calibrated_on", pl.Date, "(0018,1200), latest."),
    LandingColumn("worklist_used", pl.Boolean, "Request Attributes (0040,0275) name a step or procedure."),
    LandingColumn("accessions", pl.List(pl.Utf8), "Pseudonyms of all accessions in (0040,0275) and (0008,0050)."),
    LandingColumn(
        "instances", pl.List(pl.Int64), "64-bit hashes of the SOP Instance UIDs, sorted: counts survive resends."
    ),
    LandingColumn("frames", pl.Int64, "Frames of the fragment's instances."),
    LandingColumn("bytes", pl.Int64, "Size of the fragment's files."),
)
"""`series`: one row a series and batch: the instances of one series that arrived together, folded. Folding is
associative, so that the star is the same however a series was split over files, batches and loads."""

_KIND: dict[str, pl.DataType | type[pl.DataType]] = {
    "number": pl.Float64,
    "count": pl.Int64,
    "text": pl.Utf8,
    "flag": pl.Boolean,
    "time": TIME,
}


def _dose(columns: tuple[DoseColumn, ...]) -> tuple[LandingColumn, ...]:
    return tuple(LandingColumn(c.name, _KIND[c.kind], f"{c.doc} {c.source}") for c in columns)


IRRADIATION_EVENT: tuple[LandingColumn, ...] = (
    *COMMON,
    *EXAM_KEYS,
    *DEVICE,
    *EXAM_TEXT,
    LandingColumn("object_uid", pl.Utf8, "SOP Instance UID of the object that states it."),
    LandingColumn("object_class", pl.Utf8, "rdsr, enhanced_sr, rrdsr, dose_image or header."),
    LandingColumn("object_rank", pl.Int32, "Trust, 1 best: dose report 1, dose screen 3, image header 4."),
    LandingColumn("object_at", TIME, "Content date and time of the object: of two statements the later wins."),
    LandingColumn(
        "event_uid",
        pl.Utf8,
        "Irradiation or administration event UID (113769, 113503, (0008,3010)); derived where absent.",
    ),
    LandingColumn(
        "event_uid_derived", pl.Boolean, "The UID was made from device, time and figures, because the object has none."
    ),
    LandingColumn("event_kind", pl.Utf8, "ct, projection, mammography or administration."),
    LandingColumn("event_number", pl.Int32, "Order in the object, from 1."),
    LandingColumn("started_at", TIME, "Start of the irradiation or administration (111526, 123003, acquisition time)."),
    *_dose(EVENT_COLUMNS),
    LandingColumn(
        "stated", pl.List(STATED), "Every numeric and coded figure as written, those with no column of ours too."
    ),
)
"""`irradiation_event`: one row an exposure or administration as one object states it."""

DOSE_REPORT: tuple[LandingColumn, ...] = (
    *COMMON,
    *EXAM_KEYS,
    *DEVICE,
    *EXAM_TEXT,
    LandingColumn("object_uid", pl.Utf8, "SOP Instance UID."),
    LandingColumn("object_class", pl.Utf8, "rdsr, enhanced_sr, rrdsr, summary_sr, dose_image, mpps."),
    LandingColumn("object_at", TIME, "Content date and time."),
    LandingColumn("template", pl.Utf8, "Template identifier; empty where the object names none."),
    LandingColumn("procedure_reported", pl.Utf8, "ct, projection, mammography or administration (121058)."),
    LandingColumn("scope", pl.Utf8, "Scope of accumulation (113705): study, series, step."),
    LandingColumn("dose_source", pl.Utf8, "Source of dose information (113854), meaning: the trust badge."),
    LandingColumn("irradiated_from", TIME, "Start of X-ray irradiation (113809)."),
    LandingColumn("irradiated_to", TIME, "End of X-ray irradiation (113810)."),
    LandingColumn("events_found", pl.Int32, "Event containers in the object."),
    *_dose(TOTAL_COLUMNS),
    LandingColumn("stated", pl.List(STATED), "Every figure of the accumulated containers as written."),
    LandingColumn("age_years", pl.Float64, "(0010,1010) or from the birth date."),
    LandingColumn("weight_kg", pl.Float64, "(0010,1030); 0 is no weight."),
    LandingColumn("height_m", pl.Float64, "(0010,1020); centimetres recognised."),
)
"""`dose_report`: one row a dose object, with what it states in sum."""

WORKFLOW: tuple[LandingColumn, ...] = (
    *COMMON,
    *EXAM_KEYS,
    *EXAM_TEXT,
    LandingColumn("placer", pl.Utf8, "Pseudonym of the placer order number."),
    LandingColumn("filler", pl.Utf8, "Pseudonym of the filler order number."),
    LandingColumn("visit", pl.Utf8, "Pseudonym of the visit number."),
    LandingColumn(
        "accession_cut",
        pl.Utf8,
        "Pseudonym of the first 16 characters of an accession number that is longer: DICOM (0008,0050) holds no more.",
    ),
    LandingColumn("procedure_request", pl.Utf8, "Pseudonym of the Requested Procedure ID (0040,1001)."),
    LandingColumn("appointment", pl.Utf8, "Pseudonym of the appointment's own number (SCH-1, SCH-2, Appointment.id)."),
    LandingColumn("step_uid", pl.Utf8, "SOP Instance UID of the performed procedure step."),
    LandingColumn("ae_title", pl.Utf8, "Scheduled or performing AE title (0040,0001), (0040,0241)."),
    LandingColumn("protocol", pl.Utf8, "Protocol of the performed step (0018,1030), (0040,0260)."),
    LandingColumn(
        "performed_series", pl.Int32, "Series that the performed step lists (0040,0340); null where it lists none."
    ),
    LandingColumn("message_type", pl.Utf8, "As `ORU^R01`; `extract` for table rows."),
    LandingColumn("stated_at", TIME, "When the sender says it (MSH-7, EVN-2, extract time): the later statement wins."),
    LandingColumn("order_control", pl.Utf8, "ORC-1."),
    LandingColumn("order_status", pl.Utf8, "ORC-5, or the extract's status."),
    LandingColumn("result_status", pl.Utf8, "OBR-25."),
    LandingColumn(
        "imaging", pl.Boolean, "Imaging by section, message type or configuration; null where nothing says so."
    ),
    LandingColumn("section", pl.Utf8, "Diagnostic service section, OBR-24."),
    LandingColumn("priority", pl.Utf8, "As written: S, A, R, STAT, routine, …"),
    LandingColumn("patient_class", pl.Utf8, "As written: E, I, O, …"),
    LandingColumn("department", pl.Utf8, "Ordering department or ward."),
    LandingColumn("payer", pl.Utf8, "Payer or insurance plan."),
    LandingColumn("referrer", pl.Utf8, "Pseudonym of the ordering provider."),
    LandingColumn("reader", pl.Utf8, "Pseudonym of the interpreting provider."),
    LandingColumn("technologist", pl.Utf8, "Pseudonym of the technologist."),
    LandingColumn("station", pl.Utf8, "Scheduled or performing station, room or resource."),
    LandingColumn("reader_group", pl.Utf8, "Section or firm that reads, where the source names it."),
    LandingColumn("scheduled_minutes", pl.Float64, "Booked length of the appointment (SCH-9, AIS-7, minutesDuration)."),
    LandingColumn(
        "reason_code", pl.Utf8, "Why it was cancelled or broken off, as coded: (0040,0281), SCH-6.1, ORC-16.1."
    ),
    LandingColumn("reason_text", pl.Utf8, "The same in words."),
    LandingColumn("standard_code", pl.Utf8, "Code of the procedure in a public scheme, where the source has it."),
    LandingColumn("standard_scheme", pl.Utf8, "That scheme: LN (LOINC), RADLEX, SCT, …"),
    LandingColumn("charge_code", pl.Utf8, "FT1-7 or the extract's charge code."),
    LandingColumn("charge_kind", pl.Utf8, "FT1-6: CG charge, CD or CR reversal."),
    LandingColumn("charge_amount", pl.Decimal(18, 4), "Amount charged, exact."),
    LandingColumn("text_digest", pl.Utf8, "Hash of the report's text, to tell an addendum from a resend."),
    LandingColumn("events", pl.List(EVENT), "Times of the exam's life that the statement gives."),
)
"""`workflow`: one row a statement about one exam: an order group, a result, an appointment, a charge, a table row."""

PATIENT: tuple[LandingColumn, ...] = (
    *COMMON,
    LandingColumn("patient", pl.Utf8, "Pseudonym of the patient; of a merge, of the one that survives."),
    LandingColumn("merged", pl.Utf8, "Pseudonym of the identity that a merge ends (MRG-1); empty otherwise."),
    LandingColumn("undoes", pl.Boolean, "The statement takes the merge or link of the two identities back (A37)."),
    LandingColumn("message_type", pl.Utf8, "As `ADT^A40`."),
    LandingColumn("stated_at", TIME, "EVN-6, EVN-2 or MSH-7."),
    LandingColumn("sex", pl.Utf8, 'F, M or O; `""` where the sender deletes it.'),
    LandingColumn("birth_year", pl.Int32, "Year of birth; -1 where the sender deletes it."),
    LandingColumn("patient_class", pl.Utf8, "PV1-2 as written."),
    LandingColumn("department", pl.Utf8, "PV1-3 point of care."),
    LandingColumn("not_patient", pl.Utf8, "Which configured pattern the identifiers matched."),
)
"""`patient`: one row a statement about a patient (ADT)."""

CALENDAR: tuple[LandingColumn, ...] = (
    *COMMON,
    LandingColumn("calendar", pl.Utf8, "Name of the calendar: a newer statement of it replaces the older whole."),
    LandingColumn("stated_at", TIME, "When the calendar was made; the time of receipt where it does not say."),
    LandingColumn(
        "device", pl.Utf8, "Station, AE title or room that it speaks of; null for a modality or a whole site."
    ),
    LandingColumn("modality", pl.Utf8, "Modality that it speaks of; null for one device or a whole site."),
    LandingColumn("kind", pl.Utf8, "staffed, closed, planned_down or unplanned_down."),
    LandingColumn("starts_local", pl.Datetime("us"), "Start on the wall clock of `time_zone`."),
    LandingColumn("ends_local", pl.Datetime("us"), "End on the wall clock, excluded."),
    LandingColumn("time_zone", pl.Utf8, "IANA zone of the two; null is the site's."),
    LandingColumn("rule", pl.Utf8, "Recurrence as RFC 5545 writes it: RRULE, RDATE and EXDATE lines; null for once."),
    LandingColumn(
        "entry", pl.Utf8, "UID of the entry and its RECURRENCE-ID, so that a moved occurrence replaces its own."
    ),
    LandingColumn("cancelled", pl.Boolean, "STATUS:CANCELLED."),
    LandingColumn("reason", pl.Utf8, "What it is for, in words; names of people are never taken."),
)
"""`calendar`: one row an entry of a calendar: when a device, a modality or a site is staffed, closed or down."""

LANDING: dict[str, tuple[LandingColumn, ...]] = {
    "series": SERIES,
    "irradiation_event": IRRADIATION_EVENT,
    "dose_report": DOSE_REPORT,
    "workflow": WORKFLOW,
    "patient": PATIENT,
    "calendar": CALENDAR,
}
"""All landing tables by name."""


def polars_schema(table: str) -> dict[str, pl.DataType | type[pl.DataType]]:
    """Column names and types of one landing table, in order."""
    return {column.name: column.dtype for column in LANDING[table]}
