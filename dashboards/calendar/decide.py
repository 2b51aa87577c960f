"""Entries of the calendar that people make: from the fields of a form to a decision, and in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dashboards._shell import numbers
from dashboards._shell.decisions import Deciding, FieldError, Fields, Made, deciding
from dashboards._shell.reading import Reading
from state.decisions import Decision, DecisionKind

KINDS = {
    "closed": "Closed",
    "planned_down": "Planned downtime",
    "unplanned_down": "Outage that happened",
    "staffed": "Staffed hours",
}
SITE, MODALITY, DEVICE = "site", "modality", "device"
MOST_DAYS = {"closed": 366, "planned_down": 366, "unplanned_down": 366, "staffed": 1}
MOST_WORDS = 120


def places(reading: Reading) -> dict[str, list[tuple[str, str]]]:
    """What an entry may speak of, inside the scope: whole sites, modalities of a site, scanners."""
    names = reading.names
    modalities = sorted({(names.device_sites[one], names.device_modalities[one]) for one in names.devices})
    if reading.scope.departments is not None:
        return {}
    return {
        "Whole sites": [(f"{SITE}|{code}", name) for code, name in names.sites.items()],
        "Modalities of a site": [
            (f"{MODALITY}|{site}|{modality}", f"{modality} at {names.sites[site]}")
            for site, modality in modalities
            if site in names.sites
        ],
        "Scanners": [
            (f"{DEVICE}|{one}", f"{name} · {names.device_modalities[one]} · {names.sites[names.device_sites[one]]}")
            for one, name in names.devices.items()
            if names.device_sites[one] in names.sites
        ],
    }


def take(fields: Fields, reading: Reading) -> Sequence[Made]:
    """An entry: `place`, `kind`, `starts`, `ends` on the site's clock, `words`."""
    wrong: dict[str, str] = {}
    known = {value for pairs in places(reading).values() for value, _ in pairs}
    place, kind, text = fields.get("place", ""), fields.get("kind", ""), fields.get("words", "")
    if place not in known:
        wrong["place"] = "Choose a site, a modality of a site, or a scanner."
    if kind not in KINDS:
        wrong["kind"] = "Choose what it is."
    if not text or len(text) > MOST_WORDS:
        wrong["words"] = f"A few words that pages may show, at most {MOST_WORDS} characters. No names of people."
    starts, ends = (_wall(fields, name, wrong) for name in ("starts", "ends"))
    if wrong or starts is None or ends is None:
        raise FieldError(**wrong)
    value = {**_place(place, reading), "kind": kind}
    _check_times(kind, starts, ends, reading.settings.site_of(value["site"]).zone)
    value |= {"starts_local": starts.isoformat(), "ends_local": ends.isoformat(), "reason": text}
    return [(f"{place} {kind} {starts.isoformat(timespec='minutes')}", value)]


def _place(place: str, reading: Reading) -> dict[str, Any]:
    kind, _, rest = place.partition("|")
    if kind == DEVICE:
        return {"site": reading.names.device_sites[rest], "device": rest, "modality": None}
    site, _, modality = rest.partition("|")
    return {"site": site, "device": None, "modality": modality or None}


def _check_times(kind: str, starts: datetime, ends: datetime, zone: ZoneInfo) -> None:
    wrong = {}
    for name, at in (("starts", starts), ("ends", ends)):
        if _is_skipped(at, zone):
            wrong[name] = "The clocks are put forward in this hour: it does not exist at the site."
    if not wrong and ends <= starts:
        wrong["ends"] = "The end is not after the start."
    elif not wrong and ends - starts > timedelta(days=MOST_DAYS[kind]):
        most = "24 hours: make one entry a day" if kind == "staffed" else f"{MOST_DAYS[kind]} days"
        wrong["ends"] = f"{KINDS[kind]} may last at most {most}."
    if not wrong and kind == "unplanned_down" and starts.replace(tzinfo=zone) > datetime.now(UTC):
        wrong["starts"] = "An outage that happened cannot begin in the future; planned downtime can."
    if wrong:
        raise FieldError(**wrong)


def _is_skipped(at: datetime, zone: ZoneInfo) -> bool:
    """Whether the wall clock never shows this time: the hour that is left out in spring."""
    there_and_back = at.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)
    return there_and_back.replace(tzinfo=None) != at


def _wall(fields: Fields, name: str, wrong: dict[str, str]) -> datetime | None:
    try:
        at = datetime.fromisoformat(fields.get(name, ""))
    except ValueError:
        at = None
    if at is None or at.tzinfo is not None:
        wrong[name] = "A day and a time, as 2026-11-25 08:00, on the site's clock."
        return None
    return at.replace(second=0, microsecond=0)


def opens(found: Decision, reading: Reading) -> bool:
    """Whether the entry's site is in the reader's scope."""
    return found.value.get("site") in reading.names.sites and reading.scope.departments is None


def words(found: Decision, reading: Reading) -> str:
    """An entry in a sentence."""
    value, names = found.value, reading.names
    site = names.sites.get(value["site"], value["site"])
    if value.get("device"):
        where = f"{names.devices.get(value['device'], value['device'])} ({site})"
    else:
        where = f"{value['modality']} at {site}" if value.get("modality") else site
    starts, ends = (datetime.fromisoformat(value[name]) for name in ("starts_local", "ends_local"))
    span = f"{numbers.day(starts)} {starts:%H:%M} – " + (
        f"{ends:%H:%M}" if ends.date() == starts.date() else f"{numbers.day(ends)} {ends:%H:%M}"
    )
    return f"{where}: {KINDS.get(value['kind'], value['kind']).lower()}, {span}, {value.get('reason') or 'no words'}"


deciding(Deciding(DecisionKind.CALENDAR, take, opens, words))
