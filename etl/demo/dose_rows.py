"""Exposures as landing rows: what the readers give for dose reports and for headers with dose."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import polars as pl

from etl.demo import dose_items as items
from etl.demo.dose import exposures, with_times
from etl.demo.history import History
from etl.demo.imaging import DEPARTMENT, age_years
from etl.demo.uids import uids
from etl.lake.schema import STATED
from warehouse.dose_columns import EVENT_COLUMNS

KIND_ITEMS = {"ct": items.CT_ITEMS, "projection": items.PROJECTION_ITEMS, "mammography": items.MAMMOGRAPHY_ITEMS}
TEMPLATES = {"ct": "10011", "projection": "10001", "mammography": "10001"}
OWN_COLUMNS = {column.name for column in EVENT_COLUMNS}
STATED_TYPE = pl.List(STATED)
EXAM = (
    "exam",
    "sent_at",
    "site",
    "study_uid",
    "accession",
    "sex",
    "birth_year",
    "not_patient",
    "manufacturer",
    "model",
    "serial",
    "station",
    "software",
    "institution",
    "procedure_code",
    "procedure_scheme",
    "procedure_text",
)
SOURCE_OF_DOSE = items.Coded("113856", "DCM", "Automated Data Collection")


def text_of(value: int, decimals: int) -> str:
    """An integer of last digits as the decimal text that stands in the file."""
    return f"{Decimal(value).scaleb(-decimals):f}"


def number_of(value: int, decimals: int, power: int) -> float:
    """The same in our column's unit, exactly as a reader converts the text."""
    return float(Decimal(value).scaleb(power - decimals))


def reports(history: History) -> pl.DataFrame:
    """Exposures that dose reports state, with the report's UID, number within it, and its totals; one report a study and kind."""
    found = with_times(exposures(history).filter(pl.col("carrier") == "report")).sort(
        "exam_started", "study_uid", "exam", "place"
    )
    found = found.with_columns(report=pl.struct("owner", "device", "study", "kind").rank("dense").cast(pl.Int64) - 1)
    count = found["report"].n_unique()
    made = pl.Series(uids(np.random.default_rng([history.seed, 10]), 2 * count), dtype=pl.Utf8)
    found = found.with_columns(
        object_uid=made.gather(found["report"]),
        report_series_uid=made.gather(found["report"] + count),
        event_number=pl.int_range(1, pl.len() + 1).over("report"),
    )
    return found.with_columns(
        pl.col("exam_started").min().over("report"),
        pl.col("exam_ended").max().over("report"),
        pl.col("object_at").max().over("report"),
    )


def headers(history: History, images: pl.DataFrame) -> pl.DataFrame:
    """Exposures that image headers state, each with the instance that carries it: the series in the place of the exposure."""
    found = with_times(exposures(history).filter(pl.col("carrier") == "header"))
    images = images.select("exam", "place", object_uid=pl.col("sop_uids").list.first(), series_started="started")
    return found.with_columns(pl.col("place").cast(images["place"].dtype)).join(
        images, on=["exam", "place"], how="inner", maintain_order="left"
    )


