"""The configuration that belongs to the demo: its three sites, their staffed hours, and its extracts."""

from __future__ import annotations

import tomllib
from typing import Any

from etl.demo import messages as said
from etl.demo.calendars import SERVICE_LOG, STAFFING
from etl.demo.network import SITES, Device, Site, devices
from etl.demo.procedures import PROCEDURES
from etl.demo.staffing import staffed

USUAL_SCALE = 0.08
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SECTIONS = sorted({procedure.section for procedure in PROCEDURES} - {"physics"})
"""Reading sections; phantoms are read by none."""
CALENDARS = {STAFFING: "comm_staffing_*.csv", SERVICE_LOG: "service_log_*.csv"}
"""Name of a CSV calendar to the pattern of its files; iCalendar files say their names themselves."""

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
"event:result_communicated" = "communicated_at"
stated_at = "final_at"
"""

HL7 = f"""
[hl7.statuses]  # the RIS of the teaching hospital has buttons for the scanner's room
{said.IN_ROOM} = "patient_in_room"
{said.OUT_ROOM} = "patient_left_room"
"""

TARGETS = """
[[turnaround.targets]]
minutes = 2880
[[turnaround.targets]]
minutes = 1440
patient_class = ["IP"]
[[turnaround.targets]]
minutes = 240
priority = ["urgent"]
[[turnaround.targets]]
minutes = 120
priority = ["stat"]
[[turnaround.targets]]
minutes = 90
priority = ["stat"]
patient_class = ["ED"]
modality = ["CT"]
"""
READING_HOURS = """[[sites.reading_hours]]
days = ["mon", "tue", "wed", "thu", "fri"]
opens = 08:00:00
closes = 18:00:00
"""

FRESHNESS = """
[freshness]  # the history ends at midnight: a demo is called stale from its second day on
dicom_hours = 48
hl7_hours = 48
extract_hours = 72
"""


def settings_text(fleet: tuple[Device, ...] | None = None) -> str:
    """The demo's `isocenter.toml`: with the staffed hours of a history's scanners, or of those of the usual scale."""
    fleet = fleet or staffed(devices(USUAL_SCALE), USUAL_SCALE)
    return (
        'organisation = "Meridian Health Network (simulated)"\ndefault_site = "TEACH"\n'
        + HL7
        + FRESHNESS
        + TARGETS
        + "".join(_site(site, fleet) for site in SITES)
        + "".join(_section(name) for name in SECTIONS)
        + EXTRACTS
        + "".join(_calendar(name, files) for name, files in CALENDARS.items())
    )


def demo_settings() -> dict[str, Any]:
    """The same as values for `settings.Settings`."""
    return tomllib.loads(settings_text())


def _site(site: Site, fleet: tuple[Device, ...]) -> str:
    lines = [
        "",
        "[[sites]]",
        f'code = "{site.code}"',
        f'name = "{site.name}"',
        f'time_zone = "{site.zone_name}"',
        f'aliases = ["{site.institution}", "{site.facility}"]',
    ]
    first = {device.modality: device for device in reversed(fleet) if device.site == site.code}
    return "\n".join([*lines, *(_hours(device) for device in reversed(first.values())), READING_HOURS])


def _section(name: str) -> str:
    """The procedures of one reading section."""
    codes = ", ".join(f'"{procedure.code}"' for procedure in PROCEDURES if procedure.section == name)
    return f'\n[[subspecialties]]\nname = "{name}"\nprocedures = [{codes}]\n'


def _calendar(name: str, files: str) -> str:
    """A calendar whose files do not say how it is called."""
    return f'\n[[calendars]]\nfiles = "{files}"\nname = "{name}"\n'


def _hours(device: Device) -> str:
    """Staffed hours of a kind of scanner: those of its first one."""
    named = ", ".join(f'"{WEEKDAYS[day - 1]}"' for day in device.staffed.weekdays)
    opens, closes = _clock(device.staffed.opens), _clock(device.staffed.closes)
    return f'[[sites.hours]]\nmodality = "{device.modality}"\ndays = [{named}]\nopens = {opens}\ncloses = {closes}'


def _clock(hour: float) -> str:
    return f"{int(hour) % 24:02d}:{int(hour % 1 * 60):02d}:00"
