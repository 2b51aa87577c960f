"""What the dose pages share: their names and the row of links between them."""

from __future__ import annotations

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


def _opens(path: str, reading: Reading) -> bool:
    page = next((one for one in dash.page_registry.values() if one["path"] == path), None)
    return page is not None and reading.may(page.get("permission") or "")
