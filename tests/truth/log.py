"""What an analyst would make of the simulator's event log by hand: one `Exam` an order or study, one `Slot` an appointment.

Times are those that were written (`emitted_at`), because a hospital sees no others: scanners' clocks are some seconds off,
buttons are pressed early or late, messages are lost. Only a scanner that was wrong by whole hours is put right, as the
product promises to: of its times the whole hours of `emitted_at - true_at` are taken off again.

Nothing here reads the star or its builders. The rules are those of the workflow reference, in this order of trust:

* start of an exam: performed step, first image, button of the RIS or OBR-7 of its report, whichever is earlier;
* end of an exam: button of the RIS, last performed step unless closed over an hour after the last image, last image;
* arrival: scheduling system, nightly extract; reports, orders and rooms: messages; opening and communication: extract.

Images count for the exam whose worklist entry they were made under, and for all orders of a group scanned in one go.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from tests.truth.rules import Rules

NOTHING, MINUTE, HOUR = timedelta(0), timedelta(minutes=1), timedelta(hours=1)
NEWEST = ("arrived", "started", "ended", "final")
LONGEST_IN_ROOM = timedelta(hours=6)
ANOTHER_VISIT = timedelta(hours=2)
"""Images after a longer gap do not stretch the exam."""
LONGEST_PAUSE = timedelta(minutes=30)
"""A longer pause is not scanner time."""
TWO_EXPOSURES = ("MGDX", "XCH2", "XHAN", "XANK", "XLSP")
"""Procedures that are two exposures and nothing between: the log has first and last acquisition alone, and these are all."""
CLASSES = {"E": "ED", "I": "IP", "O": "OP"}
PRIORITIES = {"S": "stat", "A": "urgent", "R": "routine"}

Interval = tuple[datetime, datetime]
Row = dict[str, Any]
Events = dict[tuple[str, str], list[datetime]]
"""Event and source to the times that were written of it, in order."""


class Image(NamedTuple):
    """One exam's images: the scanner, first and last acquisition."""

    station: str
    first: datetime
    last: datetime


class Sighting(NamedTuple):
    """A scanner that made images, phantoms' too: where it stands, what it is, and when it was first and last seen."""

    site: str
    modality: str
    first: datetime
    last: datetime


class Taken(NamedTuple):
    """First and last acquisition as the scanner's clock showed them, and with whole hours put right."""

    shown: Interval
    interval: Interval


@dataclass(eq=False)
class Exam:
    """One exam as the hospital's systems know it. Times are UTC; None is unknown."""

    number: int
    site: str
    modality: str
    patient_class: str
    procedure: str
    is_phantom: bool
    has_order: bool
    has_images: bool
    names_worklist: bool
    has_charge: bool
    is_performed: bool
    group: int
    """Exams of one acquisition have the same."""
    sharers: int
    station: str | None
    """The scanner that made its images."""
    scans: Interval | None
    """First to last acquisition."""
    scan_minutes: float
    """The same without long pauses."""
    room: Interval | None
    state: str
    """`cancelled`, `discontinued` or empty."""
    local_day: date
    local_hour: int
    times: dict[str, datetime]
    """`ordered`, `booked`, `door`, `arrived`, `started`, `ended`, `read_started`, `prelim`, `final`, `communicated`, `cancelled`."""
    addenda: list[datetime] = field(default_factory=list)
    corrections: list[datetime] = field(default_factory=list)
    slot_minutes: float | None = None
    target_minutes: float | None = None
    """In how many minutes from its end the final report is due."""

    def at(self, step: str) -> datetime | None:
        """When a step was; `first_report` is the earlier of the preliminary and the final report."""
        if step == "first_report":
            return min((at for name in ("prelim", "final") if (at := self.times.get(name))), default=None)
        return self.times.get(step)

    @property
    def room_minutes(self) -> float:
        return minutes(*self.room) if self.room else 0.0


@dataclass(eq=False)
class Slot:
    """One booked slot and how it ended. `station` is None where no scanner of that name ever made an image."""

    exam: Exam
    starts: datetime
    length: float
    booked: datetime
    freed: datetime | None
    outcome: str
    station: str | None
    local_day: date

    @property
    def ends(self) -> datetime:
        return self.starts + timedelta(minutes=self.length)


@dataclass(frozen=True)
class Log:
    """Everything that is known when the data ends."""

    exams: list[Exam]
    """Phantoms left out."""
    slots: list[Slot]
    sightings: dict[str, Sighting]
    """Station to what was seen of it."""
    data_ends: datetime
    """The newest arrival, start, end or final report: later nothing is known."""
    put_right: int
    """Exams whose scanner's clock was wrong by whole hours."""


def minutes(start: datetime, end: datetime) -> float:
    """Minutes from one time to another."""
    return (end - start) / timedelta(minutes=1)


