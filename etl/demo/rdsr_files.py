"""Dose reports as X-Ray Radiation Dose SR objects: TID 10011 for CT, TID 10001 for projection and mammography (PS3.16)."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from pydicom.dataset import Dataset

from etl.demo import dose_items as items
from etl.demo.dicom_files import coded, header, set_day_and_time, stamp, written
from etl.demo.dose_rows import KIND_ITEMS, SOURCE_OF_DOSE, TEMPLATES, report_totals, text_of
from etl.demo.imaging import age_years, offset_text
from etl.demo.network import SITES

DOSE_SR = "1.2.840.10008.5.1.4.1.1.88.67"
PROCEDURES = {
    "ct": items.Coded("77477000", "SCT", "Computed Tomography X-Ray"),
    "projection": items.Coded("113704", "DCM", "Projection X-Ray"),
    "mammography": items.Coded("71651007", "SCT", "Mammography"),
}

Row = dict[str, Any]


def _dcm(value: str, meaning: str) -> items.Coded:
    return items.Coded(value, "DCM", meaning)


def write_reports(stated: pl.DataFrame, folder: Path) -> int:
    """Writes one file a report; `stated` has the exposures of the reports to write. Returns how many."""
    frame = stated.with_columns(
        age=age_years("exam_started"), offset=offset_text("exam_started", [s.zone_name for s in SITES])
    )
    totals = {row["report"]: row for row in report_totals(stated).iter_rows(named=True)}
    for (report,), rows in frame.group_by("report", maintain_order=True):
        events = rows.to_dicts()
        place = folder / events[0]["station"]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{events[0]['exam']}_dose.dcm").write_bytes(written(dose_report(events, totals[report])))
    return len(totals)


def dose_report(events: list[Row], totals: Row) -> Dataset:
    """One dose report of one study."""
    first = events[0]
    data = header(first, DOSE_SR, first["object_uid"], "SR")
    set_day_and_time(data, "Study", stamp(first, first["exam_started"]))
    set_day_and_time(data, "Series", stamp(first, first["object_at"]))
    set_day_and_time(data, "Content", stamp(first, first["object_at"]))
    data.SeriesInstanceUID, data.SeriesNumber, data.InstanceNumber = first["report_series_uid"], 99, 1
    data.SeriesDescription, data.CompletionFlag, data.VerificationFlag = "Dose Report", "COMPLETE", "UNVERIFIED"
    data.ReferencedPerformedProcedureStepSequence, data.PerformedProcedureCodeSequence = [], []
    data.ValueType, data.ContinuityOfContent = "CONTAINER", "SEPARATE"
    data.ConceptNameCodeSequence = [coded(_dcm("113701", "X-Ray Radiation Dose Report"))]
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", TEMPLATES[first["kind"]]
    data.ContentTemplateSequence = [template]
    data.ContentSequence = _content(events, totals)
    return data


def _content(events: list[Row], totals: Row) -> list[Dataset]:
    """The items below the root."""
    first = events[0]
    kind = first["kind"]
    intent = code_item(
        items.Coded("363703001", "SCT", "Has Intent"),
        items.Coded("261004008", "SCT", "Diagnostic Intent"),
        "HAS CONCEPT MOD",
    )
    study = uid_item(_dcm("110180", "Study Instance UID"), first["study_uid"], "HAS PROPERTIES")
    found = [
        code_item(_dcm("121058", "Procedure reported"), PROCEDURES[kind], "HAS CONCEPT MOD", intent),
        code_item(_dcm("121005", "Observer Type"), _dcm("121007", "Device"), "HAS OBS CONTEXT"),
        uid_item(_dcm("121012", "Device Observer UID"), f"2.25.{int(first['serial'])}", "HAS OBS CONTEXT"),
    ]
    found += _availability() if kind != "ct" else []
    found += [
        time_item(_dcm("113809", "Start of X-Ray Irradiation"), stamp(first, first["exam_started"]), "HAS OBS CONTEXT"),
        time_item(_dcm("113810", "End of X-Ray Irradiation"), stamp(first, first["exam_ended"]), "HAS OBS CONTEXT"),
    ]
    found += [
        code_item(_dcm("113705", "Scope of Accumulation"), _dcm("113014", "Study"), "HAS OBS CONTEXT", study),
        _accumulated(kind, totals),
    ]
    return [
        *found,
        *(_event(row) for row in events),
        code_item(_dcm("113854", "Source of Dose Information"), SOURCE_OF_DOSE),
    ]


def _availability() -> list[Dataset]:
    """TID 10001 rows 8 to 10: which groups of figures the report has."""
    yes = items.Coded("373066001", "SCT", "Yes")
    concepts = (
        ("113945", "X-Ray Detector Data Available"),
        ("113943", "X-Ray Source Data Available"),
        ("113944", "X-Ray Mechanical Data Available"),
    )
    return [code_item(_dcm(*concept), yes, "CONTAINS") for concept in concepts]


def _accumulated(kind: str, totals: Row) -> Dataset:
    """TID 10012 for CT, TID 10002 with 10004 or 10005 otherwise."""
    if kind == "ct":
        return container(
            _dcm("113811", "CT Accumulated Dose Data"), [_figure(f, totals[f.column]) for f in items.CT_TOTALS]
        )
    found = [code_item(items.SINGLE_PLANE.concept, items.CODES["single"], "HAS CONCEPT MOD")]
    if kind == "projection":
        found += [_figure(f, totals[f.column]) for f in items.XRAY_TOTALS if totals[f.column] is not None]
    else:
        side = items.Coded("272741003", "SCT", "Laterality")
        for column, _, breast in items.BREASTS:
            if totals[column] is not None:
                found.append(_figure(items.BREAST_TOTAL, totals[column], code_item(side, breast, "HAS CONCEPT MOD")))
    return container(_dcm("113702", "Accumulated X-Ray Dose Data"), found)


CONTAINERS = {
    "113822": _dcm("113822", "CT Acquisition Parameters"),
    "113831": _dcm("113831", "CT X-Ray Source Parameters"),
    "113829": _dcm("113829", "CT Dose"),
}


def _event(row: Row) -> Dataset:
    """TID 10013 or TID 10003: one event with its figures, each below its container."""
    is_ct = row["kind"] == "ct"
    root = container(_dcm("113819", "CT Acquisition") if is_ct else _dcm("113706", "Irradiation Event X-Ray Data"), [])
    places: dict[tuple[str, ...], Dataset] = {(): root}
    for item in KIND_ITEMS[row["kind"]]:
        value = row.get(item.column)
        if value is None:
            continue
        above = () if isinstance(item, items.Label) else item.above
        made = _item(item, value)
        _place(places, above).ContentSequence.append(made)
        if item.column in {"anatomy", "ssde_stated_mgy"}:  # others stand below them
            made.ContentSequence = []
            places[*above, item.concept.value] = made
        if item.column == "acquisition_type" or (item.column == "event_type" and not is_ct):
            root.ContentSequence.append(uid_item(_dcm("113769", "Irradiation Event UID"), row["event_uid"]))
            if not is_ct:
                root.ContentSequence.append(time_item(_dcm("111526", "DateTime Started"), stamp(row, row["at"])))
    return root


def _place(places: dict[tuple[str, ...], Dataset], above: tuple[str, ...]) -> Dataset:
    """The container that a figure stands in, made when first needed."""
    if above not in places:
        made = container(CONTAINERS[above[-1]], [])
        if above[-1] == "113831":
            made.ContentSequence.append(text_item(_dcm("113832", "Identification of the X-Ray Source"), "A"))
        _place(places, above[:-1]).ContentSequence.append(made)
        places[above] = made
    return places[above]


def _item(item: items.Figure | items.Choice | items.Label, value: Any) -> Dataset:
    if isinstance(item, items.Label):
        return text_item(item.concept, value)
    if isinstance(item, items.Choice):
        is_modifier = item.column in ("plane", "laterality")
        return code_item(item.concept, items.CODES[value], "HAS CONCEPT MOD" if is_modifier else "CONTAINS")
    return _figure(item, value)


def _figure(figure: items.Figure, value: int, *below: Dataset) -> Dataset:
    item = _content_item(figure.concept, "NUM", "CONTAINS", *below)
    measured = Dataset()
    measured.NumericValue = text_of(value, figure.decimals)
    measured.MeasurementUnitsCodeSequence = [coded(items.Coded(figure.unit, "UCUM", figure.unit_meaning))]
    item.MeasuredValueSequence = [measured]
    return item


def _content_item(concept: items.Coded, value_type: str, relationship: str, *below: Dataset) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relationship, value_type
    item.ConceptNameCodeSequence = [coded(concept)]
    if below:
        item.ContentSequence = list(below)
    return item


def container(concept: items.Coded, below: list[Dataset]) -> Dataset:
    """A CONTAINER item."""
    item = _content_item(concept, "CONTAINER", "CONTAINS")
    item.ContinuityOfContent, item.ContentSequence = "SEPARATE", below
    return item


def code_item(concept: items.Coded, value: items.Coded, relationship: str = "CONTAINS", *below: Dataset) -> Dataset:
    """A CODE item."""
    item = _content_item(concept, "CODE", relationship, *below)
    item.ConceptCodeSequence = [coded(value)]
    return item


def text_item(concept: items.Coded, value: str) -> Dataset:
    """A TEXT item."""
    item = _content_item(concept, "TEXT", "CONTAINS")
    item.TextValue = value
    return item


def uid_item(concept: items.Coded, value: str, relationship: str = "CONTAINS") -> Dataset:
    """A UIDREF item."""
    item = _content_item(concept, "UIDREF", relationship)
    item.UID = value
    return item


def time_item(concept: items.Coded, at: datetime, relationship: str = "CONTAINS") -> Dataset:
    """A DATETIME item."""
    item = _content_item(concept, "DATETIME", relationship)
    item.DateTime = f"{at:%Y%m%d%H%M%S}"
    return item
