"""Which coded concept of a dose report is which column, and what its coded values mean (PS3.16 TID 10001 to 10024)."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from etl.sources.dose.sr_content import Code

CT_EVENT, XRAY_EVENT, ADMINISTRATION = "DCM:113819", "DCM:113706", "DCM:113502"
CT_TOTAL, XRAY_TOTAL = "DCM:113811", "DCM:113702"
FILTER = "DCM:113771"
LATERALITY = "SCT:272741003"

ROOTS = {"DCM:113701": "x-ray", "DCM:113500": "radiopharmaceutical", "99SMS_RADSUM:C-10": "summary"}
"""Concept of the root container to the kind of dose report."""

EVENT_KINDS = {CT_EVENT: "ct", XRAY_EVENT: "projection", ADMINISTRATION: "administration"}
"""Event containers."""

PROCEDURES = {"SCT:77477000": "ct", "DCM:113704": "projection", "SCT:71651007": "mammography"}
"""Procedure reported (121058)."""

SCOPES = {"DCM:113014": "study", "DCM:113015": "series", "DCM:113016": "step"}
"""Scope of accumulation (113705)."""

SUMMARY_COLUMNS = {
    "99SMS_RADSUM:C-202": "fluoro_time_total_s",
    "99SMS_RADSUM:C-204": "dap_total_gycm2",
    "99SMS_RADSUM:C-210": "rp_air_kerma_total_mgy",
}
"""Siemens Arcadis: the figures of its private summary report."""

BREASTS = {
    "SCT:80248007": "agd_total_left_mgy",
    "SCT:7771000": "agd_total_left_mgy",
    "SCT:73056007": "agd_total_right_mgy",
    "SCT:24028007": "agd_total_right_mgy",
}
"""Laterality of an accumulated average glandular dose (TID 10005)."""


def _columns(table: str) -> dict[str, str]:
    with Path(__file__).with_name("dose_concepts.csv").open(encoding="utf-8", newline="") as lines:
        return {
            f"{row['scheme']}:{row['code']}": row["column"] for row in csv.DictReader(lines) if row["table"] == table
        }


EVENT_COLUMNS = _columns("event")
"""Concept key to the column of an event."""
TOTAL_COLUMNS = _columns("total")
"""Concept key to the column of a report."""

_PLANES = {"DCM:113622": "single", "DCM:113620": "A", "DCM:113621": "B"}
_PHANTOMS = {"DCM:113690": "head16", "DCM:113691": "body32"}
_SIDES = {
    "SCT:24028007": "R", "SCT:7771000": "L", "SCT:51440002": "B",
    "SCT:73056007": "R", "SCT:80248007": "L", "SCT:63762007": "B",
}  # fmt: skip
_VIEWS = {
    "SCT:399162004": "CC", "SCT:399368009": "MLO", "SCT:399260004": "ML", "SCT:399352003": "LM", "SCT:399099002": "LMO",
    "SCT:399196006": "FB", "SCT:399188001": "SIO", "SCT:441555000": "ISO", "SCT:399192008": "XCCL",
    "SCT:399101009": "XCCM",
    "SCT:399348003": "AP", "SCT:272479007": "PA", "SCT:399173006": "LL", "SCT:399198007": "RL",
}  # fmt: skip
"""Views of CID 4010 and 4014 by the defined terms of (0018,5101)."""
_ANSWERS = {"SCT:373066001": True, "SCT:373067005": False}


def _meaning(code: Code) -> str | None:
    return code.meaning or code.value or None


def _value(code: Code) -> str | None:
    """The code value, SNOMED in its CT form, so that one acquisition type is one text."""
    return code.key.split(":", 1)[1] or None


_DECODERS: dict[str, Callable[[Code], object]] = {
    "plane": lambda code: _PLANES.get(code.key),
    "event_type": _value,
    "acquisition_type": _value,
    "reference_point": _value,
    "ctdi_phantom": lambda code: _PHANTOMS.get(code.key),
    "laterality": lambda code: _SIDES.get(code.key),
    "view": lambda code: _VIEWS.get(code.key) or _meaning(code),
    "is_repeat": lambda code: _ANSWERS.get(code.key),
    "alert_dlp_set": lambda code: _ANSWERS.get(code.key),
    "alert_ctdivol_set": lambda code: _ANSWERS.get(code.key),
    "notify_dlp_set": lambda code: _ANSWERS.get(code.key),
    "notify_ctdivol_set": lambda code: _ANSWERS.get(code.key),
}


def decoded(column: str, code: Code) -> object:
    """What a coded value is in its column; the code's meaning where the column is plain text."""
    return _DECODERS.get(column, _meaning)(code)


def view_of(code: Code) -> str | None:
    """A view code as the defined term of (0018,5101); None where there is none for it."""
    return _VIEWS.get(code.key)