def read_log(folder: Path, rules: Rules) -> Log:
    """The log of a demo folder."""
    truths = pl.read_parquet(folder / "truth_exams.parquet").to_dicts()
    said, taken = _written(pl.read_parquet(folder / "truth_events.parquet").to_dicts())
    booked: dict[int, list[Row]] = defaultdict(list)
    for row in pl.read_parquet(folder / "truth_appointments.parquet").sort("exam", "slot_number").to_dicts():
        booked[row["exam"]].append(row)
    images: dict[int, list[Image]] = defaultdict(list)
    sightings: dict[str, Sighting] = {}
    for row in truths:
        if found := taken.get(row["exam"]):
            owner = row["study"] if row["is_second"] else row["images_of"]
            first, last = found.interval
            exposures = [(first, first), (last, last)] if row["procedure_code"] in TWO_EXPOSURES else [(first, last)]
            images[owner] += [Image(row["station"], *exposure) for exposure in exposures]
            seen = sightings.get(row["station"], Sighting(row["site"], row["modality"], *found.shown))
            first, last = min(seen.first, found.shown[0]), max(seen.last, found.shown[1])
            sightings[row["station"]] = seen._replace(first=first, last=last)
    members = Counter(row["study"] for row in truths)
    exams = {
        row["exam"]: _exam(
            row, said[row["exam"]], images.get(row["study"], []), booked[row["exam"]], members[row["study"]], rules
        )
        for row in truths
        if row["exam"] in said or row["study"] in images
    }
    slots = [
        slot
        for number, rows in booked.items()
        if number in exams
        for slot in _slots(exams[number], rows, sightings, rules)
    ]
    happened = [at for exam in exams.values() for name in NEWEST if (at := exam.times.get(name))]
    put_right = sum(found.shown != found.interval for found in taken.values())
    return Log([exam for exam in exams.values() if not exam.is_phantom], slots, sightings, max(happened), put_right)


def _written(rows: Iterable[Row]) -> tuple[dict[int, Events], dict[int, Taken]]:
    """What messages, extracts and steps say of each exam, and when images of each were taken."""
    sent = [row for row in rows if row["emitted_at"] is not None]
    wrong = {
        row["exam"]: round((row["emitted_at"] - row["true_at"]) / HOUR) * HOUR
        for row in sent
        if (row["event"], row["source"]) == ("exam_started", "dicom")
    }
    said: dict[int, Events] = defaultdict(lambda: defaultdict(list))
    taken: dict[int, dict[str, datetime]] = defaultdict(dict)
    reported = {row["exam"] for row in sent if row["event"] in ("report_preliminary", "report_final")}
    for row in sorted(sent, key=lambda row: row["emitted_at"]):
        exam, event, source, at = row["exam"], row["event"], row["source"], row["emitted_at"]
        if source == "dicom":
            taken[exam][event] = at
        else:
            said[exam][event, source].append(at - wrong.get(exam, NOTHING) if source == "mpps" else at)
        if (event, source) == ("exam_started", "hl7") and exam in reported:
            said[exam][event, source].append(row["true_at"])  # OBR-7 of a report states when the exam really began
    shown = {exam: (times["exam_started"], times["exam_ended"]) for exam, times in taken.items()}
    put_right = {
        exam: Taken((first, last), (first - wrong[exam], last - wrong[exam])) for exam, (first, last) in shown.items()
    }
    return said, put_right


def _exam(row: Row, said: Events, images: list[Image], booked: list[Row], members: int, rules: Rules) -> Exam:
    """One exam from all that was written of it."""
    scans, scan_minutes = _scanned(images)
    times = _times(said, scans)
    zone = rules.zones[row["site"]]
    planned = booked[-1]["slot_at"] if booked else None
    in_room = said.get(("patient_in_room", "hl7"), [None])[0]
    when = next(
        at
        for at in (
            times.get("started"), scans and scans[0], planned, times.get("arrived"), in_room, times.get("ordered"),
            times.get("ended"), times.get("prelim"), times.get("final"),
        )
        if at is not None
    ).astimezone(zone)  # fmt: skip
    reported = "prelim" in times or "final" in times
    patient_class, priority = "unknown", "unknown"  # images do not tell them
    has_order = any(source in ("hl7", "siu") for _, source in said)
    if has_order:
        patient_class, priority = CLASSES[row["patient_class"]], PRIORITIES[row["priority"]]
    is_performed = bool(images) or reported or any(name in times for name in ("started", "ended", "read_started"))
    return Exam(
        number=row["exam"],
        site=row["site"],
        modality=row["modality"],
        patient_class=patient_class,
        procedure=row["procedure_code"],
        is_phantom=row["is_phantom"],
        has_order=has_order,
        has_images=bool(images),
        names_worklist=bool(images) and not row["orderless"],
        has_charge=len(said.get(("charge_posted", "extract"), [])) > len(said.get(("charge_reversed", "extract"), [])),
        is_performed=is_performed,
        group=row["study"],
        sharers=members if images else 1,
        station=images[0].station if images else None,
        scans=scans,
        scan_minutes=scan_minutes,
        room=_room(row["modality"], said, times, scans, rules),
        state=_end_state(said, is_performed, reported),
        local_day=when.date(),
        local_hour=when.hour,
        times=times,
        addenda=said.get(("report_addendum", "hl7"), []),
        corrections=said.get(("report_corrected", "hl7"), []),
        slot_minutes=booked[-1]["slot_minutes"] if booked else None,
        target_minutes=rules.target_minutes(priority, patient_class, row["modality"], when.date()),
    )


