"""What every minute of a scanner's staffed day went to: interval arithmetic by hand.

A day is cut wherever anything begins or ends. Each piece is one of: in use (a patient has the room), closed, down as
planned, broken, free. Staffed means inside staffed hours and not closed; available means staffed and not down as planned.
Free staffed time between two patients is turnover where it is short enough; all other free staffed time is idle, and has
a cause once it has passed:

* inside a missed slot that nobody was given instead: no-show or late cancellation;
* before the day's first patient, where he came more than the grace after the first kept slot (after opening, where the
  day had no slot): late start;
* after the day's last patient, outside slots that were kept, broken off or left open: early end;
* else: unfilled.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise

from tests.truth.hours import ONE_DAY, Scanner, day_bounds
from tests.truth.log import MINUTE, Exam, Interval, Slot, minutes
from tests.truth.rules import Rules

CAME = ("kept", "broken_off")
MISSED = {"no_show": "no_show", "late_cancelled": "late_cancel"}
DOWN = ("closed", "planned_down", "unplanned_down")
LONGEST_USE = timedelta(hours=24)


@dataclass(eq=False)
class Piece:
    """A piece of a day in which nothing changes."""

    starts: datetime
    ends: datetime
    staffed: bool
    kind: str
    """`in_use`, `closed`, `planned_down`, `unplanned_down`, `turnover`, `idle`; empty outside staffed hours."""
    claims: int
    """Acquisitions that claim the room."""
    scanning: bool
    lost_to: str = ""
    to_come: bool = False
    booked: bool = False
    """Still to come, and somebody has the slot."""
    in_slot: bool = False
    """Inside a slot that was kept, broken off or left open."""
    cause: str = ""
    bookable: bool = False

    @property
    def length(self) -> float:
        return minutes(self.starts, self.ends)

    @property
    def available(self) -> bool:
        return self.staffed and self.kind != "planned_down"


@dataclass(eq=False)
class Day:
    """One scanner's local day."""

    scanner: Scanner
    day: date
    pieces: list[Piece]
    begun: list[Exam]
    """Exams that took the room first on this day."""
    turnovers: list[float] = field(default_factory=list)

    def wall_minute(self, at: datetime) -> float:
        """Minute of the local day that the clock shows."""
        local = at.astimezone(self.scanner.zone).replace(tzinfo=None)
        return (local - datetime.combine(self.day, datetime.min.time())) / MINUTE

    @property
    def opens(self) -> float | None:
        """First staffed minute."""
        return next((self.wall_minute(piece.starts) for piece in self.pieces if piece.staffed), None)

    @property
    def closes(self) -> float | None:
        """Last staffed minute."""
        ends = [self.wall_minute(piece.starts) + piece.length for piece in self.pieces if piece.staffed]
        return ends[-1] if ends else None

    @property
    def used(self) -> float:
        return sum(piece.length for piece in self.pieces if piece.staffed and piece.kind == "in_use")

    @property
    def late(self) -> float:
        return sum(piece.length for piece in self.pieces if piece.cause == "late_start")

    @property
    def overrun(self) -> float:
        """Minutes of use after the last staffed minute."""
        closes = self.closes
        return sum(
            piece.length
            for piece in self.pieces
            if closes is not None
            and piece.kind == "in_use"
            and not piece.staffed
            and self.wall_minute(piece.starts) >= closes
        )

    @property
    def exams(self) -> int:
        """Exams that began in staffed time."""
        return sum(
            piece.staffed and piece.starts <= exam.room[0] < piece.ends
            for piece in self.pieces
            for exam in self.begun
            if exam.room
        )


def days_of(
    scanner: Scanner, exams: list[Exam], slots: list[Slot], days: list[date], data_ends: datetime, rules: Rules
) -> list[Day]:
    """A scanner's days, each minute of its staffed time with what it went to.

    Args:
        exams, slots: of this scanner.
    """
    users = [
        exam
        for exam in exams
        if exam.is_performed and exam.room and exam.room[0] < exam.room[1] <= exam.room[0] + LONGEST_USE
    ]
    acquisitions: dict[int, list[Interval]] = defaultdict(list)
    for exam in users:
        if exam.room:
            acquisitions[exam.group].append(exam.room)
    claims = [interval for rooms in acquisitions.values() for interval in union(rooms)]
    scans = [exam.scans for exam in users if exam.scans and exam.scans[0] < exam.scans[1]]
    stood = [slot for slot in slots if slot.outcome in (*CAME, *MISSED, "open")]
    lost = [slot for slot in stood if slot.outcome in MISSED and not any(_takes(other, slot) for other in stood)]
    bounds = {day + n * ONE_DAY: day_bounds(day + n * ONE_DAY, scanner.zone) for day in days for n in (-1, 0, 1)}
    layers = {**scanner.times, "claims": claims, "scans": scans}
    cut = {day: _pieces(edges, layers, stood, lost, data_ends) for day, edges in bounds.items()}
    found = []
    for day in days:
        opens, closes = bounds[day]
        today = [slot for slot in stood if opens <= slot.starts < closes]
        begun = [exam for exam in users if exam.room and opens <= exam.room[0] < closes]
        one = Day(scanner, day, cut[day], begun)
        _gaps(one, rules)
        _causes(one, today, cut[day - ONE_DAY][-1].available, cut[day + ONE_DAY][0].available, rules)
        found.append(one)
    return found


def union(intervals: list[Interval]) -> list[Interval]:
    """The same time without overlaps."""
    joined: list[Interval] = []
    for starts, ends in sorted(intervals):
        if joined and starts < joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], ends)
        else:
            joined.append((starts, ends))
    return joined


