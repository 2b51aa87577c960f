"""The configuration that belongs to the demo: its three sites, their staffed hours, and its extracts."""

from __future__ import annotations

import tomllib
from typing import Any

from etl.demo.network import ALWAYS, FLEETS, SITES, Fleet, Site

EXTRACTS = """
[[extracts]]
name = "charges"
files = "charges_*.csv"
constants = {}
[extracts.columns]
accession = "accession"
site = "facility"
charge_code = "code"
charge_kind = "kind"
charge_amount = "amount"
payer = "payer"
"event:charge_posted" = "posted_at"

[[extracts]]
name = "ris_times"
files = "ris_times_*.csv"
[extracts.columns]
accession = "accession"
site = "facility"
"event:patient_arrived" = "arrived_at"
"event:read_started" = "opened_at"
stated_at = "final_at"
"""

FRESHNESS = """
[freshness]  # the history ends at midnight: a demo is called stale from its second day on
dicom_hours = 48
hl7_hours = 48
extract_hours = 72
"""
STAFFED_DAY = (7.0, 19.0)
"""Staffed hours of scanners that run day and night: at night they run on call, which is no staffed time."""


def settings_text() -> str:
    """The demo's `isocenter.toml`."""
    return (
        'organisation = "Meridian Health Network (simulated)"\ndefault_site = "TEACH"\n'
        + FRESHNESS
        + "".join(_site(site) for site in SITES)
        + EXTRACTS
    )


def demo_settings() -> dict[str, Any]:
    """The same as values for `settings.Settings`."""
    return tomllib.loads(settings_text())


def _site(site: Site) -> str:
    lines = [
        "",
        "[[sites]]",
        f'code = "{site.code}"',
        f'name = "{site.name}"',
        f'time_zone = "{site.zone_name}"',
        f'aliases = ["{site.institution}", "{site.facility}"]',
    ]
    return "\n".join(lines + [_hours(fleet) for fleet in FLEETS if fleet.site == site.code]) + "\n"


def _hours(fleet: Fleet) -> str:
    days = [
        "mon",
        "tue",
        "wed",
        "thu",
        "fri",
        *(["sat"] if fleet.hours.saturday else []),
        *(["sun"] if fleet.hours.sunday else []),
    ]
    named = ", ".join(f'"{day}"' for day in days)
    opens, closes = STAFFED_DAY if fleet.hours == ALWAYS else (fleet.hours.opens, fleet.hours.closes)
    return f'[[sites.hours]]\nmodality = "{fleet.modality}"\ndays = [{named}]\nopens = {_clock(opens)}\ncloses = {_clock(closes)}'


def _clock(hour: float) -> str:
    return f"{int(hour) % 24:02d}:{int(hour % 1 * 60):02d}:00"
