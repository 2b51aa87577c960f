"""The measures of the pages on utilization, appointments, turnaround and volume, recomputed from the log.

Each is a function of a `Part` (everything, one site or one modality) that gives the value and the number of exams, slots or
days behind it, written from the measure's formula in words. Scanner time belongs to the scanner's site and modality; a
slot to those of its exam.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean, median

from tests.truth.log import NOTHING, Exam, Slot, minutes
from tests.truth.numbers import Wait, percent, percentile, product_limit, share_of
from tests.truth.rooms import Day, Piece

Answer = tuple[float | None, int]
DAY_MINUTES = 1440.0
EVENING = 17 * 60.0
DUE = ("kept", "no_show", "late_cancelled", "broken_off")
"""Slots that still stood shortly before their time."""
FREED = ("moved", "cancelled", "late_cancelled")


@dataclass(frozen=True)
class Part:
    """What is counted: the exams, slots and scanner days of the period, at a site, of a modality or all."""

    exams: list[Exam]
    slots: list[Slot]
    days: list[Day]
    data_ends: datetime
    every_slot: list[Slot]
    """Slots of all days and places, among which another patient is looked for."""
    whole: Part | None = None
    """Everything that was asked for, where this is a part of it."""

    @property
    def pieces(self) -> list[Piece]:
        return [piece for day in self.days for piece in day.pieces]

    @property
    def performed(self) -> list[Exam]:
        return [exam for exam in self.exams if exam.is_performed]

    @property
    def alone(self) -> list[Exam]:
        """Exams that had the room to themselves for a known time."""
        return [exam for exam in self.performed if exam.room_minutes > 0 and exam.sharers == 1]

    @property
    def with_slot(self) -> list[Exam]:
        return [exam for exam in self.alone if exam.slot_minutes]

    @property
    def due(self) -> list[Slot]:
        return [slot for slot in self.slots if slot.outcome in DUE]


def has_passed(piece: Piece) -> bool:
    """Time in which the scanner could have been used."""
    return piece.staffed and (piece.kind == "in_use" or bool(piece.cause))


def is_staffed(piece: Piece) -> bool:
    """The same and planned downtime, which counts also while it is still to come."""
    return has_passed(piece) or (piece.staffed and piece.kind == "planned_down")


def is_idle(piece: Piece) -> bool:
    return piece.kind == "idle" and has_passed(piece)


def total(pieces: Iterable[Piece]) -> float:
    return sum(piece.length for piece in pieces)


# --- scanner time -----------------------------------------------------------------------------------------------------


def hours(part: Part, fits: Callable[[Piece], bool], of: Callable[[Piece], bool] = has_passed) -> Answer:
    """Hours of some pieces, and the scanner days that have any of those they are part of."""
    days = sum(any(of(piece) for piece in day.pieces) for day in part.days)
    return total(piece for piece in part.pieces if fits(piece)) / 60, days


def exams_begun(part: Part) -> int:
    return sum(day.exams for day in part.days)


def used_share(part: Part, fits: Callable[[Piece], bool]) -> Answer:
    """Minutes of staffed use that fit, in percent of the available ones."""
    used = total(piece for piece in part.pieces if piece.staffed and piece.kind == "in_use" and fits(piece))
    return percent(used, total(filter(has_passed, part.pieces))), exams_begun(part)


def throughput(part: Part) -> Answer:
    available = total(filter(has_passed, part.pieces)) / 60
    return (exams_begun(part) / available if available else None), exams_begun(part)


def throughput_mix_adjusted(part: Part) -> Answer:
    """Exams per hour, times how much longer this part's mix of procedures usually takes than that of everything."""
    whole = part.whole or part
    lengths: dict[tuple[str, str], list[float]] = {}
    for exam in whole.alone:
        lengths.setdefault((exam.procedure, exam.modality), []).append(exam.room_minutes)
    usual = {key: median(found) for key, found in lengths.items()}

    def expected(exams: list[Exam]) -> list[float]:
        return [usual[key] for exam in exams if (key := (exam.procedure, exam.modality)) in usual]

    rate, n = throughput(part)
    mine = expected(part.performed)
    return (rate * fmean(mine) / fmean(expected(whole.performed)) if rate is not None and mine else None), n


def evening_idle_share(part: Part) -> Answer:
    idle = available = 0.0
    days = 0
    for day in part.days:
        late = 0.0
        for piece in filter(has_passed, day.pieces):
            ends = day.wall_minute(piece.starts) + piece.length
            after = min(piece.length, max(0.0, ends - EVENING))
            late += after
            idle += after if is_idle(piece) else 0.0
        available += late
        days += late > 0
    return percent(idle, available), days


