"""What a device's day was made of: `fact_device_span`.

Every local day of a device is cut into stretches that never overlap. Inside staffed hours they leave no gap; outside, only
use, closures and downtime are rows. Staffed hours, closures and downtime come from `etl.star.staffing`. A day stands by
itself: what runs past midnight ends there and goes on the next day.

**Use.** An exam takes the room from `room_started_at` to `room_ended_at`, where it took place, is no phantom's, names a device
and is no longer than 24 hours. Exams of one `acquisition_key` take it together, over the union of their times. Acquisitions that
overlap are one stretch of use; those that only touch are two. Acquisition time is the union of `machine_started_at` to
`machine_ended_at`, moved by `clock_offset_s`.

**Place.** A device's day is spent where most of its exams of that day took place (a van, a C-arm that is lent out), else where the
device belongs. Places whose clocks differ from those of the device's own site do not count: their days begin at other times.

**Kind** of each moment, the first that fits:

1. *in_use*: the room is taken, whatever calendars say;
2. *closed*, 3. *planned_down*, 4. *unplanned_down*: a calendar says so;
5. *turnover* or *idle*: staffed and none of these. Not staffed: no row.

A moment is staffed where staffed hours cover it and no closure does; it is available where it is staffed and not planned_down.

**Gaps.** A gap is a longest stretch of a day of case 5. Time of a gap in a missed slot is idle. The rest of it is turnover where
staffed use of the same day touches it on both sides and the rest together is at most `turnover_minutes`; otherwise it is idle.

**Cause** of staffed time that was lost, the first that fits. `unplanned_down` and `turnover` name themselves; of idle time:

1. *no_show*, *late_cancel*: inside a missed slot: the outcome says so, and no slot of another exam that overlaps it on the device
   and stood (kept, broken off or open) was booked after it fell free (`ended_at`). Where missed slots overlap, the one that
   begins first has the time.
2. *late_start*: from when the first case was due to the day's first use from opening to closing, where that is more than
   `first_case_grace_minutes` later. Opening is the day's first available moment after one that was not (a device staffed
   over midnight does not open then); closing the end of its last available moment before one that is not. The first case is due at the start of the day's first slot that was kept or broken off, not before opening; at opening
   where the day has no slot that stood until its time; never where the day has only missed slots and such of which nothing
   tells how they ended.
3. *early_end*: from the day's last use from opening to closing up to closing, where closing has passed, outside slots that
   were kept, broken off or left open.
4. *unfilled*: the rest.

Time after the newest time of the data is still to come: idle without a cause, and `exam_key` says for whom it is booked.

**Bookable** is idle time in an idle stretch of at least `bookable_minutes`; of time to come, what is not booked.
"""

from __future__ import annotations

from datetime import date, datetime

import polars as pl

from etl.star.intervals import covered, disjoint, sweep, union
from etl.star.keys import key64
from etl.star.site_time import date_key
from etl.star.staffing import device_days, epoch, stretches
from settings import Settings, Utilization
from warehouse.arrow import conform, frame_schema
from warehouse.schema import UNKNOWN

CAME = ("kept", "broken_off")
"""Outcomes of slots whose patient came."""
OPEN = "open"
"""Outcome of slots still to come, or of which nothing tells how they ended."""
MISSED = {"no_show": "no_show", "late_cancelled": "late_cancel"}
"""Outcomes of slots that nobody came to, and the cause of the time lost."""
LONGEST_USE_HOURS = 24
_MINUTE_US = 60_000_000
_DAY = ("device", "local_day")
_LAYERS = ("staffed", "closed", "planned_down", "unplanned_down")


