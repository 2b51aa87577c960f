"""Which measures are watched for change, and split how finely."""

from __future__ import annotations

from typing import NamedTuple


class Watched(NamedTuple):
    """One measure, the splits in which it is watched, and what it is about."""

    topic: str
    """Of findings on one topic in overlapping places only the most consequential is told."""
    measure: str
    splits: tuple[tuple[str, ...], ...]
    """Breakdowns of `warehouse.measures`; the empty split is the whole network."""
    settles_in_weeks: int = 0
    """Weeks until a week's value stops changing, because reports or charges of its exams are still to come."""


_WHOLE: tuple[str, ...] = ()
_NETWORK = (_WHOLE, ("site",), ("modality",), ("site", "modality"))
_SCANNER = (("site",), ("device",))
_PROTOCOL = (("device",), ("protocol",), ("device", "protocol"))

WATCHED = (
    Watched("volume", "exams", (*_NETWORK, ("device",))),
    Watched("volume", "evening_exams", (("site",), ("device",))),
    Watched("booking", "no_show_share", (("site",), ("modality",))),
    Watched("booking", "cancelled_share", (("site",), ("modality",))),
    Watched("access", "order_to_start_minutes_p50", _NETWORK),
    Watched("access", "arrival_wait_minutes_p50", _NETWORK),
    Watched("turnaround", "report_minutes_p50", (*_NETWORK, ("procedure",)), settles_in_weeks=1),
    Watched("turnaround", "report_minutes_p90", _NETWORK, settles_in_weeks=1),
    Watched("scanner", "scanner_utilization", _SCANNER),
    Watched("scanner", "exam_minutes_p50", (("device",),)),
    Watched("dose", "ctdivol_p50", _PROTOCOL),
    Watched("dose", "ctdivol_head_p50", _PROTOCOL),
    Watched("dose", "dlp_p50", _PROTOCOL),
    Watched("dose", "dap_p50", _PROTOCOL),
    Watched("dose", "agd_p50", (("device",),)),
    Watched("dose capture", "dose_capture_share", _SCANNER),
    Watched("worklist", "worklist_share", _SCANNER),
    Watched("orders", "orderless_share", _SCANNER),
    Watched("charges", "unbilled_share", (("site",), ("modality",), ("site", "modality")), settles_in_weeks=3),
)