def lost_minutes(part: Part) -> Answer:
    def is_lost(piece: Piece) -> bool:
        return piece.staffed and bool(piece.cause)

    found, days = hours(part, is_lost, is_lost)
    return (found or 0.0) * 60, days


def overlap_minutes(part: Part) -> Answer:
    twice = total(piece for piece in part.pieces if piece.kind == "in_use" and piece.claims > 1)
    return twice, sum(len(day.begun) for day in part.days)


def turnover(part: Part, share: float) -> Answer:
    gaps = [gap for day in part.days for gap in day.turnovers]
    return percentile(gaps, share), len(gaps)


def first_cases(part: Part) -> list[Day]:
    """Days that open after midnight and had an exam in staffed hours."""
    return [day for day in part.days if day.opens is not None and day.opens > 0 and day.used > 0]


def first_case_on_time(part: Part) -> Answer:
    days = first_cases(part)
    return share_of([day.late == 0 for day in days]), len(days)


def first_case_late(part: Part) -> Answer:
    late = [day.late for day in first_cases(part) if day.late > 0]
    return percentile(late, 0.5), len(late)


def overrun(part: Part, share: float) -> Answer:
    days = [
        day for day in part.days if day.closes is not None and day.closes < DAY_MINUTES and day.used + day.overrun > 0
    ]
    return percentile((day.overrun for day in days), share), len(days)


# --- exams ------------------------------------------------------------------------------------------------------------


def of_exams(share: float, values: Iterable[float]) -> Answer:
    found = list(values)
    return percentile(found, share), len(found)


def slot_overrun(part: Part) -> Answer:
    rows = [exam.room_minutes > (exam.slot_minutes or 0) for exam in part.with_slot]
    return share_of(rows), len(rows)


def count(rows: Iterable[object]) -> Answer:
    n = sum(1 for _ in rows)
    return float(n), n


def share(rows: Iterable[bool]) -> Answer:
    found = list(rows)
    return share_of(found), len(found)


# --- appointments -----------------------------------------------------------------------------------------------------


def slot_share(part: Part, outcomes: tuple[str, ...], among: tuple[str, ...]) -> Answer:
    return share(slot.outcome in outcomes for slot in part.slots if slot.outcome in among)


def backfill(part: Part) -> Answer:
    """Freed slots into whose time on the scanner somebody else was booked afterwards."""
    every = [slot for slot in part.every_slot if slot.outcome in (*DUE, "open")]
    by_station: dict[str | None, list[Slot]] = {}
    for slot in every:
        by_station.setdefault(slot.station, []).append(slot)
    return share(
        any(
            other.local_day == slot.local_day
            and other.exam is not slot.exam
            and other.booked >= slot.freed
            and other.starts < slot.ends
            and slot.starts < other.ends
            for other in by_station.get(slot.station, [])
        )
        for slot in part.slots
        if slot.outcome in FREED and slot.station and slot.length > 0 and slot.freed is not None
    )


def lateness(part: Part, step: str) -> Answer:
    kept = [(slot, slot.exam.at(step)) for slot in part.slots if slot.outcome == "kept"]
    return of_exams(0.5, (minutes(slot.starts, at) for slot, at in kept if at))


def slot_fill(part: Part) -> Answer:
    booked = [slot.length for slot in part.due if slot.length > 0 and slot.station]
    return percent(sum(booked), total(filter(has_passed, part.pieces))), len(booked)


# --- turnaround -------------------------------------------------------------------------------------------------------

BETWEEN = {
    "order_to_booking": ("ordered", "booked"),
    "order_to_start": ("ordered", "started"),
    "booking_to_start": ("booked", "started"),
    "door_to_start": ("door", "started"),
    "arrival_wait": ("arrived", "started"),
    "start_to_end": ("started", "ended"),
    "communication": ("final", "communicated"),
}
"""Intervals of which a missing end says nothing: exams with both times count."""
WAITING = {
    "door_to_first_report": ("door", "first_report", ("prelim", "final")),
    "read_queue": ("ended", "read_started", ("read_started", "prelim", "final")),
    "read": ("read_started", "first_report", ("prelim", "final")),
    "first_report": ("ended", "first_report", ("prelim", "final")),
    "sign": ("prelim", "final", ("final",)),
    "report": ("ended", "final", ("final",)),
    "order_to_report": ("ordered", "final", ("final",)),
}
"""Intervals that an exam without any of the last steps is still in."""


def between(part: Part, name: str, at: float) -> Answer:
    start, end = BETWEEN[name]
    return of_exams(at, lengths(part.exams, start, end))


