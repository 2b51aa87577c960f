"""Pictures and columns of the review pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from dashboards._shell import charts, numbers, urls
from dashboards._shell.charts import Figure
from dashboards._shell.look import Look
from dashboards._shell.tables import Column
from dashboards.dose.figures import peer_histogram
from insights.dose.evidence import Evidence

PEER_COLUMNS: Mapping[str, str] = {
    "ctdivol_mgy": "ctdivol_max_mgy",
    "dlp_mgycm": "dlp_mgycm",
    "ssde_mgy": "ssde_max_mgy",
    "dap_gycm2": "dap_exam_gycm2",
    "rp_air_kerma_mgy": "rp_exam_mgy",
    "agd_mgy": "agd_mgy",
    "activity_mbq": "activity_mbq",
    "fluoro_time_s": "fluoro_time_total_s",
}
"""Quantity of a rule to the column of `fact_exam_dose` that peers are compared by."""

EVENT_TABLE = (
    Column("event_number", "No.", "number", link=lambda row: urls.dose_event(row["event_key"])),
    Column("started_at", "Began", "moment"),
    Column("protocol_name", "Protocol"),
    Column("target_region", "Region"),
    Column("laterality", "Side"),
    Column("view", "View"),
    Column("plane", "Plane"),
    Column("ctdivol_mgy", "CTDIvol", "number", "mGy"),
    Column("ctdi_phantom", "Phantom"),
    Column("dlp_mgycm", "DLP", "number", "mGy·cm"),
    Column("ssde_mgy", "SSDE", "number", "mGy"),
    Column("dap_gycm2", "DAP", "number", "Gy·cm²"),
    Column("rp_air_kerma_mgy", "Dose (RP)", "number", "mGy"),
    Column("agd_mgy", "AGD", "number", "mGy"),
    Column("activity_mbq", "Activity", "number", "MBq"),
    Column("radiopharmaceutical", "Agent"),
    Column("kvp", "Voltage", "number", "kV"),
    Column("tube_current_mean_ma", "Current", "number", "mA"),
    Column("exposure_mas", "Exposure", "number", "mAs"),
    Column("pitch", "Pitch", "number", "", 2),
    Column("scan_length_mm", "Length", "number", "mm"),
    Column("modulation", "Modulation"),
    Column("exposure_index", "Exposure index", "number"),
    Column("deviation_index", "Deviation index", "number", "", 2),
    Column("compression_thickness_mm", "Thickness", "number", "mm"),
    Column("alert_dlp_mgycm", "Alert DLP", "number", "mGy·cm"),
    Column("alert_ctdivol_mgy", "Alert CTDIvol", "number", "mGy"),
    Column("notify_dlp_mgycm", "Notification DLP", "number", "mGy·cm"),
    Column("notify_ctdivol_mgy", "Notification CTDIvol", "number", "mGy"),
    Column("reason_for_proceeding", "Reason to proceed"),
    Column("is_repeat", "Repeat"),
    Column("object_class", "From"),
    Column("flags", "Doubts"),
)


def peers(frame: pl.DataFrame, found: Evidence, look: Look) -> Figure:
    """The value in the histogram of its peers."""
    return peer_histogram(sorted(frame["value"]), float(found.value), found.unit, look, "this exam")


def by_size(frame: pl.DataFrame, exam: Mapping[str, Any], found: Evidence, look: Look) -> Figure:
    """Dose against size on a logarithmic scale, with the trend of the peers and this exam marked."""
    size, value = frame["size_cm"].to_numpy(), frame["value"].to_numpy()
    slope, level = np.polyfit(size, np.log(value), 1) if len(set(size)) > 1 else (0.0, float(np.log(value).mean()))
    low, high = float(min(size.min(), exam["size_cm"])) - 1, float(max(size.max(), exam["size_cm"])) + 1
    dots = {
        "type": "scatter", "mode": "markers", "x": [float(one) for one in size], "y": [float(one) for one in value],
        "marker": {"color": look.faint, "size": 6, "opacity": 0.8},
        "hovertext": [f"<b>{numbers.shown(float(y), found.unit)}</b><br>{x:.1f} cm" for x, y in zip(size, value, strict=True)],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }  # fmt: skip
    trend = {
        "type": "scatter", "mode": "lines", "x": [low, high], "y": [float(np.exp(level + slope * at)) for at in (low, high)],
        "line": {"color": look.variation["common"], "width": 1.5, "dash": "dot"}, "hoverinfo": "skip",
    }  # fmt: skip
    this = {
        "type": "scatter", "mode": "markers+text", "x": [exam["size_cm"]], "y": [found.value], "text": ["this exam"], "textposition": "top center",
        "textfont": {"size": 12, "color": look.text}, "marker": {"color": look.variation["concern"], "size": 12, "symbol": "diamond"}, "cliponaxis": False,
        "hovertext": [f"<b>{numbers.shown(found.value, found.unit)}</b><br>{exam['size_cm']:.1f} cm"], "hovertemplate": "%{hovertext}<extra></extra>",
    }  # fmt: skip
    least, most = float(min(value.min(), found.value)) * 0.8, float(max(value.max(), found.value)) * 1.35
    ticks = charts.log_ticks(least, most)
    return charts.figure(
        [dots, trend, this], look, height=300,
        xaxis=charts.value_axis(low, high, "", look, showgrid=False, title={"text": "size, cm", "font": {"size": 12, "color": look.muted}, "standoff": 6}),
        yaxis=charts.axis(look, type="log", range=[float(np.log10(least)), float(np.log10(most))], tickvals=ticks, ticktext=[numbers.rounded(one) for one in ticks], title={"text": found.unit, "font": {"size": 12, "color": look.muted}}),
    )  # fmt: skip
