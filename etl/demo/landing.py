"""The history as landing rows: what the readers would give for the files, month by month."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256

import polars as pl

from etl.demo import messages as said
from etl.demo.calendars import calendar_rows
from etl.demo.dose_rows import dose_frames
from etl.demo.fhir import fhir_rows, resources
from etl.demo.history import History
from etl.demo.imaging import LONGEST_ACCESSION
from etl.demo.network import SITE_BY_CODE, SITES
from etl.demo.procedures import PROCEDURES, SCHEME
from etl.demo.series_rows import series, series_frame
from etl.demo.step_rows import step_rows
from etl.demo.worklist import worklist_rows
from etl.lake.schema import EVENT, polars_schema
from state.identity import Identity, IdentityKind, Pseudonymiser

HISTORY = "simulated history"
"""Stands where the file would."""

PSEUDONYMS: dict[str, IdentityKind] = {
    "accession": "order",
    "accession_cut": "order",
    "procedure_request": "order",
    "appointment": "order",
    "visit": "visit",
    "placer": "order",
    "filler": "order",
    "patient": "patient",
    "merged": "patient",
    "referrer": "person",
    "reader": "person",
    "technologist": "person",
}


class _Names:
    """Pseudonyms of whole columns; remembers the originals for the vault."""

    def __init__(self, pseudonymiser: Pseudonymiser) -> None:
        self._pseudonymiser = pseudonymiser
        self.known: dict[tuple[IdentityKind, str], str] = {}

    def of(self, kind: IdentityKind, values: pl.Series) -> pl.Series:
        """Pseudonyms of a column; null where it is blank."""
        fresh = [value for value in values.unique().to_list() if value and (kind, value) not in self.known]
        for value in fresh:
            if made := self._pseudonymiser.pseudonym(kind, value):
                self.known[kind, value] = made
        return pl.Series(
            values.name, [self.known.get((kind, value)) if value else None for value in values.to_list()], dtype=pl.Utf8
        )


def identities(history: History, pseudonymiser: Pseudonymiser) -> list[Identity]:
    """All identifiers of the history beside their pseudonyms, for the vault."""
    people, exams = history.people, history.exams
    used = exams["patient"].unique().sort().to_list()
    originals: list[tuple[IdentityKind, str, str | None]] = [
        ("patient", people.identifier[k], _plain(people.name[k])) for k in used
    ]
    originals += [("patient", number, _plain(people.name[k])) for k in used if (number := people.merged_from[k])]
    numbers = exams.select("accession", "placer", cut=_cut(), request=_request_id())
    originals += [
        ("order", number, None)
        for column in ("accession", "placer", "cut", "request")
        for number in numbers[column].drop_nulls().to_list()
    ]
    originals += [("order", number, None) for number in _appointment_keys(history).unique().sort().to_list()]
    originals += [("order", name, None) for name in _resource_names(history).unique().sort().to_list()]
    originals += [("visit", number, None) for number in exams["visit"].drop_nulls().unique().sort().to_list()]
    originals += [
        ("person", number, None)
        for column in ("referrer", "reader", "technologist")
        for number in exams[column].unique().sort().to_list()
        if number
    ]
    return [
        Identity(kind, made, text, name)
        for kind, text, name in originals
        if (made := pseudonymiser.pseudonym(kind, text))
    ]


def _cut() -> pl.Expr:
    """What DICOM holds of an accession number that is too long for it; null of a shorter one."""
    accession = pl.col("accession")
    return pl.when(accession.str.len_chars() > LONGEST_ACCESSION).then(accession.str.slice(0, LONGEST_ACCESSION))


def _request_id() -> pl.Expr:
    """`messages.request_id` of a column."""
    return pl.concat_str(pl.lit("RP"), pl.col("accession").str.slice(1, 8))


def _appointment_keys(history: History) -> pl.Series:
    """Numbers of appointments in the form of the HL7 reader, which no order number can equal."""
    return history.appointments.select(pl.concat_str(pl.lit("SCH:"), "appointment").alias("key"))["key"]


def _resource_names(history: History) -> pl.Series:
    """Names of FHIR resources, which stand for order numbers."""
    return resources(history).select(pl.concat_str("type", pl.lit("/"), "id").alias("name"))["name"]


def _plain(name: str) -> str:
    """Family and given name as PID-5 gives them to the vault."""
    return "^".join(name.split("^")[:2])


def landing_rows(
    history: History, pseudonymiser: Pseudonymiser, before: datetime | None = None
) -> Iterator[dict[str, pl.DataFrame]]:
    """Landing rows of the history, one chunk a month of the rows' own time; columns of `etl.lake.schema`.

    Only what was sent before a time is given, where one is named: what came later is left to the files.

    `received_at`, `run_id` and `batch_id` are the lake's to fill.
    """
    names = _Names(pseudonymiser)
    images = series(history)
    events, reports = dose_frames(history, images)
    frames = {
        "workflow": pl.concat(
            [
                _hl7(history, names),
                _doors(history, names),
                _charges(history, names),
                _reading_times(history, names),
                _named(step_rows(history), names),
                _named(worklist_rows(history), names),
                _named(fhir_rows(history).with_columns(accession_cut=_cut()), names),
            ],
            how="diagonal_relaxed",
        ),
        "patient": _patients(history, names),
        "calendar": calendar_rows(history),
        "series": _named(series_frame(images), names),
        "irradiation_event": _named(events, names),
        "dose_report": _named(reports, names),
    }
    finished = {
        table: _finished(table, frame if before is None else frame.filter(pl.col("sent_at") < before))
        for table, frame in frames.items()
    }
    months = sorted({month for frame in finished.values() for month in frame["month"].unique()})
    for month in months:
        yield {table: rows for table, frame in finished.items() if len(rows := frame.filter(pl.col("month") == month))}


OWN_TIME = {
    "workflow": "stated_at",
    "patient": "stated_at",
    "calendar": "stated_at",
    "series": "started_at",
    "irradiation_event": "started_at",
    "dose_report": "irradiated_from",
}


def _finished(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with all columns of its table, lineage that stands for the missing file, and in order of time.

    Rows are inputs of their own, but for those with an `input_key`, which came with one another.
    """
    own = pl.col(OWN_TIME[table])
    if "row_key" not in frame.columns:
        frame = frame.with_row_index("row_key")
    keys = [sha256(f"{table}|{key}".encode()).hexdigest() for key in frame["row_key"].to_list()]
    together = frame["input_key"].to_list() if "input_key" in frame.columns else None
    inputs = [sha256(f"{table}|{key}".encode()).hexdigest() for key in together] if together else keys
    frame = frame.with_columns(
        digest=pl.Series(keys, dtype=pl.Utf8),
        input_digest=pl.Series(inputs, dtype=pl.Utf8),
        file=pl.lit(HISTORY),
        position=pl.lit(""),
        month=own.dt.strftime("%Y-%m"),
    )
    schema = polars_schema(table)
    return frame.select(
        [
            (pl.col(name) if name in frame.columns else pl.lit(None)).cast(kind).alias(name)
            for name, kind in schema.items()
        ]
    )