def lengths(exams: list[Exam], start: str, end: str) -> list[float]:
    """Minutes of the exams that have both times in order."""
    pairs = [(exam.at(start), exam.at(end)) for exam in exams]
    return [minutes(first, last) for first, last in pairs if first and last and last >= first]


def waits(part: Part, exams: list[Exam], name: str) -> list[Wait]:
    """How long each exam waited: to the end, to the end of the data, or to when it was cancelled."""
    start, end, steps = WAITING[name]
    found: list[Wait] = []
    for exam in exams:
        since, until = exam.at(start), exam.at(end)
        if since is None or "ended" not in exam.times:
            continue
        if until is not None:
            if until >= since:
                found.append((minutes(since, until), True))
        elif exam.has_order and not any(step in exam.times for step in steps):
            # Of a broken-off exam it is not known how long anybody waited.
            last = exam.times.get("cancelled", since) if exam.state else part.data_ends
            found.append((max(0.0, minutes(since, last)), False))
    return found


def waiting(part: Part, name: str, at: float, exams: list[Exam] | None = None) -> Answer:
    found = waits(part, part.exams if exams is None else exams, name)
    return product_limit(found, at), len(found)


def at_night(part: Part) -> list[Exam]:
    return [exam for exam in part.exams if 0 <= exam.local_hour <= 6]


def unread(exam: Exam) -> bool:
    """Completed, ordered, not broken off and without a final report."""
    return "ended" in exam.times and "final" not in exam.times and not exam.state and exam.has_order


def reports(part: Part, at_least: float) -> list[float | None]:
    """Turnaround of reported and unread (None) exams that ended so many minutes before the end of the data."""
    found: list[float | None] = []
    for exam in part.exams:
        ended, final = exam.at("ended"), exam.at("final")
        if ended and minutes(ended, part.data_ends) >= at_least:
            if final and final >= ended:
                found.append(minutes(ended, final))
            elif unread(exam):
                found.append(None)
    return found


def report_mean(part: Part) -> Answer:
    most = 3 * DAY_MINUTES
    found = [most if value is None else min(value, most) for value in reports(part, most)]
    return (fmean(found) if found else None), len(found)


def within_target(part: Part) -> Answer:
    """Reports in time, of those exams whose target has passed by the end of the data."""
    rows = []
    for exam in part.exams:
        ended, final, target = exam.at("ended"), exam.at("final"), exam.target_minutes
        if ended and target is not None and minutes(ended, part.data_ends) >= target:
            if final and final >= ended:
                rows.append(minutes(ended, final) <= target)
            elif unread(exam):
                rows.append(False)
    return share(rows)


def within(part: Part, start: str, end: str, limit: float) -> Answer:
    return share(value <= limit for value in lengths(part.exams, start, end))


def emergency_ct(part: Part, end: str, limit: float) -> Answer:
    chosen = [exam for exam in part.exams if exam.patient_class == "ED" and exam.modality == "CT"]
    return share(value <= limit for value in lengths(chosen, "door", end))


def settled(part: Part, days: int) -> list[Exam]:
    """Exams whose final report is at least so many days old."""
    return [
        exam
        for exam in part.exams
        if (final := exam.at("final")) and minutes(final, part.data_ends) >= days * DAY_MINUTES
    ]


def told_after(exam: Exam, told: list[datetime], days: int) -> bool:
    """Whether anything was said within so many days after the first final report."""
    final = exam.times["final"]
    return any(NOTHING <= at - final <= timedelta(days=days) for at in told)


def corrected(exams: list[Exam]) -> Answer:
    return share(told_after(exam, exam.corrections, 30) for exam in exams)


def with_prelim(exams: list[Exam]) -> list[Exam]:
    return [exam for exam in exams if "prelim" in exam.times and exam.times["prelim"] <= exam.times["final"]]


ENDED = (*DUE, *FREED)
NOT_MOVED = (*DUE, "cancelled")