def dose_frames(history: History, images: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Frames of `irradiation_event` and `dose_report`, identifiers still in the clear."""
    stated = reports(history)
    events = pl.concat([_report_events(stated), _header_events(headers(history, images))], how="diagonal_relaxed")
    return events, report_rows(stated)


def _shared(source: str, object_class: str) -> dict[str, pl.Expr]:
    """Columns that rows of dose objects have in common."""
    return {
        "patient": pl.col("patient_id"),
        "source": pl.lit(source),
        "source_name": pl.col("station"),
        "device_department": pl.lit(DEPARTMENT),
        "object_class": pl.lit(object_class),
        "flags": pl.lit([], dtype=pl.List(pl.Utf8)),
    }


def _report_events(stated: pl.DataFrame) -> pl.DataFrame:
    """Events as dose reports state them. TID 10013 has no start of its own: a CT event starts with the report's irradiation."""
    parts = []
    for kind, kind_items in KIND_ITEMS.items():
        mine = stated.filter(pl.col("kind") == kind)
        started = "exam_started" if kind == "ct" else "at"
        frame = mine.select(
            *EXAM,
            "object_uid",
            "object_at",
            "event_uid",
            "event_number",
            event_kind="kind",
            started_at=started,
            object_rank=pl.lit(1),
            event_uid_derived=pl.lit(False),
            row_key=pl.concat_str(pl.lit("rdsr"), "event_uid"),
            modality=pl.lit("SR"),
            **_shared("rdsr", "rdsr"),
        )
        parts.append(frame.with_columns(_columns_of(mine, kind_items)))
    return pl.concat(parts, how="diagonal_relaxed")


class _Stated:
    """Collects every figure and code of many events as written, in the order of the object."""

    def __init__(self, events: int) -> None:
        self._events = events
        self._parts: list[pl.DataFrame] = []

    def _note(
        self, path: str, own: str | None, unit: str | None, texts: list[str | None], numbers: list[float | None]
    ) -> None:
        frame = pl.DataFrame(
            {"event": np.arange(self._events), "text": texts, "value": numbers},
            schema={"event": pl.Int64, "text": pl.Utf8, "value": pl.Float64},
        )
        columns = {
            "item": pl.lit(len(self._parts)),
            "path": pl.lit(path),
            "column": pl.lit(own, dtype=pl.Utf8),
            "unit": pl.lit(unit, dtype=pl.Utf8),
        }
        self._parts.append(frame.filter(pl.col("text").is_not_null()).with_columns(**columns))

    def choice(self, values: list[str | None], path: str, own: str | None) -> None:
        """Notes a coded value of each event that has it."""
        self._note(
            path, own, None, [items.CODES[value].written if value else None for value in values], [None] * self._events
        )

    def code(self, texts: list[str | None], path: str) -> None:
        """Notes a code as written."""
        self._note(path, None, None, texts, [None] * self._events)

    def figure(
        self, values: list[int | None], path: str, own: str | None, unit: str, decimals: int, power: int
    ) -> pl.Series:
        """Notes a figure of each event that has it; the numbers in our unit."""
        made = {
            value: (number_of(value, decimals, power), text_of(value, decimals))
            for value in set(values)
            if value is not None
        }
        numbers = [None if value is None else made[value][0] for value in values]
        self._note(
            path,
            own,
            unit,
            [None if value is None else made[value][1] for value in values],
            numbers if own else [None] * self._events,
        )
        return pl.Series(own or "", numbers, dtype=pl.Float64)

    def lists(self) -> pl.Series:
        """One list an event."""
        notes = (
            pl.concat(self._parts)
            .sort("event", "item")
            .group_by("event", maintain_order=True)
            .agg(stated=pl.struct("path", "column", "text", "unit", "value"))
        )
        every = pl.DataFrame({"event": np.arange(self._events)}, schema={"event": pl.Int64})
        return (
            every.join(notes, on="event", how="left", maintain_order="left")["stated"].fill_null(
                pl.lit([], dtype=STATED_TYPE)
            )
            if self._events
            else pl.Series("stated", [], dtype=STATED_TYPE)
        )


def _columns_of(
    frame: pl.DataFrame, kind_items: tuple[items.Figure | items.Choice | items.Label, ...]
) -> list[pl.Series]:
    """Our columns, and every figure and code as written."""
    columns: list[pl.Series] = []
    stated = _Stated(len(frame))
    for item in kind_items:
        values = frame[item.column].to_list() if item.column in frame.columns else [None] * len(frame)
        own = item.column if item.column in OWN_COLUMNS else None
        if isinstance(item, items.Label):
            columns.append(pl.Series(item.column, values, dtype=pl.Utf8))
            continue
        path = "/".join((*item.above, item.concept.value))
        if isinstance(item, items.Choice):
            stated.choice(values, path, own)
            if own:
                columns.append(pl.Series(own, [items.CODES[v].kept if v else None for v in values], dtype=pl.Utf8))
            continue
        numbers = stated.figure(values, path, own, item.unit, item.decimals, item.power)
        if own:
            columns.append(numbers)
    return [*columns, stated.lists()]


def _header_events(found: pl.DataFrame) -> pl.DataFrame:
    """Events as image headers state them."""
    parts = []
    tables = (
        ("projection", "XR", items.PROJECTION_TAGS),
        ("mammography", "MG", items.MAMMOGRAPHY_TAGS),
        ("administration", "NM", items.NM_TAGS),
        ("administration", "PT", items.PET_TAGS),
    )
    for kind, modality, tags in tables:
        mine = found.filter((pl.col("kind") == kind) & (pl.col("modality") == modality))
        stated = _Stated(len(mine))
        figures = [stated.figure(header_integers(mine, t), t.path, t.column, t.unit, t.decimals, t.power) for t in tags]
        is_injection = kind == "administration"
        frame = mine.select(
            *EXAM,
            "object_uid",
            "event_uid",
            event_kind="kind",
            object_at="series_started",
            started_at="at" if is_injection else "series_started",
            event_number=pl.lit(1),
            object_rank=pl.lit(4),
            event_uid_derived=pl.lit(False),
            row_key=pl.concat_str(pl.lit("header"), "object_uid"),
            modality="dicom_modality",
            body_part="body_part",
            **_shared("dicom", "header"),
            **_header_texts(kind),
        )
        parts.append(frame.with_columns(*figures, stated.lists()))
    return pl.concat(parts, how="diagonal_relaxed")


def _header_texts(kind: str) -> dict[str, pl.Expr]:
    """Texts of the header that a reader keeps with the event."""
    if kind == "administration":
        return {"radiopharmaceutical": pl.col("radiopharmaceutical")}
    texts = {"acquisition_protocol": pl.col("protocol"), "target_region": pl.col("body_part")}
    if kind == "mammography":
        texts |= {"laterality": pl.col("laterality"), "view": pl.col("view")}
    return texts


def header_integers(frame: pl.DataFrame, tag: items.Tag) -> list[int | None]:
    """The figure of a header element as integers of its last digit."""
    return frame[tag.column].to_list() if tag.column in frame.columns else [None] * len(frame)


def report_totals(stated: pl.DataFrame) -> pl.DataFrame:
    """Totals of every report, as integers of the last digit that is written."""
    fluoro = pl.col("event_type") == "fluoroscopy"
    left, right = pl.col("laterality") == "L", pl.col("laterality") == "R"
    is_interventional = pl.col("modality").first().is_in(["RF", "XA"])
    return stated.group_by("report", maintain_order=True).agg(
        pl.col("kind").first().alias("report_kind"),
        events_stated=pl.len().cast(pl.Int64),
        dlp_total_mgycm=pl.col("dlp_mgycm").sum(),
        dap_total_gycm2=pl.col("dap_gycm2").sum(),
        rp_air_kerma_total_mgy=pl.when(is_interventional).then(pl.col("rp_air_kerma_mgy").sum()),
        dap_fluoro_total_gycm2=pl.when(is_interventional).then(pl.col("dap_gycm2").filter(fluoro).sum()),
        fluoro_time_total_s=pl.when(is_interventional).then(pl.col("irradiation_duration_s").filter(fluoro).sum()),
        dap_acquisition_total_gycm2=pl.when(is_interventional).then(pl.col("dap_gycm2").filter(~fluoro).sum()),
        frames_total=pl.when(~is_interventional).then(pl.len().cast(pl.Int64)),
        agd_total_left_mgy=pl.when(left.any()).then(pl.col("agd_mgy").filter(left).sum()),
        agd_total_right_mgy=pl.when(right.any()).then(pl.col("agd_mgy").filter(right).sum()),
    )


def report_rows(stated: pl.DataFrame) -> pl.DataFrame:
    """Rows of `dose_report`."""
    totals = report_totals(stated)
    parts = []
    for kind, template in TEMPLATES.items():
        mine = totals.filter(pl.col("report_kind") == kind)
        one = stated.filter(pl.col("kind") == kind).unique("report", keep="first", maintain_order=True)
        frame = one.select(
            *EXAM,
            "object_uid",
            "object_at",
            "weight_kg",
            "height_m",
            procedure_reported="kind",
            template=pl.lit(template),
            scope=pl.lit("study"),
            dose_source=pl.lit(SOURCE_OF_DOSE.meaning),
            irradiated_from="exam_started",
            irradiated_to="exam_ended",
            age_years=age_years("exam_started"),
            row_key=pl.concat_str(pl.lit("report"), "object_uid"),
            modality=pl.lit("SR"),
            **_shared("rdsr", "rdsr"),
        )
        parts.append(frame.with_columns(*_totals(kind, mine), mine["events_stated"].alias("events_found")))
    return pl.concat(parts, how="diagonal_relaxed")


def _totals(kind: str, mine: pl.DataFrame) -> list[pl.Series]:
    """Columns of the accumulated container, and its figures as written."""
    stated, container = _Stated(len(mine)), "113811" if kind == "ct" else "113702"
    if kind != "ct":
        stated.choice(["single"] * len(mine), f"{container}/{items.SINGLE_PLANE.concept.value}", None)
    if kind != "mammography":
        figures = items.CT_TOTALS if kind == "ct" else items.XRAY_TOTALS
        columns = [
            stated.figure(
                mine[f.column].to_list(), f"{container}/{f.concept.value}", f.column, f.unit, f.decimals, f.power
            )
            for f in figures
        ]
        return [*columns, stated.lists()]
    figure, path = items.BREAST_TOTAL, f"{container}/{items.BREAST_TOTAL.concept.value}"
    columns = []
    for column, _, breast in items.BREASTS:
        values = mine[column].to_list()
        columns.append(stated.figure(values, path, column, figure.unit, figure.decimals, figure.power))
        stated.code([breast.written if value is not None else None for value in values], f"{path}/272741003")
    return [*columns, stated.lists()]