def _takes(other: Slot, missed: Slot) -> bool:
    """Whether another exam was given the time of a missed slot after it fell free."""
    return (
        other.outcome not in MISSED
        and other.exam is not missed.exam
        and other.local_day == missed.local_day
        and other.starts < missed.ends
        and other.ends > missed.starts
        and missed.freed is not None
        and other.booked >= missed.freed
    )


def _pieces(
    bounds: Interval, layers: dict[str, list[Interval]], stood: list[Slot], lost: list[Slot], data_ends: datetime
) -> list[Piece]:
    """A day cut where anything changes, with what is known of each piece by itself."""
    slots = {
        "coming": [(slot.starts, slot.ends) for slot in stood if slot.outcome == "open"],
        "kept": [(slot.starts, slot.ends) for slot in stood if slot.outcome not in MISSED],
        "missed": [(slot.starts, slot.ends) for slot in lost],
    }
    today = {
        name: [(starts, ends) for starts, ends in intervals if starts < bounds[1] and ends > bounds[0]]
        for name, intervals in {**layers, **slots}.items()
    }
    # Of missed slots that overlap the one that begins first has the time.
    missed = sorted((slot.starts, MISSED[slot.outcome], slot.ends) for slot in lost)
    edges = {*bounds, data_ends, *(edge for intervals in today.values() for interval in intervals for edge in interval)}
    cuts = sorted(edge for edge in edges if bounds[0] <= edge <= bounds[1])
    pieces = []
    for starts, ends in pairwise(cuts):
        covering = {name: sum(low <= starts < high for low, high in intervals) for name, intervals in today.items()}
        staffed = bool(covering.get("staffed")) and not covering.get("closed")
        down = next((name for name in DOWN if covering.get(name)), "")
        kind = "in_use" if covering["claims"] else down or ("free" if staffed else "")
        pieces.append(
            Piece(
                starts,
                ends,
                staffed,
                kind,
                claims=covering["claims"],
                scanning=covering["scans"] > 0,
                lost_to=next((cause for low, cause, high in missed if low <= starts < high), ""),
                to_come=starts >= data_ends and kind != "in_use",
                booked=covering["coming"] > 0,
                in_slot=covering["kept"] > 0,
            )
        )
    return pieces


def _gaps(day: Day, rules: Rules) -> None:
    """Tells turnover from idle time, and idle time that is long enough to book."""
    pieces = day.pieces
    for low, high in _runs([piece.kind == "free" for piece in pieces]):
        gap = pieces[low:high]
        rest = [piece for piece in gap if not piece.lost_to or piece.to_come]
        between = all(
            0 <= place < len(pieces) and pieces[place].kind == "in_use" and pieces[place].staffed
            for place in (low - 1, high)
        )
        waited = sum(piece.length for piece in rest)
        is_turnover = between and waited <= rules.turnover_minutes
        for piece in gap:
            piece.kind = "turnover" if is_turnover and piece in rest else "idle"
        if is_turnover and rest:
            day.turnovers.append(waited)
    for kind in ((False, False), (False, True), (True, False), (True, True)):
        alike = [piece.kind == "idle" and (piece.to_come, piece.to_come and piece.booked) == kind for piece in pieces]
        for low, high in _runs(alike):
            is_long = sum(piece.length for piece in pieces[low:high]) >= rules.bookable_minutes
            for piece in pieces[low:high]:
                piece.bookable = is_long and not kind[1]


def _runs(flags: list[bool]) -> list[tuple[int, int]]:
    """Where the longest rows of true begin and end."""
    edges = [
        place
        for place in range(len(flags) + 1)
        if (place > 0 and flags[place - 1]) != (place < len(flags) and flags[place])
    ]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _causes(day: Day, today: list[Slot], open_before: bool, open_after: bool, rules: Rules) -> None:
    """Says what each piece of passed staffed time was lost to."""
    pieces = day.pieces
    flags = [open_before, *(piece.available for piece in pieces), open_after]
    opening = next((piece.starts for n, piece in enumerate(pieces) if piece.available and not flags[n]), None)
    closings = [piece for n, piece in enumerate(pieces) if piece.available and not flags[n + 2]]
    closing = closings[-1].ends if closings else None
    has_closed = not (closings and closings[-1].to_come)
    use = [piece for piece in pieces if piece.kind == "in_use"]
    first_use = next(
        (p.starts for p in use if opening and p.starts >= opening and (closing is None or p.starts < closing)), None
    )
    last_use = max(
        (p.ends for p in use if closing and p.ends <= closing and (opening is None or p.ends > opening)), default=None
    )
    came = [slot.starts for slot in today if slot.outcome in CAME]
    due = max(min(came), opening) if came and opening else None if today else opening
    is_late = due is not None and first_use is not None and minutes(due, first_use) > rules.grace_minutes
    for piece in pieces:
        if not piece.staffed or piece.to_come:
            continue
        if piece.kind in ("turnover", "unplanned_down"):
            piece.cause = piece.kind
        elif piece.kind == "idle":
            if piece.lost_to:
                piece.cause = piece.lost_to
            elif is_late and due and first_use and due <= piece.starts and piece.ends <= first_use:
                piece.cause = "late_start"
            elif (
                last_use
                and closing
                and has_closed
                and last_use <= piece.starts
                and piece.ends <= closing
                and not piece.in_slot
            ):
                piece.cause = "early_end"
            else:
                piece.cause = "unfilled"
