"""What the dose pages share: their names, the row of links between them, and how they name a scanner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dash
from dash.development.base_component import Component

from dashboards._shell import urls
from dashboards._shell.reading import Reading
from dashboards._shell.subpages import subpages

PAGES = (
    (urls.DOSE, "Overview"),
    (urls.DOSE_INBOX, "Review"),
    (urls.DOSE_PROTOCOLS, "Protocols"),
    (urls.DOSE_FLUOROSCOPY, "Fluoroscopy"),
    (urls.DOSE_MODALITIES, "Other modalities"),
    (urls.DOSE_LEVELS, "Reference levels"),
    (urls.DOSE_DICTIONARY, "Dictionary"),
    (urls.DOSE_RULES, "Rules"),
    (urls.DOSE_PATIENTS, "Patients"),
    (urls.DOSE_SIGN_OFF, "Sign-off"),
)


def dose_pages(here: str, reading: Reading) -> Component:
    """Links to those of the dose pages that the reader's role opens."""
    return subpages([(path, name) for path, name in PAGES if _opens(path, reading)], here, reading)


def scanner_words(row: Mapping[str, Any]) -> str:
    """Name, maker, model, software and site of the scanner of an event or exam, as far as they are known."""
    software = f"software {row['software']}" if row["software"] else ""
    parts = (row["device_name"], row["manufacturer"], row["model"], software, row["site_name"])
    return " · ".join(part for part in parts if part)


def _opens(path: str, reading: Reading) -> bool:
    page = next((one for one in dash.page_registry.values() if one["path"] == path), None)
    return page is not None and reading.may(page.get("permission") or "")
