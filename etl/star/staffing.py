"""When each device is staffed, closed or down, on local days.

Where staffed hours come from, device by device and day by day; the first that says anything holds:

1. *calendar*: entries of kind `staffed`: of the device, else of its modality at its site, else of its site. Such entries
   rule every day from the Monday of the week of the first of them to the Sunday of the week of the last, also the days
   on which they have none: a calendar that knows a device says when it is not staffed, too.
2. *configuration*: `[[sites.hours]]` of the modality at the site, for all weekdays.
3. *inferred*, where the settings allow it: on weekdays on which the device's room was taken at least 20 times in the 56
   days up to the last day asked for, from the 5th to the 95th percentile of the minutes of the day in which it was taken
   (the first minute up to which 5 % of them lie, and the end of the first up to which 95 % lie). Its other weekdays are
   not staffed then.
4. *none*.

Staffed hours that people entered (`EXTRA`) come on top of what holds, and rule no other day. Entries of kind `closed`,
`planned_down` and `unplanned_down` count at all three levels together.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import polars as pl

from etl.sources.clock import to_utc
from etl.star.site_time import local_day, on_site
from settings import Settings, Site
from warehouse.schema import UNKNOWN

UNSEEN_DAYS = 28
"""A device that was not seen for so long when the data ends is out of use; its last days of silence still count."""
INFERENCE_DAYS = 56
INFERENCE_USES = 20
"""Times that the room was taken on a weekday, below which hours are not inferred."""
INFERENCE_SHARES = (0.05, 0.95)
DAY_MINUTES = 1440
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTE = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EXTRA = "decision "
"""How the calendars of people's own entries are named (`etl.star.decided.Decided.calendar`)."""
_DEVICE, _MODALITY, _SITE = 1, 2, 3
"""Whom an entry speaks of; the least number is the most precise."""


def micros(column: str) -> pl.Expr:
    """A column of UTC times as whole microseconds since 1970."""
    return pl.col(column).dt.epoch("us").alias(column)


def device_days(
    devices: pl.DataFrame, places: pl.DataFrame, days: tuple[date, date], settings: Settings, data_to: datetime
) -> pl.DataFrame:
    """The local days of each device, and one on either side of those asked for, in parts of one offset from UTC.

    A device has days from when it was first seen; and, where it is out of use, up to `UNSEEN_DAYS` after it was last seen.

    Args:
        devices: versions in the columns of `dim_device`, and `site` with the site's code.
        places: where a device was on a day: `device_id, local_day, place_key, place`; elsewhere it is at its own site.
        days: first and last day, included.
        settings: the sites.
        data_to: newest time of the data.

    Returns:
        `device_id, device_key, site_key, site, modality, local_day, is_asked, starts, ends, wall_minute` (UTC in microseconds;
        minute of the local day at which the part begins), one row a part: two on the days on which the clocks change.
    """
    zones = {site.code: site.zone for site in settings.sites}
    versions = _versions(devices, zones)
    asked = pl.DataFrame({"local_day": pl.date_range(*days, eager=True)})
    alive = (
        lives(devices, settings, data_to)
        .join(asked, how="cross")
        .filter(
            (pl.col("first").is_null() | (pl.col("local_day") >= pl.col("first")))
            & (pl.col("until").is_null() | (pl.col("local_day") <= pl.col("until")))
        )
    )
    around = [alive.select("device_id", pl.col("local_day") + pl.duration(days=shift)) for shift in (-1, 0, 1)]
    wanted = (
        pl.concat(around)
        .unique()
        .join(
            alive.select("device_id", "local_day", is_asked=pl.lit(value=True)),
            on=["device_id", "local_day"],
            how="left",
        )
        .with_columns(pl.col("is_asked").fill_null(value=False))
        .sort("device_id", "local_day")
    )
    current = (
        versions.sort("device_id", pl.col("from_day"), micros("valid_from"), "device_key", nulls_last=False)
        .with_columns(
            from_day=pl.when(pl.int_range(pl.len()).over("device_id") == 0).then(date.min).otherwise(pl.col("from_day"))
        )
        .select("device_id", pl.col("from_day").alias("local_day"), "device_key", "site_key", "site", "modality")
        .unique(["device_id", "local_day"], keep="last", maintain_order=True)
    )
    owned = wanted.join_asof(current, on="local_day", by="device_id", strategy="backward", check_sortedness=False)
    placed = _where_used(owned, places, {code: str(zone) for code, zone in zones.items()})
    parts = [
        (code, day, *part)
        for code, zone in zones.items()
        for day in wanted["local_day"].unique().sort()
        for part in _parts(day, zone)
    ]
    schema = {"site": pl.Utf8, "local_day": pl.Date, "starts": pl.Int64, "ends": pl.Int64, "wall_minute": pl.Float64}
    return placed.join(pl.DataFrame(parts, schema=schema, orient="row"), on=["site", "local_day"]).sort(
        "device_id", "starts"
    )