MEASURES: dict[str, Callable[[Part], Answer]] = {
    "room_utilization": lambda part: used_share(part, lambda piece: True),
    "scanner_utilization": lambda part: used_share(part, lambda piece: piece.scanning),
    "throughput": throughput,
    "throughput_mix_adjusted": throughput_mix_adjusted,
    "staffed_hours": lambda part: hours(part, is_staffed, is_staffed),
    "available_hours": lambda part: hours(part, has_passed),
    "planned_downtime_hours": lambda part: hours(part, lambda p: p.staffed and p.kind == "planned_down", is_staffed),
    "unplanned_downtime_hours": lambda part: hours(part, lambda p: has_passed(p) and p.kind == "unplanned_down"),
    "idle_hours": lambda part: hours(part, is_idle),
    "bookable_idle_hours": lambda part: hours(part, lambda piece: is_idle(piece) and piece.bookable),
    "sliver_idle_hours": lambda part: hours(part, lambda piece: is_idle(piece) and not piece.bookable),
    "evening_idle_share": evening_idle_share,
    "lost_minutes": lost_minutes,
    "overlap_minutes": overlap_minutes,
    "turnover_minutes_p50": lambda part: turnover(part, 0.5),
    "turnover_minutes_p90": lambda part: turnover(part, 0.9),
    "first_case_on_time_share": first_case_on_time,
    "first_case_late_minutes_p50": first_case_late,
    "overrun_minutes_p50": lambda part: overrun(part, 0.5),
    "overrun_minutes_p90": lambda part: overrun(part, 0.9),
    "exam_minutes_p50": lambda part: of_exams(0.5, (e.scan_minutes for e in part.exams if e.scan_minutes > 0)),
    "exam_minutes_p90": lambda part: of_exams(0.9, (e.scan_minutes for e in part.exams if e.scan_minutes > 0)),
    "room_minutes_p50": lambda part: of_exams(0.5, (exam.room_minutes for exam in part.alone)),
    "room_minutes_p90": lambda part: of_exams(0.9, (exam.room_minutes for exam in part.alone)),
    "slot_minutes_p50": lambda part: of_exams(0.5, (exam.slot_minutes or 0.0 for exam in part.with_slot)),
    "slot_overrun_share": slot_overrun,
    "evening_exams": lambda part: count(exam for exam in part.performed if exam.local_hour >= 17),
    "slots": lambda part: count(part.slots),
    "no_show_share": lambda part: slot_share(part, ("no_show",), DUE),
    "late_cancel_share": lambda part: slot_share(part, ("late_cancelled",), DUE),
    "cancel_share": lambda part: slot_share(part, ("cancelled", "late_cancelled"), NOT_MOVED),
    "move_share": lambda part: slot_share(part, ("moved",), ENDED),
    "backfill_share": backfill,
    "lead_days_p50": lambda part: of_exams(0.5, (minutes(s.booked, s.starts) / DAY_MINUTES for s in part.due)),
    "arrival_late_minutes_p50": lambda part: lateness(part, "arrived"),
    "start_late_minutes_p50": lambda part: lateness(part, "started"),
    "slot_fill_share": slot_fill,
    **{
        f"{name}_minutes_{suffix}": lambda part, name=name, at=at: between(part, name, at)  # type: ignore[misc]
        for name in BETWEEN
        for suffix, at in (("p50", 0.5), ("p90", 0.9))
    },
    **{
        f"{name}_minutes_{suffix}": lambda part, name=name, at=at: waiting(part, name, at)  # type: ignore[misc]
        for name in WAITING
        for suffix, at in (("p50", 0.5), ("p90", 0.9))
    },
    "report_minutes_mean": report_mean,
    "report_within_day_share": lambda part: share(
        value is not None and value <= DAY_MINUTES for value in reports(part, DAY_MINUTES)
    ),
    "within_target_share": within_target,
    "unread": lambda part: count(exam for exam in part.exams if unread(exam)),
    "ct_door_to_start_25_share": lambda part: emergency_ct(part, "started", 25),
    "ct_door_to_report_45_share": lambda part: emergency_ct(part, "first_report", 45),
    "communication_60_share": lambda part: within(part, "final", "communicated", 60),
    "night_first_report_minutes_p50": lambda part: waiting(part, "first_report", 0.5, at_night(part)),
    "night_report_minutes_p50": lambda part: waiting(part, "report", 0.5, at_night(part)),
    "addendum_7d_share": lambda part: share(told_after(exam, exam.addenda, 7) for exam in settled(part, 7)),
    "addendum_30d_share": lambda part: share(told_after(exam, exam.addenda, 30) for exam in settled(part, 30)),
    "correction_30d_share": lambda part: corrected(settled(part, 30)),
    "prelim_corrected_share": lambda part: corrected(with_prelim(settled(part, 30))),
    "exams": lambda part: count(part.performed),
    "orderless_share": lambda part: share(not exam.has_order for exam in part.performed),
    "worklist_share": lambda part: share(exam.names_worklist for exam in part.exams if exam.has_images),
    "unbilled_share": lambda part: share(not exam.has_charge for exam in part.exams if "final" in exam.times),
}
"""Measure to its recomputation."""