def _named(frame: pl.DataFrame, names: _Names) -> pl.DataFrame:
    """The frame with identifiers replaced; `accessions` is a list of them."""
    made = [names.of(kind, frame[column]) for column, kind in PSEUDONYMS.items() if column in frame.columns]
    frame = frame.with_columns(made)
    if "accessions" in frame.columns:
        lists = [
            sorted({p for a in row if (p := names.known.get(("order", a)))}) for row in frame["accessions"].to_list()
        ]
        frame = frame.with_columns(accessions=pl.Series(lists, dtype=pl.List(pl.Utf8)))
    return frame


def _event(name: pl.Expr, at: pl.Expr, field: pl.Expr) -> pl.Expr:
    """An event of the landing row, or null where it has no name or time."""
    made = pl.struct(name.alias("event"), at.alias("at"), pl.lit("s").alias("precision"), field.alias("field"))
    return pl.when(name.is_not_null() & at.is_not_null()).then(made)


def _listed(*events: pl.Expr) -> pl.Expr:
    """The events that are there as one list."""
    return pl.concat_list([one.cast(EVENT) for one in events]).list.drop_nulls().alias("events")


def _hl7(history: History, names: _Names) -> pl.DataFrame:
    """Orders, appointments and reports as `workflow` rows, as `etl.sources.hl7` gives them."""
    found = (
        said.messages(history)
        .with_columns(sent_at="sent")
        .with_columns(said.as_written(name) for name in ("sent", "occurred", "planned", "performed"))
    )
    kind, trigger = pl.col("message_type").str.slice(0, 3), pl.col("message_type").str.slice(4)
    siu, oru, omi = kind == "SIU", kind == "ORU", kind == "OMI"
    codes, texts = {i: p.code for i, p in enumerate(PROCEDURES)}, {i: p.text for i, p in enumerate(PROCEDURES)}
    stations = {d.index: d.station for d in history.fleet}
    section = pl.col("modality").replace(said.SECTIONS)
    frame = found.with_columns(
        source=pl.when(siu).then(pl.lit("siu")).otherwise(pl.lit("hl7")),
        source_name=source_name(siu, oru),
        stated_at=pl.col("sent"),
        filler=pl.col("accession"),
        accession_cut=pl.when(~siu).then(_cut()),
        procedure_request=pl.when(~siu & ~oru).then(_request_id()),
        appointment=pl.concat_str(pl.lit("SCH:"), "appointment"),
        accession=pl.when(siu).then(None).otherwise(pl.col("accession")),
        patient=pl.col("patient_id"),
        birth_year=pl.col("birth_year"),
        study_uid=pl.when(omi).then(pl.col("study_uid")),
        section=pl.when(~siu).then(section),
        imaging=pl.when(~siu).then(pl.lit(True)),
        modality=pl.when(~siu).then(
            pl.when(section.is_in(["CT", "DX", "MG", "MR", "NM", "PT", "RF", "US", "XA"])).then(section)
        ),
        procedure_code=pl.col("procedure").replace_strict(codes, return_dtype=pl.Utf8),
        procedure_text=pl.col("procedure").replace_strict(texts, return_dtype=pl.Utf8),
        procedure_scheme=pl.lit(SCHEME),
        priority=pl.when(~siu).then(pl.col("priority")),
        reader=pl.when(oru).then(pl.col("reader")),
        technologist=pl.when(oru).then(pl.col("technologist")),
        station=pl.when(siu).then(pl.col("device").replace_strict(stations, default=None, return_dtype=pl.Utf8)),
        text_digest=_digests(found["text"]),
        flags=pl.lit([], dtype=pl.List(pl.Utf8)),
        row_key=pl.col("control_id"),
        payer=pl.when(~siu & ~oru).then(pl.col("payer")),
    )
    frame = frame.with_columns(_hl7_events(trigger))
    return _named(frame.drop("text", "patient_name"), names)