def device_spans(
    exams: pl.DataFrame,
    appointments: pl.DataFrame,
    devices: pl.DataFrame,
    calendar: pl.DataFrame,
    days: tuple[date, date],
    settings: Settings,
    data_to: datetime,
) -> pl.DataFrame:
    """The stretches of every device's days, in the columns of `fact_device_span`; the rules stand at the head of this module.

    Args:
        exams: rows of `fact_exam` of these days and the day before; eight weeks before where hours are to be inferred.
        appointments: rows of `fact_appointment` of these days.
        devices: `dim_device`, and `site` with the site's code.
        calendar: occurrences in UTC, as `etl.star.calendar.expand` gives them, of all the time that calendars know.
        days: first and last local day, included.
        settings: sites with their zones and hours, and `utilization`.
        data_to: newest time of the data; what lies behind it is still to come.
    """
    local = device_days(devices, _places(exams, devices, settings), days, settings, data_to)
    if local.is_empty():
        return pl.DataFrame(schema=frame_schema("fact_device_span"))
    numbers = local.select("device_id").unique().sort("device_id").with_row_index("device")
    by_key = devices.select("device_key", "device_id").join(numbers, on="device_id")
    acquisitions, scans, begun = _use(exams, by_key)
    uses = union(acquisitions, ["device"], ["exam_key"])
    staffing, basis = stretches(
        local, devices, calendar, uses.join(numbers, on="device").select("device_id", "starts", "ends"), settings
    )
    staffing = staffing.join(numbers, on="device_id").drop("device_id")
    local = local.join(numbers, on="device_id").join(basis, on=["device_id", "local_day"]).sort("device", "starts")
    booked = _booked(appointments, by_key)
    pieces = _pieces(local, uses, acquisitions, scans, staffing, booked, epoch(data_to))
    spans = _spans(_judged(pieces, booked, settings.utilization), settings.utilization)
    return _shaped(spans, local, begun)


