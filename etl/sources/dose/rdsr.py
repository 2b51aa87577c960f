"""Dose reports: the events that they hold and the totals that they state.

X-Ray and Radiopharmaceutical Radiation Dose SR (TID 10001, 10011, 10021 and below), GE's Enhanced SR with the same
root concept, and the summary of Siemens C-arms. Concepts are found by code wherever they stand below an event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from etl.sources.contract import Context, Reject, Row, month_of
from etl.sources.dicom import tags
from etl.sources.dicom.exam import Exam, UnusableError, person_columns, required_uid
from etl.sources.dicom.file import DicomFile
from etl.sources.dose import dose_codes
from etl.sources.dose.figures import Figures, decimal_of
from etl.sources.dose.rdsr_event import Event, derived_uid, paths, read_number
from etl.sources.dose.sr_content import NO_CODE, Content

ENHANCED_RANK = 2
"""Trust in a dose report outside the dose SOP classes; in a true one 1."""
TOLERANCE = Decimal("0.005")
"""Relative difference of stated and summed total that rounding explains."""
_SUMS = {"dlp_total_mgycm": "dlp_mgycm", "dap_total_gycm2": "dap_gycm2", "rp_air_kerma_total_mgy": "rp_air_kerma_mgy"}
"""Stated totals and the event column that they sum."""


def report_kind(root: Content) -> str | None:
    """`x-ray`, `radiopharmaceutical` or `summary` by the root concept; None for a report without dose."""
    return dose_codes.ROOTS.get(root.key)


def read_report(
    file: DicomFile, root: Content, exam: Exam, context: Context, object_class: str
) -> dict[str, list[Row]]:
    """Rows of `dose_report` and `irradiation_event` of one dose report.

    Raises:
        UnusableError: the object has no SOP Instance UID or no content.
    """
    data = file.data
    if not root.children:
        message = "(0040,A730) Content Sequence is missing or empty: a dose report without content is cut."
        raise UnusableError(
            Reject("truncated", message, "Send the report again from the device or archive.", "(0040,A730)")
        )
    report = _Report(file, root, exam, context, object_class)
    report.object_uid = required_uid(data, tags.SOP_INSTANCE, "SOP Instance UID", "sop-instance-uid", exam.flags)
    events = report.events()
    return {"dose_report": [report.row(events)], "irradiation_event": [row for row, _ in events]}


class _Report:
    """One dose report being read."""

    object_uid = ""

    def __init__(self, file: DicomFile, root: Content, exam: Exam, context: Context, object_class: str) -> None:
        self.file, self.root, self.exam, self.context = file, root, exam, context
        self.object_class = object_class
        data, clock = file.data, exam.clock
        content_at = clock.day_and_time(data.text(tags.CONTENT_DATE), data.text(tags.CONTENT_TIME), "(0008,0033)")
        self.object_at = content_at or clock.day_and_time(
            data.text(tags.STUDY_DATE), data.text(tags.STUDY_TIME), "(0008,0030)"
        )
        self.irradiated_from = self._time("DCM:113809") or self._time("99SMS_RADSUM:C-206")
        self.irradiated_to = self._time("DCM:113810") or self._time("99SMS_RADSUM:C-208")
        reported = root.child("DCM:121058")
        procedure = dose_codes.PROCEDURES.get(reported.code().key) if reported else None
        self.procedure = "administration" if object_class == "rrdsr" else procedure
        self.phantom = self._phantom_of_total()

    def _time(self, key: str) -> datetime | None:
        item = self.root.child(key)
        return self.exam.clock.date_time(item.text(), key) if item else None

    def _phantom_of_total(self) -> object:
        """Phantom that stands below the accumulated total, where PixelMed writes it."""
        for container in self.root.children:
            if container.key == dose_codes.CT_TOTAL:
                for item in container.walk():
                    if item.key == "DCM:113835":
                        return dose_codes.decoded("ctdi_phantom", item.code())
        return None

    def shared(self) -> Row:
        """Columns that report and events have in common."""
        return {
            **self.exam.columns,
            "source": "rdsr",
            "input_digest": self.file.digest,
            "object_uid": self.object_uid,
            "object_class": self.object_class,
            "object_at": self.object_at,
        }

    def events(self) -> list[tuple[Row, Figures]]:
        """One row an event container, in the order of the object."""
        made: list[tuple[Row, Figures]] = []
        given: Counter[str] = Counter()
        distance: Decimal | None = None
        for item in _containers(self.root):
            event = Event(item, self.context.settings.dose, self.exam.clock)
            if event.kind == "projection":
                distance = event.carry_distance(distance)
                if self.procedure == "mammography" or "agd_mgy" in event.figures.numbers:
                    event.kind = "mammography"
            event.take_phantom(self.phantom)
            made.append((self._event_row(len(made) + 1, event, given), event.figures))
        return made

    def _event_row(self, number: int, event: Event, given: Counter[str]) -> Row:
        """The row of one event.

        TID 10013 has no start of a CT event: the report's own (113809) stands for it.
        """
        figures = event.figures
        columns = figures.row()
        uid = event.uid
        if not uid:
            uid = derived_uid(self.exam.device, self.exam.study_uid, event.started, columns, given)
            figures.flag("event_uid: missing, derived from device, time and figures")
        elif given[uid]:
            figures.flag("event_uid: stands twice in this object")
        given[uid] += 1
        started = event.started or self.irradiated_from
        return {
            **self.shared(),
            "position": f"event {number}",
            "month": month_of(started or self.object_at),
            "object_rank": ENHANCED_RANK if self.object_class == "enhanced_sr" else 1,
            "event_uid": uid,
            "event_uid_derived": not event.uid,
            "event_kind": event.kind,
            "event_number": number,
            "started_at": started,
            **columns,
            "stated": figures.stated,
            "flags": figures.flags,
        }

    def row(self, events: list[tuple[Row, Figures]]) -> Row:
        """The row of the report itself."""
        totals = Figures(self.context.settings.dose)
        columns = self._totals(totals)
        numbers = {name: sum(values, Decimal(0)) for name, values in totals.numbers.items()}
        self._compare(numbers, totals, events)
        scope, dose_source = self.root.child("DCM:113705"), self.root.child("DCM:113854")
        template = self.file.data.items(tags.CONTENT_TEMPLATE)
        return {
            **self.shared(),
            "position": "",
            "month": month_of(self.irradiated_from or self.object_at),
            "template": template[0].text(tags.TEMPLATE) if template else "",
            "procedure_reported": self.procedure,
            "scope": dose_codes.SCOPES.get(scope.code().key) if scope else None,
            "dose_source": (dose_source.code().meaning or None) if dose_source else None,
            "irradiated_from": self.irradiated_from,
            "irradiated_to": self.irradiated_to,
            "events_found": len(events),
            **columns,
            "stated": totals.stated,
            **person_columns(self.file.data, self.exam),
            "flags": totals.flags,
        }

    def _totals(self, totals: Figures) -> Row:
        """Stated totals, planes added; a total whose every plane is empty is null."""
        if self.object_class == "summary_sr":
            for item, path in paths(self.root, ""):
                if item.value_type == "NUM":
                    read_number(item, path, dose_codes.SUMMARY_COLUMNS.get(item.key), totals)
        for container in self.root.children:
            if container.key not in {dose_codes.CT_TOTAL, dose_codes.XRAY_TOTAL}:
                continue
            for item, path in paths(container, container.concept.value):
                if item.value_type == "NUM":
                    read_number(item, path, _total_column(item), totals)
                elif item.value_type == "CODE" and (code := item.code()) is not NO_CODE:
                    totals.code(None, None, code.written, path)
        return {name: float(sum(values, Decimal(0))) for name, values in totals.numbers.items()}

    def _compare(self, numbers: dict[str, Decimal], totals: Figures, events: list[tuple[Row, Figures]]) -> None:
        """Flags where the events do not make up what the report states: a lost event, a wrong unit, vendor rounding."""
        stated_events = numbers.get("events_stated")
        if stated_events is not None and stated_events != len(events):
            totals.flag(f"events_stated: {stated_events} stated, {len(events)} found")
        figures = list({str(row["event_uid"]): figures for row, figures in events}.values())
        sides = {side: [one for one in figures if one.others.get("laterality") == side] for side in ("L", "R")}
        pairs = [(total, column, figures) for total, column in _SUMS.items()]
        pairs += [("agd_total_left_mgy", "agd_mgy", sides["L"]), ("agd_total_right_mgy", "agd_mgy", sides["R"])]
        for total, column, counted in pairs:
            stated = numbers.get(total)
            if stated is None or self.object_class == "summary_sr":
                continue
            summed = sum((one.value(column) or Decimal(0) for one in counted), Decimal(0))
            if abs(stated - summed) > max(TOLERANCE * stated, _last_digit(totals, total)):
                totals.flag(f"{total}: stated {float(stated):g}, events sum to {float(summed):g}")


def _containers(above: Content) -> Iterator[Content]:
    """The event containers with content below an item, however deep; what lies within one belongs to it."""
    for child in above.children:
        if child.key in dose_codes.EVENT_KINDS and child.children:
            yield child
        else:
            yield from _containers(child)


def _total_column(item: Content) -> str | None:
    """Column of a stated total; of an accumulated glandular dose, by its breast."""
    if item.key == "DCM:111637":
        side = item.child(dose_codes.LATERALITY)
        return dose_codes.BREASTS.get(side.code().key) if side else None
    return dose_codes.TOTAL_COLUMNS.get(item.key)


def _last_digit(totals: Figures, column: str) -> Decimal:
    """One unit in the last place of the stated text, in the column's unit: what rounding of the total can explain."""
    digits = Decimal(0)
    for stated in totals.stated:
        text, value = stated["text"], stated["value"]
        number = decimal_of(text) if stated["column"] == column and text else None
        if number and value:
            exponent = number.as_tuple().exponent
            digits += Decimal(str(value)) / number * Decimal(10) ** int(exponent)
    return abs(digits)
