"""Which measures are watched for change week by week, and split how finely."""

from __future__ import annotations

from typing import NamedTuple


class Watched(NamedTuple):
    """One measure, the splits in which it is watched, and what it is about."""

    topic: str
    """Key of `insights.finding.TOPICS`."""
    measure: str
    splits: tuple[tuple[str, ...], ...]
    """Breakdowns of `warehouse.measures`; the empty split is the whole network."""
    least: float
    """Smaller changes are not told: percentage points of a share, else percent of the usual."""
    settles_in_weeks: int = 0
    """Weeks until a week's value stops changing, because reports or charges of its exams are still to come."""
    least_weeks: int = 1
    """Shorter runs are not told: of waits, which a holiday or a full list moves for a week."""
    drifts: bool = False
    """Also judged over the latest six to twenty weeks: a queue grows slowly."""
    is_share: bool = False
    """A share of the n exams behind it, so that parts give the whole; counts always do."""


_PROTOCOL = ("device", "protocol")
_READING = (("section", "modality", "patient_class"),)

WATCHED = (
    Watched(
        "volume",
        "exams",
        (
            (),
            ("site",),
            ("site", "modality"),
            ("site", "modality", "patient_class"),
            ("site", "procedure"),
            ("device",),
        ),
        25.0,
    ),
    Watched("booking", "no_show_share", (("site",), ("site", "modality")), 5.0, is_share=True),
    Watched("booking", "cancel_share", (("site",), ("site", "modality")), 6.0, is_share=True),
    Watched("access", "order_to_start_minutes_p50", (("site", "modality", "patient_class"),), 30.0, least_weeks=3),
    Watched("access", "arrival_wait_minutes_p50", (("site", "modality"),), 30.0, least_weeks=3),
    Watched("turnaround", "report_minutes_p50", _READING, 50.0, settles_in_weeks=1, least_weeks=2, drifts=True),
    Watched("turnaround", "report_minutes_p90", _READING, 50.0, settles_in_weeks=1, least_weeks=2, drifts=True),
    Watched("turnaround", "report_minutes_p50", (("site", "modality"),), 30.0, settles_in_weeks=1, least_weeks=2),
    Watched("scanner", "scanner_utilization", (("device",),), 8.0),
    Watched("scanner", "exam_minutes_p50", (("device",),), 15.0),
    Watched("dose", "ctdivol_p50", (_PROTOCOL,), 10.0, least_weeks=2),
    Watched("dose", "ctdivol_head_p50", (_PROTOCOL,), 10.0, least_weeks=2),
    Watched("dose", "dlp_p50", (_PROTOCOL,), 15.0, least_weeks=2),
    Watched("dose", "dap_p50", (_PROTOCOL,), 20.0, least_weeks=2),
    Watched("dose", "agd_p50", (("device",),), 10.0),
    Watched("worklist", "worklist_share", (("site",), ("device",)), 10.0, is_share=True),
    Watched("orders", "orderless_share", (("site",), ("device",)), 8.0, is_share=True),
    Watched(
        "charges",
        "unbilled_share",
        (("site",), ("modality",), ("site", "modality")),
        8.0,
        settles_in_weeks=3,
        is_share=True,
    ),
)