def _where_used(owned: pl.DataFrame, places: pl.DataFrame, zones: dict[str, str]) -> pl.DataFrame:
    """The devices' days at the place where they were used, where that keeps the same clock as their own site."""
    zone = {name: pl.col(name).replace_strict(zones, default=None, return_dtype=pl.Utf8) for name in ("site", "place")}
    moved = zone["place"].eq_missing(zone["site"]) & pl.col("place").is_not_null()
    return (
        owned.join(places, on=["device_id", "local_day"], how="left")
        .with_columns(
            site_key=pl.when(moved).then("place_key").otherwise("site_key"),
            site=pl.when(moved).then("place").otherwise("site"),
        )
        .drop("place_key", "place")
    )


def lives(devices: pl.DataFrame, settings: Settings, data_to: datetime) -> pl.DataFrame:
    """First and last local day of each device: `device_id`, `first`, `until` (null while it is in use).

    Args:
        devices: versions in the columns of `dim_device`, and `site` with the site's code.
        data_to: newest time of the data.
    """
    versions = _versions(devices, {site.code: site.zone for site in settings.sites})
    out_of_use = data_to.astimezone(UTC).date() - timedelta(days=UNSEEN_DAYS)
    last = pl.col("seen_day").max()
    return versions.group_by("device_id").agg(
        pl.col("from_day").min().alias("first"),
        pl.when(last < out_of_use).then(last + pl.duration(days=UNSEEN_DAYS)).alias("until"),
    )


def _versions(devices: pl.DataFrame, zones: dict[str, ZoneInfo]) -> pl.DataFrame:
    """Versions of known devices with the local days of their first and last sight."""
    known = devices.filter(
        (pl.col("device_key") != UNKNOWN) & pl.col("modality").is_not_null() & pl.col("site").is_in(list(zones))
    )
    named = {code: str(zone) for code, zone in zones.items()}
    return known.with_columns(
        from_day=on_site("valid_from", named, local_day), seen_day=on_site("last_seen", named, local_day)
    )