def source_name(siu: pl.Expr, oru: pl.Expr) -> pl.Expr:
    """MSH-3 and MSH-4: scheduling, reporting or order system, and the facility."""
    facility = pl.col("site").replace_strict({site.code: site.facility for site in SITES})
    application = pl.when(siu).then(pl.lit("SCHED")).when(oru).then(pl.lit("REPORT")).otherwise(pl.lit("RIS"))
    return pl.concat_str(application, pl.lit("|"), facility)


def _digests(texts: pl.Series) -> pl.Series:
    """Hashes of the report's only line, as the HL7 reader makes them."""
    unique = {text: sha256(text.encode()).hexdigest() for text in texts.drop_nulls().unique().to_list()}
    return texts.replace_strict(unique, default=None, return_dtype=pl.Utf8)


ORDER_EVENTS = {
    "NW": "order_placed",
    "IP": "exam_started",
    "CM": "exam_completed",
    "OC": "order_cancelled",
    "DC": "exam_discontinued",
    said.IN_ROOM: "patient_in_room",
    said.OUT_ROOM: "patient_left_room",
}
"""Order control or status to the event at ORC-9."""
REPORT_EVENTS = {"P": "report_preliminary", "F": "report_final", "C": "report_corrected", "A": "report_addendum"}
"""Result status to the event at OBR-22."""
APPOINTMENT_EVENTS = {
    "S12": "scheduling_done",
    "S14": "patient_arrived",
    "S15": "order_cancelled",
    "S26": "patient_no_show",
}
"""Trigger of a scheduling message to the event at MSH-7."""