def _places(exams: pl.DataFrame, devices: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Where most exams of each device's day took place: `device_id, local_day, place_key, place`; the earlier place of two alike."""
    known = [(key64("site", site.code), site.code) for site in settings.sites]
    sites = pl.DataFrame(known, schema={"place_key": pl.Int64, "place": pl.Utf8}, orient="row")
    return (
        exams.filter(pl.col("is_performed") & pl.col("not_patient").is_null() & (pl.col("device_key") != UNKNOWN))
        .join(devices.select("device_key", "device_id"), on="device_key")
        .group_by("device_id", "local_day", place_key=pl.col("site_key"))
        .agg(exams=pl.len(), first=pl.col("room_started_at").min())
        .join(sites, on="place_key")
        .sort("exams", "first", "place", descending=[True, False, False], nulls_last=True)
        .unique(["device_id", "local_day"], keep="first", maintain_order=True)
        .select("device_id", "local_day", "place_key", "place")
    )


def _use(exams: pl.DataFrame, by_key: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """When acquisitions take rooms, when scanners acquire, and when each exam takes its room first."""
    offset = (pl.col("clock_offset_s").fill_null(0) * 1e6).round().cast(pl.Int64)
    rooms = (
        exams.filter(pl.col("is_performed") & pl.col("not_patient").is_null())
        .select(
            "exam_key",
            "device_key",
            pl.col("acquisition_key").fill_null(pl.col("exam_key")),
            starts=pl.col("room_started_at").dt.epoch("us"),
            ends=pl.col("room_ended_at").dt.epoch("us"),
            scan_starts=pl.col("machine_started_at").dt.epoch("us") + offset,
            scan_ends=pl.col("machine_ended_at").dt.epoch("us") + offset,
        )
        .join(by_key, on="device_key")
        .filter(
            (pl.col("starts") < pl.col("ends"))
            & (pl.col("ends") - pl.col("starts") <= LONGEST_USE_HOURS * 60 * _MINUTE_US)
        )
    )
    scans = rooms.select("device", starts="scan_starts", ends="scan_ends").filter(pl.col("starts") < pl.col("ends"))
    acquisitions = union(rooms, ["device", "acquisition_key"], ["exam_key"])
    return acquisitions, scans, rooms.select("device", at="starts")


def _booked(appointments: pl.DataFrame, by_key: pl.DataFrame) -> pl.DataFrame:
    """Slots of these devices that stood until their time or still stand; `ends` is null without a length.

    `is_lost`: it was missed, and not given to anybody else.
    """
    stood = (
        appointments.filter(
            pl.col("not_patient").is_null()
            & (pl.col("device_key") != UNKNOWN)
            & pl.col("outcome").is_in([*CAME, *MISSED, OPEN])
        )
        .join(by_key, on="device_key")
        .select(
            "device",
            "exam_key",
            "slot_number",
            "outcome",
            "local_day",
            "booked_at",
            "ended_at",
            cause=pl.col("outcome").replace_strict(MISSED, default=None, return_dtype=pl.Utf8),
            starts=pl.col("slot_at").dt.epoch("us"),
            ends=pl.col("slot_at").dt.epoch("us") + (pl.col("slot_minutes") * _MINUTE_US).round().cast(pl.Int64),
        )
    )
    missed = stood.filter(pl.col("outcome").is_in(list(MISSED)))
    instead = stood.filter(~pl.col("outcome").is_in(list(MISSED)))
    refilled = missed.join(instead, on=["device", "local_day"], suffix="_new").filter(
        (pl.col("exam_key") != pl.col("exam_key_new"))
        & (pl.col("starts_new") < pl.col("ends"))
        & (pl.col("ends_new") > pl.col("starts"))
        & (pl.col("booked_at_new") >= pl.col("ended_at"))
    )
    lost = missed.join(refilled, on=["exam_key", "slot_number"], how="anti").select(
        "exam_key", "slot_number", is_lost=pl.lit(value=True)
    )
    return stood.join(lost, on=["exam_key", "slot_number"], how="left").with_columns(
        pl.col("is_lost").fill_null(value=False)
    )


def _pieces(
    local: pl.DataFrame,
    uses: pl.DataFrame,
    acquisitions: pl.DataFrame,
    scans: pl.DataFrame,
    staffing: pl.DataFrame,
    booked: pl.DataFrame,
    data_to: int,
) -> pl.DataFrame:
    """The days' time, cut wherever anything changes, with what is known of every piece by itself."""
    timed = booked.filter(pl.col("ends") > pl.col("starts"))
    lost = disjoint(timed.filter("is_lost"), ["cause", "exam_key"])
    coming = disjoint(timed.filter(pl.col("outcome") == OPEN), ["exam_key"])
    kept = timed.filter(~pl.col("outcome").is_in(list(MISSED)))
    layers = {name: staffing.filter(pl.col("kind") == name) for name in _LAYERS}
    cuts = [
        local.select("device", at="starts"),
        local.select("device", at="ends"),
        local.select("device", at=pl.lit(data_to)).unique(),
        booked.select("device", at="starts"),
        *(frame.select("device", at=edge) for frame in (lost, coming) for edge in ("starts", "ends")),
    ]
    swept = sweep({**layers, "acquisitions": acquisitions, "scans": scans, "slots": kept}, cuts)
    day_columns = ["is_asked", "local_day", "wall_minute", "staffed_basis"]
    known = covered(swept, local.with_columns(part="starts"), [*day_columns, "part"])
    known = covered(known, uses.with_columns(use="starts", use_key="exam_key"), ["use", "use_key"])
    known = covered(known, lost.rename({"cause": "lost_to", "exam_key": "lost_key"}), ["lost_to", "lost_key"])
    known = covered(known, coming.rename({"exam_key": "coming_key"}), ["coming_key"])
    for name in _LAYERS[1:]:
        worded = layers[name].filter(pl.col("reason").is_not_null())
        known = covered(
            known, disjoint(worded, ["level", "reason"]).rename({"reason": f"{name}_reason"}), [f"{name}_reason"]
        )
    down = [pl.when(pl.col(name) > 0).then(pl.lit(name)) for name in _LAYERS[1:]]
    is_staffed = (pl.col("staffed") > 0) & (pl.col("closed") == 0)
    return (
        known.with_columns(
            is_staffed=is_staffed,
            state=pl.coalesce(
                pl.when(pl.col("acquisitions") > 0).then(pl.lit("in_use")),
                *down,
                pl.when(is_staffed).then(pl.lit("free")),
            ),
        )
        .with_columns(
            is_available=pl.col("is_staffed") & (pl.col("state") != "planned_down"),
            is_to_come=(pl.col("starts") >= data_to) & pl.col("state").ne_missing("in_use"),
        )
        .with_columns(
            opens=pl.col("is_available") & ~pl.col("is_available").shift(1).over("device").fill_null(value=False),
            closes=pl.col("is_available") & ~pl.col("is_available").shift(-1).over("device").fill_null(value=False),
        )
        .filter(pl.col("is_asked"))
    )


def _judged(pieces: pl.DataFrame, booked: pl.DataFrame, rules: Utilization) -> pl.DataFrame:
    """The pieces that are rows, with their final `kind`, `cause`, `exam_key` and `reason`."""
    pieces = pieces.join(_room_days(pieces, booked), on=_DAY, how="left", maintain_order="left").with_columns(
        is_gap=(pl.col("state") == "free").fill_null(value=False),
        is_use=(pl.col("state") == "in_use").fill_null(value=False),
    )
    starts_gap = pl.col("is_gap") & ~pl.col("is_gap").shift(1).over(_DAY).fill_null(value=False)
    staffed_use = pl.col("is_use") & pl.col("is_staffed")
    is_lost = pl.col("lost_to").is_not_null() & ~pl.col("is_to_come")
    pieces = pieces.with_columns(
        gap=starts_gap.cum_sum(),
        after_use=staffed_use.shift(1).over(_DAY).fill_null(value=False),
        before_use=staffed_use.shift(-1).over(_DAY).fill_null(value=False),
        is_lost=is_lost,
        last_key=pl.col("use_key").forward_fill().over(_DAY),
    )
    gap = ["gap", "is_gap"]
    rest = (pl.col("ends") - pl.col("starts")).filter(~pl.col("is_lost")).sum().over(gap)
    is_turnover = (
        pl.col("is_gap")
        & ~pl.col("is_lost")
        & pl.col("after_use").first().over(gap)
        & pl.col("before_use").last().over(gap)
        & (rest <= rules.turnover_minutes * _MINUTE_US)
    )
    pieces = pieces.filter(pl.col("state").is_not_null()).with_columns(
        kind=pl.when("is_gap")
        .then(pl.when(is_turnover).then(pl.lit("turnover")).otherwise(pl.lit("idle")))
        .otherwise("state")
    )
    grace = round(rules.first_case_grace_minutes * _MINUTE_US)
    is_late = (
        (pl.col("first_use") > pl.col("due") + grace)
        & (pl.col("starts") >= pl.col("due"))
        & (pl.col("ends") <= pl.col("first_use"))
    )
    is_early = (
        (pl.col("starts") >= pl.col("last_use"))
        & (pl.col("ends") <= pl.col("closing"))
        & pl.col("is_over")
        & (pl.col("slots") == 0)
    )
    idle_cause = (
        pl.when("is_lost")
        .then("lost_to")
        .when(is_late)
        .then(pl.lit("late_start"))
        .when(is_early)
        .then(pl.lit("early_end"))
        .otherwise(pl.lit("unfilled"))
    )
    is_idle = pl.col("kind") == "idle"
    return pieces.with_columns(
        cause=pl.when(pl.col("is_staffed") & ~pl.col("is_to_come")).then(
            pl.when(is_idle).then(idle_cause).when(pl.col("kind").is_in(["turnover", "unplanned_down"])).then("kind")
        ),
        exam_key=pl.when("is_use")
        .then("use_key")
        .when(is_idle & pl.col("is_to_come"))
        .then("coming_key")
        .when(is_idle & pl.col("is_lost"))
        .then("lost_key")
        .when("is_gap")
        .then("last_key"),
        reason=pl.coalesce(pl.when(pl.col("kind") == name).then(pl.col(f"{name}_reason")) for name in _LAYERS[1:]),
        is_booked=is_idle & pl.col("is_to_come") & pl.col("coming_key").is_not_null(),
    )


def _room_days(pieces: pl.DataFrame, booked: pl.DataFrame) -> pl.DataFrame:
    """Opening, closing, first and last use between them, and when the first case was due, by device and local day."""
    shape = pieces.group_by(_DAY).agg(
        opening=pl.col("starts").filter("opens").min(),
        closing=pl.col("ends").filter("closes").max(),
        is_over=~pl.col("is_to_come").filter("closes").last().fill_null(value=True),
        day_starts=pl.col("starts").min(),
        day_ends=pl.col("ends").max(),
    )
    use = pieces.filter(pl.col("state") == "in_use").join(shape, on=_DAY)
    before_closing = (pl.col("starts") < pl.col("closing")).fill_null(value=True)
    after_opening = (pl.col("ends") > pl.col("opening")).fill_null(value=True)
    used = use.group_by(_DAY).agg(
        first_use=pl.col("starts").filter((pl.col("starts") >= pl.col("opening")) & before_closing).min(),
        last_use=pl.col("ends").filter((pl.col("ends") <= pl.col("closing")) & after_opening).max(),
    )
    slots = (
        booked.select("device", "outcome", at="starts")
        .sort("device", "at")
        .join_asof(
            shape.sort("device", "day_starts"),
            left_on="at",
            right_on="day_starts",
            by="device",
            strategy="backward",
            check_sortedness=False,
        )
        .filter(pl.col("at") < pl.col("day_ends"))
        .group_by(_DAY)
        .agg(first_slot=pl.col("at").filter(pl.col("outcome").is_in(list(CAME))).min(), is_booked=pl.lit(value=True))
    )
    return (
        shape.join(used, on=_DAY, how="left")
        .join(slots, on=_DAY, how="left")
        .with_columns(
            due=pl.when(pl.col("first_slot").is_not_null())
            .then(pl.max_horizontal("first_slot", "opening"))
            .when(pl.col("is_booked").is_null())
            .then("opening")
        )
        .select(*_DAY, "closing", "is_over", "first_use", "last_use", "due")
    )


def _spans(pieces: pl.DataFrame, rules: Utilization) -> pl.DataFrame:
    """Pieces that touch and are alike, joined."""
    alike = ["part", "kind", "is_staffed", "cause", "use", "exam_key", "reason", "is_booked", "is_to_come"]
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1)) for name in ("device", *alike))
    touches = pl.col("starts") == pl.col("ends").shift(1)
    length = (pl.col("ends") - pl.col("starts")) / _MINUTE_US
    spans = (
        pieces.with_columns(number=(~(same & touches)).fill_null(value=True).cum_sum(), length=length)
        .group_by("number", maintain_order=True)
        .agg(
            *(pl.col(name).first() for name in ("device", "local_day", "wall_minute", "staffed_basis", *alike)),
            pl.col("starts").first(),
            pl.col("ends").last(),
            scanning_minutes=pl.col("length").filter(pl.col("scans") > 0).sum(),
            overlap_minutes=pl.col("length").filter(pl.col("acquisitions") > 1).sum(),
        )
    )
    is_idle = pl.col("kind") == "idle"
    unlike = ["device", "local_day", "is_booked", "is_to_come"]
    goes_on = (
        pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in unlike)
        & is_idle
        & is_idle.shift(1)
        & (pl.col("starts") == pl.col("ends").shift(1))
    )
    spans = spans.with_columns(stretch=(~goes_on).fill_null(value=True).cum_sum())
    long_enough = length.sum().over("stretch") >= rules.bookable_minutes
    return spans.with_columns(
        minutes=length,
        is_bookable=pl.when(is_idle).then(long_enough & ~pl.col("is_booked")),
        scanning_minutes=pl.when(pl.col("kind") == "in_use").then("scanning_minutes"),
        overlap_minutes=pl.when(pl.col("kind") == "in_use").then("overlap_minutes"),
    )