def stretches(
    days: pl.DataFrame, devices: pl.DataFrame, calendar: pl.DataFrame, uses: pl.DataFrame, settings: Settings
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """When the devices are staffed, closed or down on these days, and where their staffed hours come from.

    Args:
        days: as `device_days` gives them.
        devices: versions in the columns of `dim_device`, and `site` with the site's code.
        calendar: occurrences in UTC, as `etl.star.calendar.expand` gives them, of all the time that calendars know.
        uses: `device_id, starts, ends` (microseconds), disjoint: when rooms were taken, for inferring hours.
        settings: configured hours, and whether hours may be inferred.

    Returns:
        Intervals `device_id, kind, level, starts, ends, reason`, and `device_id, local_day, staffed_basis`.
    """
    whole = days.group_by("device_id", "local_day", "site", "modality", "is_asked").agg(
        pl.col("starts").min(), pl.col("ends").max()
    )
    said, ruled = _said(whole, devices, calendar, {site.code: site.zone for site in settings.sites})
    configured, inferred = _configured(whole, settings), _inferred(whole, uses, settings)
    places = [(site.code, hours.modality) for site in settings.sites for hours in site.hours]
    place = pl.struct("site", "modality").is_in([{"site": site, "modality": modality} for site, modality in places])
    extra = said.filter((pl.col("kind") == "staffed") & pl.col("is_extra"))
    added = extra.select("device_id", "local_day", has_extra=pl.lit(value=True)).unique()
    known = whole.join(ruled, on=["device_id", "local_day"], how="left")
    basis = known.join(added, on=["device_id", "local_day"], how="left").select(
        "device_id",
        "local_day",
        "level",
        staffed_basis=pl.when(pl.col("level").is_not_null())
        .then(pl.lit("calendar"))
        .when(place if places else pl.lit(value=False))
        .then(pl.lit("configuration"))
        .when(pl.col("device_id").is_in(inferred["device_id"].unique().implode()))
        .then(pl.lit("inferred"))
        .when(pl.col("has_extra"))
        .then(pl.lit("calendar"))
        .otherwise(pl.lit("none")),
    )
    staffed = [
        extra,
        said.filter((pl.col("kind") == "staffed") & ~pl.col("is_extra")).join(
            ruled, on=["device_id", "local_day", "level"], how="semi"
        ),
        *(
            frame.join(basis.filter(pl.col("staffed_basis") == name), on=["device_id", "local_day"], how="semi")
            for name, frame in (("configuration", configured), ("inferred", inferred))
        ),
    ]
    columns = ["device_id", "kind", "level", "starts", "ends", "reason"]
    other = said.filter(pl.col("kind") != "staffed")
    found = pl.concat([*staffed, other], how="diagonal").with_columns(pl.col("kind").fill_null("staffed"))
    return found.select(columns).unique().sort(columns), basis.drop("level")


def _parts(day: date, zone: ZoneInfo) -> list[tuple[int, int, float]]:
    """Start and end of a local day in microseconds and the wall clock's minute at its start, in parts of one offset."""
    opens, closes = (_instant(day, minute, zone) for minute in (0, DAY_MINUTES))
    minutes = range(int((closes - opens) / _MINUTE))
    before = opens.astimezone(zone).utcoffset()
    changes = bisect_left(minutes, 1, key=lambda n: int((opens + n * _MINUTE).astimezone(zone).utcoffset() != before))
    edges = [opens, closes] if changes == len(minutes) else [opens, opens + changes * _MINUTE, closes]
    midnight = datetime.combine(day, time())
    return [
        (epoch(start), epoch(end), (start.astimezone(zone).replace(tzinfo=None) - midnight) / _MINUTE)
        for start, end in pairwise(edges)
    ]


def _instant(day: date, minute: float, zone: ZoneInfo) -> datetime:
    """When the wall clock shows a minute of a day, UTC."""
    return to_utc(datetime.combine(day, time()) + minute * _MINUTE, zone).at


def epoch(at: datetime) -> int:
    """A UTC time as whole microseconds since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def _said(
    whole: pl.DataFrame, devices: pl.DataFrame, calendar: pl.DataFrame, zones: dict[str, ZoneInfo]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What calendars say of each device and local day, cut at midnight, and the level that rules the staffed hours of a day."""
    named = {code: str(zone) for code, zone in zones.items()}
    entries = calendar.filter(pl.col("site").is_in(list(zones))).with_row_index("entry")
    entries = entries.with_columns(last_instant=pl.col("ends_at") - pl.duration(microseconds=1)).with_columns(
        first_day=on_site("starts_at", named, local_day),
        last_day=on_site("last_instant", named, local_day),
        from_us=micros("starts_at"),
        to_us=micros("ends_at"),
    )
    spoken_of = _spoken_of(whole, devices, entries).join(
        entries.select(
            "entry",
            "kind",
            "first_day",
            "last_day",
            "from_us",
            "to_us",
            "reason",
            is_extra=pl.col("calendar").str.starts_with(EXTRA).fill_null(value=False),
        ),
        on="entry",
    )
    ranges = (
        spoken_of.filter((pl.col("kind") == "staffed") & ~pl.col("is_extra"))
        .group_by("device_id", "level")
        .agg(
            pl.col("first_day").min().dt.truncate("1w").alias("rules_from"),
            (pl.col("last_day").max().dt.truncate("1w") + pl.duration(days=6)).alias("rules_to"),
        )
    )
    ruled = (
        whole.join(ranges, on="device_id")
        .filter(pl.col("local_day").is_between("rules_from", "rules_to"))
        .group_by("device_id", "local_day")
        .agg(pl.col("level").min())
    )
    around = pl.duration(days=1)  # a device's clock may be another than that of the site that its entry names
    said = (
        spoken_of.filter((pl.col("to_us") > whole["starts"].min()) & (pl.col("from_us") < whole["ends"].max()))
        .with_columns(
            local_day=pl.date_ranges(
                pl.max_horizontal(pl.col("first_day") - around, pl.lit(whole["local_day"].min())),
                pl.min_horizontal(pl.col("last_day") + around, pl.lit(whole["local_day"].max())),
            )
        )
        .explode("local_day")
        .join(whole, on=["device_id", "local_day"])
        .filter(pl.col("at_site").is_null() | (pl.col("at_site") == pl.col("site")))
        .with_columns(starts=pl.max_horizontal("starts", "from_us"), ends=pl.min_horizontal("ends", "to_us"))
        .filter(pl.col("starts") < pl.col("ends"))
    )
    return said, ruled


def _spoken_of(whole: pl.DataFrame, devices: pl.DataFrame, entries: pl.DataFrame) -> pl.DataFrame:
    """Which devices each entry speaks of: `entry, device_id, level`, and `at_site` where it counts there alone.

    A device is found by its id, station or name, upper or lower case. Where several sites have one of that name, the entry's
    site decides.
    """
    names = pl.concat(
        [devices.select("device_id", "site", name=pl.col(column)) for column in ("device_id", "station", "device_name")]
    )
    names = names.with_columns(pl.col("name").str.strip_chars().str.to_lowercase()).drop_nulls().unique()
    told = entries.select(
        "entry", "modality", entry_site="site", name=pl.col("device").str.strip_chars().str.to_lowercase()
    )
    here = pl.col("site") == pl.col("entry_site")
    of_device = (
        told.join(names, on="name")
        .filter(here | ((pl.col("device_id").n_unique().over("entry") == 1) & ~here.any().over("entry")))
        .select("entry", "device_id", level=pl.lit(_DEVICE))
    )
    places = whole.select("device_id", at_site="site", modality="modality").unique()
    without_device = told.filter(pl.col("name").is_null()).rename({"entry_site": "at_site"})
    of_modality = without_device.join(places, on=["at_site", "modality"]).with_columns(level=pl.lit(_MODALITY))
    of_site = (
        without_device.filter(pl.col("modality").is_null())
        .drop("modality")
        .join(places, on="at_site")
        .with_columns(level=pl.lit(_SITE))
    )
    columns = ["entry", "device_id", "level", "at_site"]
    found = [of_device.with_columns(at_site=pl.lit(None, pl.Utf8)), of_modality, of_site]
    return pl.concat([frame.select(columns) for frame in found]).unique()


def _configured(whole: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Configured hours of each device and day: `device_id, local_day, starts, ends`."""
    sites = {site.code: site for site in settings.sites}
    rows = [
        (site, modality, day, *hours)
        for site, modality, day in whole.select("site", "modality", "local_day").unique().iter_rows()
        for hours in _hours_of_day(sites[site], modality, day)
    ]
    schema = {"site": pl.Utf8, "modality": pl.Utf8, "local_day": pl.Date, "starts": pl.Int64, "ends": pl.Int64}
    hours = pl.DataFrame(rows, schema=schema, orient="row")
    return whole.drop("starts", "ends").join(hours, on=["site", "modality", "local_day"])


def _hours_of_day(site: Site, modality: str, day: date) -> list[tuple[int, int]]:
    return [
        (
            epoch(_instant(day, _minute_of(hours.opens), site.zone)),
            epoch(_instant(day, _minute_of(hours.closes) or DAY_MINUTES, site.zone)),
        )
        for hours in site.hours
        if hours.modality == modality and WEEKDAYS[day.weekday()] in hours.days
    ]


def _minute_of(at: time) -> float:
    return at.hour * 60 + at.minute + at.second / 60


def _inferred(whole: pl.DataFrame, uses: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Hours in which each device used to be taken: `device_id, local_day, starts, ends`."""
    schema = {"device_id": pl.Utf8, "local_day": pl.Date, "starts": pl.Int64, "ends": pl.Int64}
    asked = whole.filter("is_asked")
    configured = {(site.code, hours.modality) for site in settings.sites for hours in site.hours}
    zones = {site.code: site.zone for site in settings.sites}
    homes = asked.sort("local_day").unique("device_id", keep="last", maintain_order=True)
    homes = homes.filter(
        pl.Series([place not in configured for place in homes.select("site", "modality").iter_rows()], dtype=pl.Boolean)
    )
    if not settings.utilization.infer_hours or homes.is_empty():
        return pl.DataFrame(schema=schema)
    last = asked["local_day"].max()
    taken = pl.concat(
        [
            _minutes_taken(uses.join(part, on="device_id", how="semi"), zones[str(site)])
            for (site,), part in homes.partition_by("site", as_dict=True, maintain_order=True).items()
        ]
    ).filter(pl.col("begun_on").is_between(pl.lit(last) - pl.duration(days=INFERENCE_DAYS - 1), pl.lit(last)))
    enough = (
        taken.group_by("device_id", pl.col("begun_on").dt.weekday().alias("weekday"))
        .agg(pl.col("use").n_unique())
        .filter(pl.col("use") >= INFERENCE_USES)
    )
    share = pl.col("len").cum_sum().over("device_id", "weekday") / pl.col("len").sum().over("device_id", "weekday")
    hours = (
        taken.group_by("device_id", pl.col("day").dt.weekday().alias("weekday"), "minute")
        .len()
        .join(enough, on=["device_id", "weekday"], how="semi")
        .sort("device_id", "weekday", "minute")
        .with_columns(share=share)
        .group_by("device_id", "weekday")
        .agg(
            *(
                (pl.col("minute").filter(pl.col("share") >= least).min() + beyond).alias(name)
                for name, least, beyond in zip(("opens", "closes"), INFERENCE_SHARES, (0, 1), strict=True)
            )
        )
    )
    placed = whole.with_columns(weekday=pl.col("local_day").dt.weekday()).join(hours, on=["device_id", "weekday"])
    rows = [
        (
            row["device_id"],
            row["local_day"],
            *(epoch(_instant(row["local_day"], row[edge], zones[row["site"]])) for edge in ("opens", "closes")),
        )
        for row in placed.iter_rows(named=True)
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _minutes_taken(uses: pl.DataFrame, zone: ZoneInfo) -> pl.DataFrame:
    """Every minute of a local day that a use of a room touches: `device_id, use, begun_on, day, minute`."""
    local = (
        pl.from_epoch("starts", "us")
        .dt.replace_time_zone("UTC")
        .dt.convert_time_zone(str(zone))
        .dt.replace_time_zone(None)
    )
    begun = (local - local.dt.truncate("1d")).dt.total_microseconds() / 60e6
    touched = pl.int_ranges(
        begun.floor().cast(pl.Int64), (begun + (pl.col("ends") - pl.col("starts")) / 60e6).ceil().cast(pl.Int64)
    )
    minutes = (
        uses.with_row_index("use")
        .select("device_id", "use", local.dt.date().alias("begun_on"), touched.alias("minute"))
        .explode("minute")
        .drop_nulls("minute")
    )
    return minutes.with_columns(
        day=pl.col("begun_on") + pl.duration(days=pl.col("minute") // DAY_MINUTES),
        minute=pl.col("minute") % DAY_MINUTES,
    )
