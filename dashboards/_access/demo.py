"""The people of the demo: one a role, some of them limited to one site."""

from __future__ import annotations

from dataclasses import dataclass

from dashboards._access.people import Person
from settings import Settings
from state.roles import Role

PREFIX = "demo:"


@dataclass(frozen=True)
class DemoPerson:
    """One button of the demo's sign-in page."""

    key: str
    role: Role
    title: str
    sees: str
    """What this person sees, in a sentence."""
    one_site: bool = False


DEMO_PEOPLE = (
    DemoPerson("executive", Role.EXECUTIVE, "Executive", "The whole network in headline figures. No single exam."),
    DemoPerson("operations", Role.OPERATIONS, "Operations", "Scanners and turnaround at every site, down to exams."),
    DemoPerson(
        "site_operations",
        Role.OPERATIONS,
        "Operations, one site",
        "The same pages, limited to one hospital.",
        one_site=True,
    ),
    DemoPerson(
        "radiation_safety",
        Role.RADIATION_SAFETY,
        "Radiation safety",
        "Dose by protocol and device, and each exam behind it.",
    ),
    DemoPerson(
        "physicist", Role.PHYSICIST, "Physicist", "Dose and devices at one site, without identities.", one_site=True
    ),
    DemoPerson("finance", Role.FINANCE, "Finance", "Volumes and use of capacity as counts. No single exam."),
    DemoPerson(
        "reading_lead", Role.READING_LEAD, "Reading lead", "Turnaround down to single readers, and each exam behind it."
    ),
    DemoPerson(
        "data_steward", Role.DATA_STEWARD, "Data steward", "Loads, data quality, mappings, and what was rejected."
    ),
    DemoPerson("administrator", Role.ADMINISTRATOR, "Administrator", "Every page in counts; accounts and audit."),
)


def demo_person(settings: Settings, key: str | None) -> Person | None:
    """The person of the demo with this key."""
    for person in DEMO_PEOPLE:
        if person.key == key:
            sites = (settings.sites[-1].code,) if person.one_site else None
            return Person(f"{PREFIX}{person.key}", person.title, (person.role,), sites, demo=True)
    return None


def demo_choices(settings: Settings) -> list[tuple[DemoPerson, str]]:
    """The people to choose from, each with the name of the site that they are limited to, or nothing."""
    if len(settings.sites) == 1:
        return [(person, "") for person in DEMO_PEOPLE if person.key != "site_operations"]
    return [(person, settings.sites[-1].name if person.one_site else "") for person in DEMO_PEOPLE]
