"""Which elements of a page's resources are filled, and what lacks where one is not: the words of `check-source`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from etl.pull.contract import Remark
from etl.sources.fhir.values import BadResourceError, Element


class Wanted(NamedTuple):
    """An element that measures need."""

    names: tuple[str, ...]
    """Paths; one of them suffices."""
    without: str
    """What cannot be said without it."""


WANTED: dict[str, tuple[Wanted, ...]] = {
    "ServiceRequest": (
        Wanted(("authoredOn",), "order to exam"),
        Wanted(("category.coding.code",), "which orders are imaging"),
        Wanted(("identifier.type.coding.code",), "a certain match with messages and images (identifiers typed ACSN, PLAC, FILL)"),
        Wanted(("priority",), "turnaround by priority"),
        Wanted(("encounter.reference", "encounter.identifier.value"), "patient class and the door time of emergencies"),
        Wanted(("meta.lastUpdated",), "when an order was cancelled, and pulls of what is new"),
    ),
    "Appointment": (
        Wanted(("start",), "booked against used time, lead time"),
        Wanted(("created",), "lead time and third next available"),
        Wanted(("minutesDuration", "end"), "slot length against exam length"),
        Wanted(("basedOn.reference", "basedOn.identifier.value"), "which order an appointment is for"),
        Wanted(("meta.lastUpdated",), "when a patient arrived, did not come or cancelled"),
    ),
    "ImagingStudy": (
        Wanted(("identifier.value",), "a match with images (Study Instance UID, accession number)"),
        Wanted(("started", "series.started"), "exam times where the images themselves are not loaded"),
        Wanted(("basedOn.reference", "basedOn.identifier.value"), "which order a study is for"),
    ),
    "Procedure": (
        Wanted(("performedPeriod.start", "performedDateTime"), "when exams began"),
        Wanted(("performedPeriod.end",), "when exams ended, the start of turnaround"),
        Wanted(("basedOn.reference", "basedOn.identifier.value"), "which order a procedure is for"),
    ),
    "DiagnosticReport": (
        Wanted(("issued",), "report turnaround"),
        Wanted(("category.coding.code",), "which reports are imaging"),
        Wanted(("basedOn.reference", "basedOn.identifier.value", "identifier.type.coding.code"), "which order a report is for"),
        Wanted(("resultsInterpreter.reference", "resultsInterpreter.identifier.value", "performer.reference"), "readers"),
    ),
    "Encounter": (
        Wanted(("class.code",), "patient class"),
        Wanted(("period.start",), "emergency and stroke clocks"),
    ),
    "Patient": (
        Wanted(("identifier.value",), "the same patient in messages and images"),
        Wanted(("birthDate",), "age"),
        Wanted(("gender",), "sex"),
    ),
    "ChargeItem": (
        Wanted(("occurrenceDateTime", "occurrencePeriod.start", "enteredDate"), "when a charge was posted"),
        Wanted(("service.reference", "service.identifier.value"), "which exam a charge is for"),
        Wanted(("priceOverride.value",), "amounts"),
    ),
    "Communication": (Wanted(("sent",), "when critical results were told"),),
}  # fmt: skip
"""Resource type to what measures need of it."""


class Filled:
    """The resources of one page."""

    def __init__(self, kind: str, body: bytes) -> None:
        self._kind = kind
        bundle = json.loads(body, parse_float=Decimal)
        found = (entry.get("resource") for entry in bundle.get("entry", []) if isinstance(entry, dict))
        self._resources = [
            Element(one, kind) for one in found if isinstance(one, dict) and one.get("resourceType") == kind
        ]

    def remarks(self) -> Iterator[Remark]:
        """How many came, and what is empty in some or all of them."""
        if not self._resources:
            yield Remark("missing", f"{self._kind}: the server has none for this client, or none yet.")
            return
        number = len(self._resources)
        yield Remark("gives", f"{self._kind}: {number} on the first page.")
        for wanted in WANTED.get(self._kind, ()):
            empty = sum(not any(_has(resource, name) for name in wanted.names) for resource in self._resources)
            if empty:
                names = " or ".join(f"{self._kind}.{name}" for name in wanted.names)
                share = "always" if empty == number else f"in {empty} of {number}"
                yield Remark("missing", f"{names} is empty {share}: lacks {wanted.without}.")
                if empty == number:
                    yield Remark("ask", f"{names}, for {wanted.without}.")


def _has(resource: Element, name: str) -> bool:
    try:
        return resource.filled(name)
    except BadResourceError:
        return False