def _shaped(spans: pl.DataFrame, local: pl.DataFrame, begun: pl.DataFrame) -> pl.DataFrame:
    """The spans with their device, wall clock and exams, in the table's columns."""
    counted = (
        begun.sort("device", "at")
        .join_asof(
            spans.filter(pl.col("kind") == "in_use").select("device", "starts", "ends").sort("device", "starts"),
            left_on="at",
            right_on="starts",
            by="device",
            strategy="backward",
            coalesce=False,
            check_sortedness=False,
        )
        .filter(pl.col("at") < pl.col("ends"))
        .group_by("device", "starts")
        .agg(exams=pl.len().cast(pl.Int32))
    )
    places = local.select(*_DAY, "device_id", "device_key", "site_key", "modality").unique()
    # Both from the same sum, so that a stretch begins exactly where the one before it ends.
    begins, ends = (pl.col("wall_minute") + (pl.col(edge) - pl.col("part")) / _MINUTE_US for edge in ("starts", "ends"))
    day = pl.col("local_day")
    shaped = (
        spans.join(counted, on=["device", "starts"], how="left")
        .join(places, on=_DAY)
        .with_columns(
            pl.col("exams").fill_null(0),
            date_key=date_key(day),
            month=day.dt.strftime("%Y-%m"),
            starts_at=pl.from_epoch("starts", "us").dt.replace_time_zone("UTC"),
            start_minute=begins,
            end_minute=ends,
        )
    )
    return conform("fact_device_span", shaped)
