"""The invented network: three sites, their scanners and what they are staffed for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import NamedTuple
from zoneinfo import ZoneInfo

CLASS_SHARE = {
    "TEACH": {"E": 0.30, "I": 0.35, "O": 0.35},
    "COMM": {"E": 0.30, "I": 0.10, "O": 0.60},
    "CLINIC": {"O": 1.0},
}
"""Patient classes by site; the network's mix is about 27, 25 and 48 % (calibration: `ED share` and following)."""

MODALITY_SHARE = {
    "E": {"XR": 0.62, "CT": 0.26, "US": 0.10, "MR": 0.02},
    "I": {"XR": 0.63, "CT": 0.14, "US": 0.13, "MR": 0.045, "RF": 0.02, "XA": 0.03, "NM": 0.005},
    "O": {
        "XR": 0.42,
        "US": 0.27,
        "CT": 0.085,
        "MR": 0.10,
        "RF": 0.025,
        "MG": 0.065,
        "NM": 0.012,
        "PT": 0.013,
        "XA": 0.01,
    },
}
"""Modalities by patient class; together they give the calibration's `volume_share` with today's 14 % CT."""


@dataclass(frozen=True)
class Site:
    """One hospital or clinic of the network."""

    code: str
    name: str
    institution: str
    facility: str
    zone_name: str
    exams_a_year: int
    """At scale 1."""
    hl7_offsets: bool
    """Whether its messages write the offset from UTC behind each time."""
    order_message: str
    accession_suffix: str = ""
    """Written behind its accession numbers; with it they are longer than the 16 characters of DICOM (0008,0050)."""

    @cached_property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.zone_name)


SITES = (
    Site(
        "TEACH",
        "Meridian University Hospital",
        "MERIDIAN UNIVERSITY HOSPITAL",
        "MERIDIAN",
        "America/New_York",
        420_000,
        True,
        "ORM^O01",
    ),
    Site(
        "COMM",
        "Harrow Lake Community Hospital",
        "HARROW LAKE COMMUNITY HOSP",
        "HARROW",
        "America/Chicago",
        150_000,
        False,
        "OMI^O23",
    ),
    Site(
        "CLINIC",
        "Fernside Imaging Center",
        "FERNSIDE IMAGING CENTER",
        "FERNSIDE",
        "America/New_York",
        60_000,
        True,
        "ORM^O01",
        "-FERNSIDE",
    ),
)
SITE_BY_CODE = {site.code: site for site in SITES}


class Hours(NamedTuple):
    """Hours of the local day on some weekdays."""

    opens: float
    closes: float
    weekdays: tuple[int, ...] = (1, 2, 3, 4, 5)
    """ISO: 1 is Monday."""

    def on(self, iso_weekday: int, local_hour: float) -> bool:
        """Whether an hour of a weekday is one of them."""
        return iso_weekday in self.weekdays and self.opens <= local_hour < self.closes


class Fleet(NamedTuple):
    """Scanners of one kind at one site."""

    site: str
    modality: str
    least: int
    daily_capacity: int
    """Exams a day and scanner that the number of scanners is sized for."""
    hours: Hours
    """The widest that it is staffed; a small volume needs less."""
    makes: tuple[tuple[str, str, str], ...]
    """Maker, model, software version; taken in turn."""
    dose_report: bool = True
    """Sends structured dose reports; otherwise its image headers carry the dose."""


