"""Every table of the star, once: grain, keys, units, sources and checks. `docs/star-schema.md` is made from this.

Facts are partitioned by `month` (`YYYY-MM`, the month of the exam's local day), so that a load rewrites only the months
that it touches. Keys are 64-bit hashes of natural keys: the same facts give the same keys in any order of arrival, and a
rebuild gives equal rows. Key 0 is the row for unknown in every dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Double, Integer, MetaData, Numeric, Table, Text
from sqlalchemy.types import TypeEngine

from warehouse.dose_columns import EVENT_COLUMNS, TOTAL_COLUMNS, DoseColumn

metadata = MetaData()

TIME = DateTime(timezone=True)
UNKNOWN = 0
"""Key of the row for unknown in every dimension."""

MILESTONES = (
    "ordered",
    "booked",
    "scheduled_for",
    "door",
    "arrived",
    "in_room",
    "started",
    "ended",
    "left_room",
    "read_started",
    "prelim",
    "final",
    "communicated",
    "charged",
    "cancelled",
)
"""Milestones of an exam; each gives `<name>_at`, `<name>_source`, `<name>_confidence`."""


def _column(
    name: str,
    kind: TypeEngine[Any] | type[TypeEngine[Any]],
    doc: str,
    *,
    unit: str | None = None,
    source: str | None = None,
    required: bool = False,
    references: str | None = None,
    values: Sequence[str] | None = None,
    low: float | None = None,
) -> Column[Any]:
    """A column with its meaning; `references`, `values` and `low` are checks that every publication must pass."""
    info = {
        "unit": unit,
        "source": source,
        "references": references,
        "values": tuple(values) if values else None,
        "low": low,
    }
    return Column(name, kind, nullable=not required, doc=doc, comment=doc, info=info)


def _key(name: str, dimension: str, doc: str) -> Column[Any]:
    return _column(name, BigInteger, doc, required=True, references=f"{dimension}.{dimension.removeprefix('dim_')}_key")


def _table(
    name: str,
    grain: str,
    unique: Sequence[str],
    *columns: Column[Any],
    monthly: Literal["exam", "device"] | None = None,
) -> Table:
    """A table of the star: its grain in a sentence and the columns that are unique together.

    `monthly` partitions it by month: `exam` for what is derived exam by exam, `device` for what is derived from all exams
    of a device's days.
    """
    return Table(
        name, metadata, *columns, info={"grain": grain, "unique": tuple(unique), "monthly": monthly}, comment=grain
    )


_DOSE_KIND: dict[str, TypeEngine[Any] | type[TypeEngine[Any]]] = {
    "number": Double,
    "count": BigInteger,
    "text": Text,
    "flag": Boolean,
    "time": TIME,
}


def _dose(columns: tuple[DoseColumn, ...]) -> list[Column[Any]]:
    return [_column(c.name, _DOSE_KIND[c.kind], c.doc, unit=c.unit, source=c.source) for c in columns]


def _month() -> Column[Any]:
    return _column(
        "month", Text, "Partition: month of the exam's local day, `YYYY-MM`; `0000-00` without a time.", required=True
    )


dim_date = _table(
    "dim_date",
    "One row a calendar day.",
    ["date_key"],
    _column("date_key", Integer, "YYYYMMDD; 0 is unknown.", required=True),
    _column("day", Date, "The day."),
    _column("week_starts_on", Date, "Monday of its ISO week."),
    _column("month_starts_on", Date, "First day of its month."),
    _column("quarter", Text, "As `2026-Q4`."),
    _column("year", Integer, "Year."),
    _column("iso_weekday", Integer, "1 Monday to 7 Sunday.", low=1),
    _column("is_weekend", Boolean, "Saturday or Sunday."),
)

dim_time = _table(
    "dim_time",
    "One row an hour of the day.",
    ["time_key"],
    _column("time_key", Integer, "Hour 0 to 23; -1 is unknown.", required=True),
    _column("hour", Integer, "Hour of the local day."),
    _column("shift", Text, "night 0–6, day 7–18, evening 19–23.", values=("night", "day", "evening", "unknown")),
)

dim_site = _table(
    "dim_site",
    "One row a configured site.",
    ["site_key"],
    _column("site_key", BigInteger, "Hash of the code; 0 is unknown.", required=True),
    _column("site_code", Text, "Code from the configuration.", required=True),
    _column("site_name", Text, "Name shown to people.", required=True),
    _column("time_zone", Text, "IANA zone; days and hours of its exams are in it.", required=True),
)

dim_device = _table(
    "dim_device",
    "One row a version of a device: a software upgrade, move or rename is a new version.",
    ["device_key"],
    _column("device_key", BigInteger, "Hash of the version's attributes; 0 is unknown.", required=True),
    _column(
        "device_id",
        Text,
        "Identity of the device over its versions: maker, model and serial, else station.",
        required=True,
    ),
    _column("device_name", Text, "Station name, else model and serial."),
    _column("site_key", BigInteger, "Site.", required=True, references="dim_site.site_key"),
    _column("modality", Text, "Modality of what it acquires."),
    _column("manufacturer", Text, "Maker as written.", source="(0008,0070)"),
    _column("model", Text, "Model.", source="(0008,1090)"),
    _column("serial", Text, "Serial number.", source="(0018,1000)"),
    _column("station", Text, "Station name.", source="(0008,1010)"),
    _column("software", Text, "Software versions, sorted.", source="(0018,1020)"),
    _column("valid_from", TIME, "First seen in this version."),
    _column("last_seen", TIME, "Last seen in this version."),
    _column("valid_to", TIME, "First sight of the device's next version; null for the current one."),
    _column("is_current", Boolean, "The version seen last.", required=True),
)

dim_procedure = _table(
    "dim_procedure",
    "One row a local procedure.",
    ["procedure_key"],
    _column("procedure_key", BigInteger, "Hash of code, scheme and text; 0 is unknown.", required=True),
    _column("procedure_code", Text, "Local code.", source="OBR-4.1"),
    _column("procedure_scheme", Text, "Coding scheme.", source="OBR-4.3"),
    _column("procedure_text", Text, "Description.", source="OBR-4.2; (0008,1030)"),
    _column("modality", Text, "Modality most often used for it."),
    _column("section", Text, "Subspecialty that reads it, by the configuration; null without one."),
    _column("stated_code", Text, "Code of a public scheme that messages give for it.", source="OBR-4.4; code.coding"),
    _column("stated_scheme", Text, "That scheme.", source="OBR-4.6; coding.system"),
    _column("standard_code", Text, "Standard procedure that people mapped it to."),
    _column("standard_scheme", Text, "RADLEX, LN (LOINC) or own."),
    _column("standard_name", Text, "Name of the standard procedure."),
    _column(
        "mapping_status",
        Text,
        "unmapped, confirmed or rejected (it is no exam to map).",
        required=True,
        values=("unmapped", "confirmed", "rejected"),
    ),
)

dim_protocol = _table(
    "dim_protocol",
    "One row a scanner protocol name and modality.",
    ["protocol_key"],
    _column("protocol_key", BigInteger, "Hash of modality and name; 0 is unknown.", required=True),
    _column("protocol_name", Text, "As the scanner wrote it.", source="(0018,1030); 125203"),
    _column("modality", Text, "Modality."),
    _column("standard_code", Text, "Code of the standard exam that people mapped it to."),
    _column("standard_scheme", Text, "RADLEX, LN (LOINC) or own."),
    _column("standard_name", Text, "Name of that standard exam: what dose is compared by."),
    _column(
        "mapping_status",
        Text,
        "unmapped, confirmed or rejected (it is no exam to compare).",
        required=True,
        values=("unmapped", "confirmed", "rejected"),
    ),
)

dim_patient = _table(
    "dim_patient",
    "One row a patient identity that survives its merges.",
    ["patient_key"],
    _column("patient_key", BigInteger, "Hash of the surviving pseudonym; 0 is unknown.", required=True),
    _column("patient_pseudonym", Text, "Keyed pseudonym; the identity vault alone knows whose.", required=True),
    _column("sex", Text, "F, M or O.", source="PID-8; (0010,0040)", values=("F", "M", "O")),
    _column("birth_year", Integer, "Year of birth.", source="PID-7; (0010,0030)"),
    _column("identities", Integer, "Identities merged into it, itself included.", required=True, low=0),
)

dim_provider = _table(
    "dim_provider",
    "One row a person in one role.",
    ["provider_key"],
    _column("provider_key", BigInteger, "Hash of role and pseudonym; 0 is unknown.", required=True),
    _column(
        "provider_role",
        Text,
        "referrer, reader or technologist.",
        required=True,
        values=("referrer", "reader", "technologist", "unknown"),
    ),
    _column("provider_pseudonym", Text, "Keyed pseudonym.", required=True),
)

dim_department = _table(
    "dim_department",
    "One row an ordering department.",
    ["department_key"],
    _column("department_key", BigInteger, "Hash of the name; 0 is unknown.", required=True),
    _column("department_name", Text, "As the messages name it.", source="PV1-3; extract"),
)

dim_payer = _table(
    "dim_payer",
    "One row a payer.",
    ["payer_key"],
    _column("payer_key", BigInteger, "Hash of the name; 0 is unknown.", required=True),
    _column("payer_name", Text, "As the messages name it.", source="IN1-4; FT1-14; extract"),
)

dim_reading_hours = _table(
    "dim_reading_hours",
    "One row a site, weekday and span in which reports are read, from the configuration.",
    ["site_key", "iso_weekday", "opens_minute"],
    _column("site_key", BigInteger, "Site.", required=True, references="dim_site.site_key"),
    _column("iso_weekday", Integer, "1 Monday to 7 Sunday.", required=True, low=1),
    _column("opens_minute", Integer, "Minute of the local day.", unit="min", required=True, low=0),
    _column("closes_minute", Integer, "Minute of the local day, up to 1440.", unit="min", required=True, low=1),
)

dim_turnaround_target = _table(
    "dim_turnaround_target",
    "One row a configured target and combination of what it is for; the one with the greatest number that fits holds.",
    ["target_number", "priority", "patient_class", "modality"],
    _column("target_number", Integer, "Order in the configuration.", required=True, low=1),
    _column("priority", Text, "Priority; empty is any.", required=True),
    _column("patient_class", Text, "Patient class; empty is any.", required=True),
    _column("modality", Text, "Modality; empty is any.", required=True),
    _column("starts_on", Date, "Local day of the exam from which it holds.", required=True),
    _column(
        "target_minutes",
        Double,
        "From the end of the exam to its first final report.",
        unit="min",
        required=True,
        low=0,
    ),
    _column("target_share", Double, "Percent of the exams that shall keep it.", unit="%", required=True, low=0),
)


dim_reference_level = _table(
    "dim_reference_level",
    "One row a reference, action or notification level with its source: shipped ones, and those that a physicist imported.",
    ["level_key"],
    _column("level_key", BigInteger, "Hash of all its other columns.", required=True),
    _column("authority", Text, "Who set it.", required=True),
    _column("year", Integer, "Year of the table.", required=True),
    _column("population", Text, "adult, or the children that it is for, in words.", required=True),
    _column("age_band", Text, "Band of `warehouse/dosimetry/bands.py`; empty is any."),
    _column("weight_band", Text, "Band of `warehouse/dosimetry/bands.py`; empty is any."),
    _column("modality", Text, "CT, XA, RF, XR, MG, NM or PT.", required=True),
    _column("procedure_name", Text, "Examination as the table names it.", required=True),
    _column("indication", Text, "Clinical indication; empty is any."),
    _column("standard_code", Text, "Standard exam that it is compared with; null where none is confirmed."),
    _column(
        "metric",
        Text,
        "ctdivol_mgy (a sequence), dlp_mgycm, dap_gycm2, rp_air_kerma_mgy, agd_mgy, activity_mbq, fluoro_time_s (an exam).",
        required=True,
    ),
    _column("unit", Text, "Unit of the level.", required=True),
    _column("level", Double, "The level.", required=True, low=0),
    _column("percentile", Text, "What it is: 75th of medians, achievable dose, action level."),
    _column("phantom", Text, "head16 or body32 where a CT level states or implies it."),
    _column("source", Text, "Publication and date.", required=True),
    _column("valid_from", Date, "First day on which it holds.", required=True),
    _column("valid_to", Date, "First day on which it holds no longer; null while it does."),
    _column("origin", Text, "shipped or imported.", required=True, values=("shipped", "imported")),
)

dim_dose_coefficient = _table(
    "dim_dose_coefficient",
    "One row a conversion factor from a dose quantity to effective dose, as a physicist imported it.",
    ["quantity", "region", "agent", "phantom", "age_band"],
    _column(
        "quantity",
        Text,
        "dlp_mgycm, dap_gycm2 or activity_mbq.",
        required=True,
        values=("dlp_mgycm", "dap_gycm2", "activity_mbq"),
    ),
    _column("region", Text, "Body region, as `fact_irradiation_event.body_region`; empty is any.", required=True),
    _column("agent", Text, "Radiopharmaceutical, lower case; empty is any.", required=True),
    _column("phantom", Text, "head16 or body32, which the factor presumes; empty where none is meant.", required=True),
    _column("age_band", Text, "Age band that it is for.", required=True),
    _column("factor", Double, "mSv for one unit of the quantity.", unit="mSv", required=True, low=0),
    _column("source", Text, "Publication, table and edition.", required=True),
)

dim_activity_plan = _table(
    "dim_activity_plan",
    "One row a plan of the activity to administer by weight, as a physicist imported it.",
    ["agent", "age_band"],
    _column("agent", Text, "Radiopharmaceutical, lower case.", required=True),
    _column("age_band", Text, "Age band that it is for; empty is every one without a plan of its own.", required=True),
    _column("mbq_per_kg", Double, "Activity for one kilogram.", unit="MBq/kg", required=True, low=0),
    _column("least_mbq", Double, "Least activity, however light the patient.", unit="MBq", low=0),
    _column("most_mbq", Double, "Most activity, however heavy the patient.", unit="MBq", low=0),
    _column("tolerance_percent", Double, "Difference from the plan that is accepted.", unit="%", required=True, low=0),
    _column("source", Text, "Publication, table and edition.", required=True),
)

dim_expected_range = _table(
    "dim_expected_range",
    "One row a range that a physicist set for a protocol; without a row the range comes from history.",
    ["protocol_key", "device_id", "metric"],
    _key("protocol_key", "dim_protocol", "Protocol."),
    _column("device_id", Text, "Device; empty is every one.", required=True),
    _column("metric", Text, "ctdivol_mgy, dlp_mgycm, ssde_mgy, dap_gycm2, rp_air_kerma_mgy or agd_mgy.", required=True),
    _column("low", Double, "Below it an exam is looked at: image quality.", low=0),
    _column("high", Double, "Above it an exam is looked at.", low=0),
    _column("set_by", Text, "Who set it.", required=True),
    _column("set_on", Date, "Day on which it was set.", required=True),
)


def _milestones() -> list[Column[Any]]:
    columns: list[Column[Any]] = []
    for name in MILESTONES:
        words = name.replace("_", " ")
        columns += [
            _column(f"{name}_at", TIME, f"When: {words}.", unit="UTC"),
            _column(f"{name}_source", Text, f"Which kind of source gave {words}."),
            _column(
                f"{name}_confidence",
                Text,
                "exact, coarse (date or hour only), doubtful (impossible order or clock) or probable (matched by a fall-back).",
                values=("exact", "coarse", "doubtful", "probable"),
            ),
        ]
    return columns


fact_exam = _table(
    "fact_exam",
    "One row an exam: an accessioned requested procedure, or a study that came without an order.",
    ["exam_key"],
    _column("exam_key", BigInteger, "Hash of the exam's identity.", required=True),
    _month(),
    _column("exam_id", Text, "Short identity shown to people, safe to say aloud: the key in base 32.", required=True),
    _key("site_key", "dim_site", "Site."),
    _key("device_key", "dim_device", "Device version that acquired it."),
    _key("procedure_key", "dim_procedure", "Procedure."),
    _key("protocol_key", "dim_protocol", "Scanner protocol of its first acquired series."),
    _key("patient_key", "dim_patient", "Patient after merges."),
    _column("referrer_key", BigInteger, "Ordering provider.", required=True, references="dim_provider.provider_key"),
    _column("reader_key", BigInteger, "Interpreting provider.", required=True, references="dim_provider.provider_key"),
    _column("technologist_key", BigInteger, "Technologist.", required=True, references="dim_provider.provider_key"),
    _key("department_key", "dim_department", "Ordering department."),
    _key("payer_key", "dim_payer", "Payer."),
    _column(
        "date_key",
        Integer,
        "Local day of the exam: of its start, else schedule, order or report.",
        required=True,
        references="dim_date.date_key",
    ),
    _column("time_key", Integer, "Local hour of the same time.", required=True, references="dim_time.time_key"),
    _column("local_day", Date, "The same local day as a date."),
    _column("modality", Text, "XR (CR, DX), CT, MR, US, MG, NM, PT, XA, RF, …; OT where nothing says."),
    _column(
        "patient_class", Text, "ED, IP, OP or unknown, at the time of the order.", values=("ED", "IP", "OP", "unknown")
    ),
    _column("priority", Text, "stat, urgent, routine or unknown.", values=("stat", "urgent", "routine", "unknown")),
    _column(
        "state",
        Text,
        "Furthest state reached whose evidence holds.",
        values=(
            "ordered",
            "scheduled",
            "arrived",
            "in_progress",
            "completed",
            "reading",
            "prelim",
            "final",
            "corrected",
            "addended",
            "cancelled",
            "discontinued",
            "no_show",
        ),
        required=True,
    ),
    _column(
        "is_performed",
        Boolean,
        "Images, a dose report, an exam time or a report say that it took place.",
        required=True,
    ),
    _column("has_order", Boolean, "An order or appointment stands behind it.", required=True),
    _column("has_images", Boolean, "Image series of it are known.", required=True),
    _column("has_dose_report", Boolean, "A dose report or an exposure of it is known.", required=True),
    _column("has_charge", Boolean, "A charge that was not reversed is known.", required=True),
    _column("worklist_used", Boolean, "Its series name a worklist entry; null without series."),
    _column("not_patient", Text, "Phantom, service or test pattern that it matched: left out of all measures."),
    _column(
        "match_rule",
        Text,
        "Weakest rule by which its sources were joined: accession, study, filler, placer, request, cut, near or alone.",
        required=True,
    ),
    _column(
        "match_confidence",
        Text,
        "certain (accession or study), strong (filler or placer), probable (a fall-back) or alone.",
        required=True,
        values=("certain", "strong", "probable", "alone"),
    ),
    _column("study_uid", Text, "Study Instance UID; the least of them where several."),
    _column("accession_pseudonym", Text, "Keyed pseudonym of the accession number."),
    *_milestones(),
    _column(
        "machine_started_at",
        TIME,
        "First acquisition by the scanner's clock.",
        unit="UTC",
        source="(0008,002A) and fall-backs",
    ),
    _column("machine_ended_at", TIME, "Last acquisition by the scanner's clock.", unit="UTC"),
    _column(
        "machine_minutes",
        Double,
        "Union of its acquired series' intervals; gaps of up to 30 min belong to it.",
        unit="min",
        low=0,
    ),
    _column(
        "clock_offset_s",
        Double,
        "What was added to the scanner's times to give its start, end and room times; null where the clock was taken as right.",
        unit="s",
    ),
    _column(
        "room_started_at",
        TIME,
        "From when the room was taken: patient in the room, else start of the exam.",
        unit="UTC",
    ),
    _column(
        "room_ended_at",
        TIME,
        "Until when the room was taken: patient left it, else end of acquisition and the configured patient change.",
        unit="UTC",
    ),
    _column(
        "room_basis",
        Text,
        "measured (both room times stated), modelled (acquisition and the configured patient change).",
        values=("measured", "modelled"),
    ),
    _column(
        "acquisition_key",
        BigInteger,
        "Least exam key of the exams that share its acquisition: machine and room time count once for them.",
    ),
    _column("sharers", Integer, "Exams of the same acquisition, itself included.", low=1),
    _column("slot_at", TIME, "Appointment that held at the end: the last one planned.", unit="UTC"),
    _column("slot_minutes", Double, "Booked length of it.", unit="min", low=0),
    _column("moves", Integer, "How often its appointment was moved.", required=True, low=0),
    _column("reason_code", Text, "Why it was cancelled or broken off, as coded.", source="(0040,0281) CID 9301; SCH-6"),
    _column("reason_text", Text, "The same in words."),
    _column("section", Text, "Subspecialty that reads it, by the configuration."),
    _column("reader_group", Text, "Section or firm that read it, where a source names it."),
    _column("visit_pseudonym", Text, "Keyed pseudonym of the visit."),
    _column("series", Integer, "Series known.", required=True, low=0),
    _column("instances", BigInteger, "Instances known, resends once.", required=True, low=0),
    _column("bytes", BigInteger, "Size of its objects.", unit="byte", required=True, low=0),
    _column("body_part", Text, "Body part as the scanner wrote it.", source="(0018,0015)"),
    _column("age_years", Double, "Patient's age at the exam.", unit="year"),
    _column("sex", Text, "Patient's sex as known now.", values=("F", "M", "O")),
    _column("weight_kg", Double, "Patient's weight.", unit="kg", source="(0010,1030)"),
    _column("height_m", Double, "Patient's height.", unit="m", source="(0010,1020)"),
    _column("charge_amount", Numeric(18, 4), "Charges less reversals, exact.", unit="currency of the source"),
    _column("addenda", Integer, "Addenda and corrections after the first final report.", required=True, low=0),
    _column("flags", Text, "Doubts, joined by `; `: impossible order of times, sources that disagree."),
    monthly="exam",
)

fact_exam_event = _table(
    "fact_exam_event",
    "One row a time that a statement gives for a step of an exam; chosen or passed over.",
    ["exam_key", "event", "digest", "field"],
    _column("exam_key", BigInteger, "Exam.", required=True, references="fact_exam.exam_key"),
    _month(),
    _key("site_key", "dim_site", "Site."),
    _column("event", Text, "Step: order_placed, exam_started, report_final, …", required=True),
    _column("event_at", TIME, "When, UTC.", required=True, unit="UTC"),
    _column("precision", Text, "us, s, min, h, d, month or year as the source wrote it.", required=True),
    _column("is_chosen", Boolean, "It gives the milestone of the exam.", required=True),
    _column("match_rule", Text, "By which rule this statement was joined to the exam."),
    _column("stated_at", TIME, "When the source said it.", unit="UTC"),
    _column(
        "passed_over",
        Text,
        "Why it counts for nothing: wrong worklist entry, or a step closed long after the last image.",
    ),
    _column(
        "stated_event_at",
        TIME,
        "The time as stated, where a scanner's clock was corrected; null otherwise.",
        unit="UTC",
    ),
    _column("source", Text, "Kind of source.", required=True),
    _column("source_name", Text, "Sending application, extract or station."),
    _column("file", Text, "File that gave it."),
    _column("position", Text, "Message, group, row or item in the file."),
    _column("field", Text, "Segment and field, tag or column.", required=True),
    _column(
        "digest", Text, "Landing row that gave it; for image headers the input digest of the instance.", required=True
    ),
    _column("run_id", Text, "Load run that brought it."),
    monthly="exam",
)

fact_appointment = _table(
    "fact_appointment",
    "One row a slot that was booked for an exam: a moved appointment has one row a slot.",
    ["exam_key", "slot_number"],
    _column("exam_key", BigInteger, "Exam.", required=True, references="fact_exam.exam_key"),
    _column("month", Text, "Partition: the exam's own month.", required=True),
    _column(
        "slot_number",
        Integer,
        "1 for the first slot of the exam, in the order of the statements.",
        required=True,
        low=1,
    ),
    _key("site_key", "dim_site", "Site."),
    _key("device_key", "dim_device", "Device that the slot names, else the one that the exam was done on."),
    _key("procedure_key", "dim_procedure", "Procedure."),
    _key("protocol_key", "dim_protocol", "Scanner protocol of the exam."),
    _key("department_key", "dim_department", "Ordering department."),
    _column("date_key", Integer, "Local day of the slot.", required=True, references="dim_date.date_key"),
    _column("time_key", Integer, "Local hour of the slot.", required=True, references="dim_time.time_key"),
    _column("local_day", Date, "Local day of the slot."),
    _column("modality", Text, "Modality."),
    _column("patient_class", Text, "ED, IP, OP or unknown.", values=("ED", "IP", "OP", "unknown")),
    _column("priority", Text, "stat, urgent, routine or unknown.", values=("stat", "urgent", "routine", "unknown")),
    _column("section", Text, "Subspecialty."),
    _column("not_patient", Text, "Phantom, service or test pattern that the exam matched."),
    _column("station", Text, "Station, AE title or room that the slot names."),
    _column("booked_at", TIME, "When this slot was stated first.", unit="UTC"),
    _column("slot_at", TIME, "When it begins.", required=True, unit="UTC"),
    _column("slot_minutes", Double, "Its booked length; null where nothing says.", unit="min", low=0),
    _column(
        "outcome",
        Text,
        "kept, moved, cancelled, late_cancelled (less than the configured hours before), no_show, broken_off or open (still to come, or past and nothing tells).",
        required=True,
        values=("kept", "moved", "cancelled", "late_cancelled", "no_show", "broken_off", "open"),
    ),
    _column("ended_at", TIME, "When it was moved, cancelled or found missed.", unit="UTC"),
    _column("lead_days", Double, "Days from the booking to the slot.", unit="day"),
    _column("arrived_late_minutes", Double, "Arrival less slot of a kept one; negative is early.", unit="min"),
    _column("started_late_minutes", Double, "Start less slot of a kept one; negative is early.", unit="min"),
    _column("reason_code", Text, "Why it fell away, as coded."),
    _column("reason_text", Text, "The same in words."),
    monthly="exam",
)

fact_device_span = _table(
    "fact_device_span",
    "One row a stretch of a device's local day: what it was doing. The rows of a day never overlap and leave no gap in staffed time; outside it only use, closures and downtime are rows.",
    ["device_id", "starts_at"],
    _column("month", Text, "Partition: month of the local day.", required=True),
    _column("device_id", Text, "Device over all its versions.", required=True),
    _key("device_key", "dim_device", "Version current on that day."),
    _key("site_key", "dim_site", "Site of the device."),
    _column("modality", Text, "Modality of the device."),
    _column("date_key", Integer, "Local day.", required=True, references="dim_date.date_key"),
    _column("local_day", Date, "Local day.", required=True),
    _column("starts_at", TIME, "When it begins.", required=True, unit="UTC"),
    _column(
        "start_minute",
        Double,
        "Minute of the local day at which it begins, wall clock: an hour that the clock shows twice has them twice.",
        required=True,
        unit="min",
        low=0,
    ),
    _column(
        "end_minute",
        Double,
        "Minute at which it ends, up to 1440: what runs past midnight goes on as a stretch of the next day.",
        required=True,
        unit="min",
        low=0,
    ),
    _column(
        "minutes", Double, "Its length in real time (summer time counted right).", required=True, unit="min", low=0
    ),
    _column(
        "kind",
        Text,
        "in_use, turnover (gap between exams up to the configured length), idle, planned_down, unplanned_down (recorded) or closed.",
        required=True,
        values=("in_use", "turnover", "idle", "planned_down", "unplanned_down", "closed"),
    ),
    _column("is_staffed", Boolean, "Inside staffed hours; a closure is not staffed.", required=True),
    _column(
        "staffed_basis",
        Text,
        "Where the day's staffed hours come from: calendar, configuration, inferred or none.",
        required=True,
        values=("calendar", "configuration", "inferred", "none"),
    ),
    _column(
        "cause",
        Text,
        "Of lost staffed time: late_start, turnover, no_show, late_cancel, early_end, unfilled, unplanned_down; null where nothing was lost, and of time still to come.",
        values=("late_start", "turnover", "no_show", "late_cancel", "early_end", "unfilled", "unplanned_down"),
    ),
    _column("is_bookable", Boolean, "Idle staffed time long enough to book."),
    _column("scanning_minutes", Double, "Of an in_use span: acquisition in it.", unit="min", low=0),
    _column(
        "overlap_minutes",
        Double,
        "Of an in_use span: time in which two separate acquisitions claim the room.",
        unit="min",
        low=0,
    ),
    _column("exams", Integer, "Exams that take the room first in it: they add up over days.", required=True, low=0),
    _column(
        "exam_key",
        BigInteger,
        "The exam of an in_use span, the least where several; of a gap, the exam before it; of a missed slot, its exam; of time still to come, the exam that it is booked for.",
    ),
    _column("reason", Text, "Words of the calendar for a closure or downtime."),
    monthly="device",
)

fact_device_clock = _table(
    "fact_device_clock",
    "One row a device and local day on which its clock could be compared.",
    ["device_id", "local_day"],
    _column("device_id", Text, "Device over all its versions.", required=True),
    _key("site_key", "dim_site", "Site of the device."),
    _column("modality", Text, "Modality of the device."),
    _column("local_day", Date, "Local day.", required=True),
    _column(
        "offset_s",
        Double,
        "What has to be added to the scanner's times: the device's own median against its kind's.",
        required=True,
        unit="s",
    ),
    _column("spread_s", Double, "Half the interquartile range of its exams that day.", unit="s", low=0),
    _column("exams", Integer, "Exams compared.", required=True, low=1),
    _column("applied_s", Double, "What was added; null where nothing was.", unit="s"),
    _column("rule", Text, "whole_hours or approved.", values=("whole_hours", "approved")),
)

fact_series = _table(
    "fact_series",
    "One row a DICOM series.",
    ["series_key", "exam_key"],
    _column("series_key", BigInteger, "Hash of the Series Instance UID.", required=True),
    _column("exam_key", BigInteger, "Exam.", required=True, references="fact_exam.exam_key"),
    _month(),
    _key("site_key", "dim_site", "Site."),
    _key("device_key", "dim_device", "Device version."),
    _key("protocol_key", "dim_protocol", "Protocol."),
    _column("series_uid", Text, "Series Instance UID.", required=True),
    _column("study_uid", Text, "Study Instance UID."),
    _column("modality", Text, "Modality as written.", source="(0008,0060)"),
    _column("sop_class", Text, "SOP Class UID of its earliest instance."),
    _column("series_text", Text, "Series description.", source="(0008,103E)"),
    _column("is_acquired", Boolean, "Its times are the scanner's.", required=True),
    _column("started_at", TIME, "First acquisition.", unit="UTC"),
    _column("ended_at", TIME, "Last acquisition.", unit="UTC"),
    _column("times_from", Text, "Tags that gave the times."),
    _column("instances", BigInteger, "Distinct instances.", required=True, low=1),
    _column("frames", BigInteger, "Frames.", required=True, low=0),
    _column("bytes", BigInteger, "Size of its files.", unit="byte", required=True, low=0),
    _column("file", Text, "File of its earliest instance."),
    _column("digest", Text, "Input digest of its earliest instance.", required=True),
    monthly="exam",
)

fact_irradiation_event = _table(
    "fact_irradiation_event",
    "One row an exposure or administration, however many objects state it.",
    ["event_key"],
    _column("event_key", BigInteger, "Hash of the event UID.", required=True),
    _column("exam_key", BigInteger, "Exam.", required=True, references="fact_exam.exam_key"),
    _month(),
    _key("site_key", "dim_site", "Site."),
    _key("device_key", "dim_device", "Device version."),
    _key("protocol_key", "dim_protocol", "Protocol."),
    _column(
        "event_uid",
        Text,
        "Irradiation or administration event UID.",
        required=True,
        source="113769; 113503; (0008,3010)",
    ),
    _column("event_uid_derived", Boolean, "The UID was made from device, time and figures.", required=True),
    _column(
        "event_kind",
        Text,
        "ct, projection, mammography or administration.",
        required=True,
        values=("ct", "projection", "mammography", "administration"),
    ),
    _column("event_number", Integer, "Order in its report."),
    _column("started_at", TIME, "Start.", unit="UTC"),
    *_dose(EVENT_COLUMNS),
    _column("is_localizer", Boolean, "CT localizer: constant angle, no figure of an exam's dose.", required=True),
    _column(
        "body_region",
        Text,
        "Region by target region, else protocol or procedure in words: head, neck, chest, abdomen, pelvis, spine, "
        "abdomen and pelvis, chest abdomen pelvis, extremity, breast, whole body; null where nothing says.",
    ),
    _column("size_cm", Double, "Size that the size-specific dose rests on.", unit="cm"),
    _column(
        "size_method",
        Text,
        "Where the size comes from, best first: stated, water equivalent diameter, effective diameter, lateral, ap.",
    ),
    _column("ssde_mgy", Double, "Size-specific dose estimate; null without size or phantom.", unit="mGy"),
    _column("ssde_method", Text, "stated, or the report of the AAPM that gives the factor: 204, 220 or 293."),
    _column(
        "is_estimate",
        Boolean,
        "A dose figure is our estimate: DLP of image headers, without over-ranging.",
        required=True,
    ),
    _column("object_class", Text, "Kind of object the figures come from.", required=True),
    _column("object_uid", Text, "SOP Instance UID of that object."),
    _column("objects", Integer, "Objects that state this event, the one used included.", required=True, low=1),
    _column("is_disputed", Boolean, "Objects state different figures for it; all stand in the lake.", required=True),
    _column("stated", Text, "JSON: every figure as written, `[{path, column, text, unit, value}]`."),
    _column("file", Text, "File that it was read from."),
    _column("digest", Text, "Landing row that it was read from.", required=True),
    _column("flags", Text, "Doubts: implausible or unknown units, joined by `; `."),
    monthly="exam",
)

fact_dose_source = _table(
    "fact_dose_source",
    "One row an event and object that states it: the one whose figures are used, and those passed over.",
    ["event_key", "object_key"],
    _column("event_key", BigInteger, "Event.", required=True, references="fact_irradiation_event.event_key"),
    _column("object_key", BigInteger, "Hash of the object's UID, or of the input where it has none.", required=True),
    _column("exam_key", BigInteger, "Exam.", required=True, references="fact_exam.exam_key"),
    _month(),
    _column("object_uid", Text, "SOP Instance UID; of image headers that of one of the acquisition's images."),
    _column("object_class", Text, "rdsr, enhanced_sr, rrdsr, dose_image, mpps or header.", required=True),
    _column("object_at", TIME, "Content date and time.", unit="UTC"),
    _column("study_uid", Text, "Study that the object names."),
    _column("is_used", Boolean, "The figures of the event come from it.", required=True),
    _column(
        "passed_over",
        Text,
        "Why it was passed over: same figures, an older statement, a dose report is better; null for the one used.",
    ),
    _column("ctdivol_mgy", Double, "CTDIvol as this object states it.", unit="mGy"),
    _column("dlp_mgycm", Double, "DLP as this object states it.", unit="mGy·cm"),
    _column("dap_gycm2", Double, "DAP as this object states it.", unit="Gy·cm²"),
    _column("rp_air_kerma_mgy", Double, "Dose (RP) as this object states it.", unit="mGy"),
    _column("agd_mgy", Double, "AGD as this object states it.", unit="mGy"),
    _column("activity_mbq", Double, "Activity as this object states it.", unit="MBq"),
    _column("file", Text, "File that it was read from."),
    _column("digest", Text, "Landing row.", required=True),
    monthly="exam",
)

fact_exam_dose = _table(
    "fact_exam_dose",
    "One row an exam with dose: sums of its distinct events beside what its reports state.",
    ["exam_key"],
    _column("exam_key", BigInteger, "Exam.", required=True, references="fact_exam.exam_key"),
    _month(),
    _key("site_key", "dim_site", "Site."),
    _key("device_key", "dim_device", "Device version."),
    _key("protocol_key", "dim_protocol", "Protocol of the event with the most dose."),
    _column("dose_kind", Text, "ct, projection, mammography or administration.", required=True),
    _column("events", Integer, "Distinct events.", required=True, low=0),
    _column("acquisitions", Integer, "Its events less localizers.", required=True, low=0),
    _column(
        "repeats", Integer, "Events marked as repeated, or that repeat another of the same view or protocol.", low=0
    ),
    _column(
        "exposure_class",
        Text,
        "patient, phantom (identifiers match a pattern, or a person said so), service, or suspected (a hint, until a "
        "person says): only patient enters figures.",
        required=True,
        values=("patient", "phantom", "service", "suspected"),
    ),
    _column("class_reason", Text, "The pattern, the hint or the person's reason; null for patients."),
    _column("age_years", Double, "Age at the exam: stated, else by year of birth.", unit="a", low=0),
    _column("age_band", Text, "Band of `warehouse/dosimetry/bands.py`; null without an age."),
    _column("weight_kg", Double, "Weight as stated with the exam.", unit="kg", low=0),
    _column("height_m", Double, "Height as stated with the exam.", unit="m", low=0),
    _column("weight_band", Text, "Band of `warehouse/dosimetry/bands.py`; null without a weight."),
    _column("size_cm", Double, "Size of the event with the greatest SSDE.", unit="cm"),
    _column("size_method", Text, "Where that size comes from."),
    _column("ssde_max_mgy", Double, "Greatest SSDE of its events.", unit="mGy"),
    _column("ctdivol_max_mgy", Double, "Greatest CTDIvol of its events, localizers left out.", unit="mGy"),
    _column("dlp_head16_mgycm", Double, "Sum of DLP over events with the 16 cm phantom.", unit="mGy·cm"),
    _column("dlp_body32_mgycm", Double, "Sum of DLP over events with the 32 cm phantom.", unit="mGy·cm"),
    _column("dlp_mgycm", Double, "Sum of DLP over distinct events.", unit="mGy·cm"),
    _column("dap_gycm2", Double, "Sum of DAP over distinct events.", unit="Gy·cm²"),
    _column("rp_air_kerma_mgy", Double, "Sum of Dose (RP) over distinct events.", unit="mGy"),
    _column("agd_left_mgy", Double, "Sum of AGD, left.", unit="mGy"),
    _column("agd_right_mgy", Double, "Sum of AGD, right.", unit="mGy"),
    _column("agd_mgy", Double, "Sum of AGD, both breasts and events without a side.", unit="mGy"),
    _column("activity_mbq", Double, "Sum of administered activity.", unit="MBq"),
    *_dose(TOTAL_COLUMNS),
    _column("dap_exam_gycm2", Double, "DAP of the exam: the stated total, else the sum.", unit="Gy·cm²"),
    _column("rp_exam_mgy", Double, "Dose (RP) of the exam: the stated total, else the sum.", unit="mGy"),
    _column("rp_comparable", Boolean, "The reference point is the interventional one, so that skin-dose rules hold."),
    _column("rp_plane_a_mgy", Double, "Sum of Dose (RP) of plane A, or of the single plane.", unit="mGy"),
    _column("rp_plane_b_mgy", Double, "Sum of Dose (RP) of plane B.", unit="mGy"),
    _column("is_estimate", Boolean, "The headline rests on an estimate from image headers.", required=True),
    _column(
        "headline_value",
        Double,
        "DLP for CT, stated or summed DAP for projection, AGD for mammography, activity for nuclear medicine.",
    ),
    _column("headline_unit", Text, "Unit of the headline."),
    _column("headline_basis", Text, "`sum of events` or `stated total`.", values=("sum of events", "stated total")),
    _column("difference", Double, "Stated total less sum of events, in the headline's unit."),
    _column("reports", Integer, "Dose objects.", required=True, low=0),
    _column("flags", Text, "Doubts: totals that disagree, missing events."),
    monthly="exam",
)

fact_planned_volume = _table(
    "fact_planned_volume",
    "One row a site, modality and local day of an imported plan: the month's exams spread evenly over its days.",
    ["site_key", "modality", "local_day"],
    _column("month", Text, "Month of the day, `YYYY-MM`.", required=True),
    _key("site_key", "dim_site", "Site."),
    _column("modality", Text, "Modality.", required=True),
    _column("date_key", Integer, "Local day.", required=True, references="dim_date.date_key"),
    _column("local_day", Date, "Local day.", required=True),
    _column("planned_exams", Double, "Exams planned for the day: a part of the month's.", required=True, low=0),
)

fact_load_run = _table(
    "fact_load_run",
    "One row a load run and kind of source.",
    ["run_id", "source"],
    _column("run_id", Text, "Load run.", required=True),
    _column("source", Text, "Kind of source.", required=True),
    _column("started_at", TIME, "Start.", required=True),
    _column("finished_at", TIME, "End; null for a run that was killed."),
    _column("offered", BigInteger, "Inputs offered.", required=True, low=0),
    _column("accepted", BigInteger, "Landed.", required=True, low=0),
    _column("duplicate", BigInteger, "Known before.", required=True, low=0),
    _column("rejected", BigInteger, "Kept aside.", required=True, low=0),
    _column("not_applicable", BigInteger, "Recognised, not for this system.", required=True, low=0),
    _column("seconds", Double, "Duration of the whole run.", unit="s", low=0),
    _column("digest", Text, "Digest sum of the rows that it appended."),
    _column("code_version", Text, "Version of the program."),
    _column("newest_event_at", TIME, "Newest time in what it accepted: how fresh the source is.", unit="UTC"),
)

fact_reject = _table(
    "fact_reject",
    "One row an input that could not be used.",
    ["digest"],
    _column("digest", Text, "Hash of the input.", required=True),
    _column("run_id", Text, "Run that saw it last.", required=True),
    _column("seen_at", TIME, "When.", required=True),
    _column("source", Text, "Kind of source.", required=True),
    _column("file", Text, "File.", required=True),
    _column("position", Text, "Message or row in the file."),
    _column("field", Text, "Tag, segment and field, or column."),
    _column("value", Text, "Offending value where it cannot identify anyone."),
    _column("reason", Text, "Stable short code.", required=True),
    _column("message", Text, "What is wrong.", required=True),
    _column("remedy", Text, "What to do.", required=True),
    _column(
        "status",
        Text,
        "open, or resolved when a retry or a corrected input landed.",
        required=True,
        values=("open", "resolved"),
    ),
)

TABLES: dict[str, Table] = dict(metadata.tables)
EXAM_FACTS: tuple[str, ...] = tuple(name for name, table in TABLES.items() if table.info["monthly"] == "exam")
"""Facts derived exam by exam; whatever belongs to an exam lies in the exam's month."""
DEVICE_FACTS: tuple[str, ...] = tuple(name for name, table in TABLES.items() if table.info["monthly"] == "device")
"""Facts derived from all exams of a device's days."""