def _hl7_events(trigger: pl.Expr) -> pl.Expr:
    """The times of each kind of message with the field that they stand in, in the order of the reader: two at most."""
    siu, oru = pl.col("message_type").str.starts_with("SIU"), pl.col("message_type") == "ORU^R01"
    control = pl.when(pl.col("order_control") == "SC").then(pl.col("order_status")).otherwise(pl.col("order_control"))
    placed = control.replace_strict(ORDER_EVENTS, default=None, return_dtype=pl.Utf8)
    booked = trigger.replace_strict(APPOINTMENT_EVENTS, default=None, return_dtype=pl.Utf8)
    reported = pl.col("result_status").replace_strict(REPORT_EVENTS, default=None, return_dtype=pl.Utf8)
    first = _event(
        pl.when(oru).then(pl.lit("exam_started")).when(siu).then(booked).otherwise(placed),
        pl.when(oru).then(pl.col("performed")).when(siu).then(pl.col("sent")).otherwise(pl.col("occurred")),
        pl.when(oru).then(pl.lit("OBR-7")).when(siu).then(pl.lit("MSH-7")).otherwise(pl.lit("ORC-9")),
    )
    second = _event(
        pl.when(oru).then(reported).when(siu).then(pl.lit("exam_scheduled_for")),
        pl.when(oru).then(pl.col("occurred")).otherwise(pl.col("planned")),
        pl.when(oru).then(pl.lit("OBR-22")).otherwise(pl.lit("AIS-4")),
    )
    return _listed(first, second)


def _extract_row(frame: pl.DataFrame, name: str, times: tuple[str, ...]) -> pl.DataFrame:
    """Columns that every row of an extract has; its times are wall clock of the site."""
    for site in SITES:
        frame = frame.with_columns(
            pl.when(pl.col("site") == site.code)
            .then(said.through_wall_clock(pl.col(time), site.zone_name))
            .otherwise(pl.col(time))
            .alias(time)
            for time in times
        )
    return frame.with_columns(
        source=pl.lit("extract"),
        source_name=pl.lit(name),
        message_type=pl.lit("extract"),
        imaging=pl.lit(True),
        accession_cut=_cut(),
        flags=pl.lit([], dtype=pl.List(pl.Utf8)),
    )


def _at_column(name: str, column: str, header: str) -> pl.Expr:
    """The event of an extract's column."""
    return _event(pl.lit(name), pl.col(column), pl.lit(header))


def _charges(history: History, names: _Names) -> pl.DataFrame:
    """Charges as `workflow` rows."""
    frame = _extract_row(
        said.charges(history).with_columns(sent_at="posted_at"), "charges", ("posted_at",)
    ).with_columns(
        pl.col("charge_amount").cast(pl.Decimal(18, 4)),
        stated_at=pl.col("posted_at"),
        events=_listed(_at_column("charge_posted", "posted_at", "posted_at")),
        row_key=pl.concat_str(pl.lit("charge"), "exam", "charge_kind"),
    )
    return _named(frame.drop("posted_at"), names)


def _reading_times(history: History, names: _Names) -> pl.DataFrame:
    """The RIS extract as `workflow` rows."""
    frame = _extract_row(
        said.reading_times(history).with_columns(sent_at="final"),
        "ris_times",
        ("arrived", "read_started", "communicated", "final"),
    ).with_columns(
        stated_at=pl.col("final"),
        events=_listed(
            _at_column("patient_arrived", "arrived", "arrived_at"),
            _at_column("read_started", "read_started", "opened_at"),
            _at_column("result_communicated", "communicated", "communicated_at"),
        ),
        row_key=pl.concat_str(pl.lit("times"), "exam"),
    )
    return _named(frame.drop("arrived", "read_started", "communicated", "final"), names)


def _admissions(history: History) -> pl.DataFrame:
    """What `patient` rows and rows of visits have in common."""
    facility = pl.concat_str(
        pl.lit("ADT|"), pl.col("site").replace_strict({code: site.facility for code, site in SITE_BY_CODE.items()})
    )
    frame = said.admissions(history).with_columns(sent_at="sent")
    frame = frame.with_columns(said.as_written(name) for name in ("occurred", "sent", "door"))
    return frame.with_columns(
        source=pl.lit("hl7"),
        source_name=facility,
        patient=pl.col("patient_id"),
        flags=pl.lit([], dtype=pl.List(pl.Utf8)),
        row_key=pl.col("control_id"),
    )


def _patients(history: History, names: _Names) -> pl.DataFrame:
    """ADT as `patient` rows."""
    frame = _admissions(history).with_columns(stated_at="occurred")
    return _named(frame.drop("patient_name"), names)


def _doors(history: History, names: _Names) -> pl.DataFrame:
    """ADT of emergency visits as `workflow` rows: when the patient came through the door."""
    frame = _admissions(history).filter(pl.col("visit").is_not_null())
    arrived = _event(pl.lit("emergency_arrival"), pl.col("door"), pl.lit("PV1-44"))
    return _named(frame.with_columns(stated_at="sent", events=_listed(arrived)).drop("patient_name", "exam"), names)