TO_SATURDAY, ALL_WEEK = (1, 2, 3, 4, 5, 6), (1, 2, 3, 4, 5, 6, 7)
ALWAYS = Hours(0, 24, ALL_WEEK)
"""Of scanners that serve emergencies: beyond their shift they run on call, which is no staffed time."""
HOLIDAYS = {(1, 1), (7, 4), (12, 25), (12, 26)}
"""Month and day."""
CLOSED_ON_HOLIDAYS = ("COMM", ("MR", "MG", "RF"))
"""Site and modalities that nobody staffs on a holiday."""
STEP_MODALITIES = ("CT", "MR", "XA")
"""What may send performed procedure steps: every other one at the teaching hospital does."""
FLEETS = (
    Fleet(
        "TEACH",
        "XR",
        1,
        60,
        ALWAYS,
        (("Aster Medical", "LUMEN DR 500", "3.2.1"), ("Corvid Systems", "PLANAR X7", "R11.4")),
    ),
    Fleet(
        "TEACH",
        "CT",
        2,
        32,
        ALWAYS,
        (("Borealis Imaging", "HELIOS 128", "VB20A"), ("Aster Medical", "ORBIT CT 64", "7.1.0")),
    ),
    Fleet(
        "TEACH",
        "MR",
        1,
        16,
        Hours(7, 22, TO_SATURDAY),
        (("Borealis Imaging", "POLARIS 3T", "XE11"), ("Delphin Healthcare", "NEREUS 1.5T", "5.3")),
    ),
    Fleet(
        "TEACH",
        "US",
        1,
        20,
        ALWAYS,
        (("Delphin Healthcare", "SONARA 9", "2.8.0"), ("Aster Medical", "ECHO S40", "4.0.2")),
    ),
    Fleet("TEACH", "MG", 1, 26, Hours(8, 17), (("Corvid Systems", "CLARIA TOMO", "1.9.3"),)),
    Fleet("TEACH", "NM", 1, 8, Hours(7, 17), (("Borealis Imaging", "GEMMA SPECT", "6.0"),)),
    Fleet("TEACH", "PT", 1, 9, Hours(7, 18), (("Borealis Imaging", "HELIOS PET 40", "VG62"),)),
    Fleet("TEACH", "XA", 1, 5, Hours(7, 19, TO_SATURDAY), (("Aster Medical", "VASCULA BIPLANE", "8.5.1"),)),
    Fleet("TEACH", "RF", 1, 14, Hours(8, 18, ALL_WEEK), (("Corvid Systems", "FLUORA 2", "R9.0"),)),
    Fleet("COMM", "XR", 1, 60, ALWAYS, (("Aster Medical", "LUMEN DR 500", "3.1.8"),)),
    Fleet("COMM", "CT", 1, 32, ALWAYS, (("Aster Medical", "ORBIT CT 64", "7.1.0"),)),
    Fleet("COMM", "MR", 1, 16, Hours(7, 19, TO_SATURDAY), (("Delphin Healthcare", "NEREUS 1.5T", "5.2"),)),
    Fleet("COMM", "US", 1, 16, ALWAYS, (("Delphin Healthcare", "SONARA 7", "2.6.1"),)),
    Fleet("COMM", "MG", 1, 26, Hours(8, 17), (("Corvid Systems", "CLARIA 2D", "1.7.0"),)),
    Fleet("COMM", "RF", 1, 14, Hours(8, 16, ALL_WEEK), (("Corvid Systems", "FLUORA 2", "R8.6"),)),
    Fleet("CLINIC", "XR", 1, 60, Hours(8, 18), (("Corvid Systems", "PLANAR X5", "R10.2"),), dose_report=False),
    Fleet("CLINIC", "MR", 1, 16, Hours(7, 21, TO_SATURDAY), (("Delphin Healthcare", "NEREUS 1.5T", "5.3"),)),
    Fleet("CLINIC", "US", 1, 12, Hours(8, 17), (("Aster Medical", "ECHO S40", "4.0.1"),)),
    Fleet("CLINIC", "MG", 1, 26, Hours(8, 17), (("Corvid Systems", "CLARIA 2D", "1.7.0"),), dose_report=False),
)


@dataclass(frozen=True)
class Device:
    """One scanner."""

    index: int
    station: str
    site: str
    modality: str
    manufacturer: str
    model: str
    software: str
    serial: str
    hours: Hours
    """The widest that it is staffed."""
    staffed: Hours
    dose_report: bool
    writes_offset: bool
    """Whether its objects carry (0008,0201) Timezone Offset From UTC."""
    sends_steps: bool
    """Whether it sends performed procedure steps (MPPS)."""

    @property
    def ae_title(self) -> str:
        """Its application entity title."""
        return f"AE_{self.station}"

    @cached_property
    def closes_on_holidays(self) -> bool:
        """Whether nobody staffs it on a holiday."""
        site, modalities = CLOSED_ON_HOLIDAYS
        return self.site == site and self.modality in modalities

    def hours_for(self, patient_class: str) -> Hours:
        """When a class of patients can be scanned.

        Emergencies whenever somebody is on call, inpatients while it is staffed, outpatients who are there an hour longer.
        """
        if self.hours == ALWAYS or patient_class == "E":
            return self.hours
        return self.staffed._replace(closes=self.staffed.closes + 1) if patient_class == "O" else self.staffed


def is_holiday(day: date) -> bool:
    """Whether it is a public holiday."""
    return (day.month, day.day) in HOLIDAYS


def site_mix(site: Site) -> dict[tuple[str, str], float]:
    """Share of each (patient class, modality) at a site, over the modalities that it has."""
    has = {fleet.modality for fleet in FLEETS if fleet.site == site.code}
    mix: dict[tuple[str, str], float] = {}
    for patient_class, share in CLASS_SHARE[site.code].items():
        offered = {m: s for m, s in MODALITY_SHARE[patient_class].items() if m in has}
        for modality, part in offered.items():
            mix[patient_class, modality] = share * part / sum(offered.values())
    return mix


def devices(scale: float) -> tuple[Device, ...]:
    """All scanners of the network, enough for the volume at a scale."""
    made: list[Device] = []
    for fleet in FLEETS:
        site = SITE_BY_CODE[fleet.site]
        share = sum(s for (_, modality), s in site_mix(site).items() if modality == fleet.modality)
        daily = site.exams_a_year * scale * share / 365
        for number in range(1, max(fleet.least, round(daily / fleet.daily_capacity)) + 1):
            maker, model, software = fleet.makes[(number - 1) % len(fleet.makes)]
            station = f"{site.facility[:3]}{fleet.modality}{number}"
            serial = f"{(len(made) + 11) * 7919 % 90000 + 10000}"
            made.append(
                Device(
                    len(made),
                    station,
                    site.code,
                    fleet.modality,
                    maker,
                    model,
                    software,
                    serial,
                    fleet.hours,
                    fleet.hours,
                    fleet.dose_report,
                    maker != "Corvid Systems",
                    fleet.site == "TEACH" and fleet.modality in STEP_MODALITIES and number % 2 == 1,
                )
            )
    return tuple(made)