def _scanned(images: list[Image]) -> tuple[Interval | None, float]:
    """First to last acquisition up to the first gap of over two hours, and its minutes without long pauses."""
    if not images:
        return None, 0.0
    ordered = sorted(images, key=lambda image: (image.first, image.last))
    first, last, paused = ordered[0].first, ordered[0].last, NOTHING
    for image in ordered[1:]:
        gap = image.first - last
        if gap > ANOTHER_VISIT:
            break
        paused += gap if gap > LONGEST_PAUSE else NOTHING
        last = max(last, image.last)
    return (first, last), minutes(first, last) - paused / MINUTE


def _times(said: Events, scans: Interval | None) -> dict[str, datetime]:
    """Each step at the time that its best source wrote."""
    steps_end = said.get(("exam_completed", "mpps"), [])
    if scans:
        steps_end = [at for at in steps_end if at <= scans[1] + HOUR]
    best = {
        "ordered": said.get(("order_placed", "hl7"), []),
        "booked": said.get(("scheduling_done", "siu"), []),
        "door": said.get(("emergency_arrival", "hl7"), []),
        "arrived": said.get(("patient_arrived", "siu")) or said.get(("patient_arrived", "extract"), []),
        "started": said.get(("exam_started", "mpps"), [])
        or [*(scans or ())][:1]
        or sorted(said.get(("exam_started", "hl7"), [])),
        "ended": said.get(("exam_completed", "hl7"), []) or steps_end[-1:] or [*(scans or ())][1:],
        "read_started": said.get(("read_started", "extract"), []),
        "prelim": said.get(("report_preliminary", "hl7"), []),
        "final": said.get(("report_final", "hl7"), []),
        "communicated": said.get(("result_communicated", "extract"), []),
        "cancelled": said.get(("order_cancelled", "siu"), said.get(("order_cancelled", "hl7"), []))[-1:],
    }
    return {step: times[0] for step, times in best.items() if times}


def _end_state(said: Events, is_performed: bool, reported: bool) -> str:
    """Whether the exam was cancelled or broken off; what was performed is not cancelled, what was reported not broken off."""
    cancelled, wanted, broken, done = (
        [at for (event, source), times in said.items() if event in events for at in times]
        for events in (
            ("order_cancelled",),
            ("order_placed", "scheduling_done"),
            ("exam_discontinued",),
            ("exam_completed",),
        )
    )
    if cancelled and not is_performed and max(cancelled) >= max(wanted, default=max(cancelled)):
        return "cancelled"
    if broken and not reported and max(broken) >= max(done, default=max(broken)):
        return "discontinued"
    return ""


def _room(
    modality: str, said: Events, times: dict[str, datetime], scans: Interval | None, rules: Rules
) -> Interval | None:
    """From when to when the exam took the room: as the RIS says, if it can be true; else acquisition and patient change."""
    began = scans[0] if scans else times.get("started")
    done = scans[1] if scans else times.get("ended", began)
    if began and done and not NOTHING <= done - began <= LONGEST_IN_ROOM:
        done = began
    entered = said.get(("patient_in_room", "hl7"), [])
    left = said.get(("patient_left_room", "hl7"), [])
    if entered and left:
        room = entered[0], left[-1]
        is_of_this_exam = began is None or done is None or (room[0] <= done and room[1] >= began)
        if NOTHING < room[1] - room[0] <= LONGEST_IN_ROOM and is_of_this_exam:
            return room
    if began is None or done is None:
        return None
    return began, done + rules.change_minutes.get(modality, 0.0) * MINUTE


def _slots(exam: Exam, rows: list[Row], sightings: dict[str, Sighting], rules: Rules) -> list[Slot]:
    """The exam's slots; a kept one is where the exam was made, any other where it was booked."""
    return [
        Slot(
            exam,
            row["slot_at"],
            row["slot_minutes"],
            row["booked_at"],
            row["ended_at"],
            row["outcome"],
            exam.station
            if row["outcome"] == "kept" and exam.station
            else row["station"]
            if row["station"] in sightings
            else None,
            row["slot_at"].astimezone(rules.zones[exam.site]).date(),
        )
        for row in rows
    ]
