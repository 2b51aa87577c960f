"""The dose columns that the lake and the star share: one row a figure, with its unit and DICOM concept.

Names and units follow PS3.16 TID 10003 to 10015 and 10022; where a concept of the standard has another unit than the
column, the reader converts by the unit written in the file (`etl/sources`).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["number", "count", "text", "flag", "time"]


class DoseColumn(NamedTuple):
    """One figure or description of an irradiation event or an administration."""

    name: str
    kind: Kind
    unit: str | None
    source: str
    """Concept codes (DCM unless said) or header tags."""
    doc: str


DOSE_FIGURES = ("ctdivol_mgy", "dlp_mgycm", "dap_gycm2", "rp_air_kerma_mgy", "agd_mgy", "activity_mbq")
"""The figures that make an event's dose; two statements that differ in one of them disagree."""

TOTALS_TOLERANCE = 0.005
"""Share of a stated total by which the sum of its events may differ: rounding of the last digit, no more."""

EVENT_COLUMNS: tuple[DoseColumn, ...] = (
    DoseColumn("plane", "text", None, "113764", "Acquisition plane: single, A or B."),
    DoseColumn(
        "event_type",
        "text",
        None,
        "113721",
        "Fluoroscopy, stationary, stepping or rotational acquisition (code value).",
    ),
    DoseColumn(
        "acquisition_type",
        "text",
        None,
        "113820",
        "CT acquisition type (code value): spiral, sequenced, constant angle and so on.",
    ),
    DoseColumn("acquisition_protocol", "text", None, "125203; (0018,1030)", "Protocol name as the scanner wrote it."),
    DoseColumn(
        "target_region", "text", None, "123014; (0018,0015)", "Region that was irradiated, meaning of the code."
    ),
    DoseColumn("laterality", "text", None, "272741003 SCT; (0020,0062)", "L, R or B."),
    DoseColumn("view", "text", None, "111031; (0018,5101)", "Projection: CC, MLO, AP, PA and so on."),
    DoseColumn("ctdivol_mgy", "number", "mGy", "113830; (0018,9345)", "Mean CTDIvol; meaningless without the phantom."),
    DoseColumn(
        "ctdi_phantom",
        "text",
        None,
        "113835; (0018,9346)",
        "CTDI phantom; head16 or body32 (113690, 113691), whose CTDIvol differ by about 2.",
    ),
    DoseColumn("dlp_mgycm", "number", "mGy·cm", "113838", "Dose length product."),
    DoseColumn("dap_gycm2", "number", "Gy·cm²", "122130; (0018,115E)", "Dose area product."),
    DoseColumn("rp_air_kerma_mgy", "number", "mGy", "113738", "Air kerma at the reference point, Dose (RP)."),
    DoseColumn("agd_mgy", "number", "mGy", "111631; (0040,0316)", "Average glandular dose."),
    DoseColumn("activity_mbq", "number", "MBq", "113507; (0018,1074)", "Administered activity."),
    DoseColumn(
        "entrance_exposure_mgy", "number", "mGy", "111636; (0040,8302)", "Entrance exposure at the reference point."
    ),
    DoseColumn("reference_point", "text", None, "113780", "Where Dose (RP) applies: code value or text."),
    DoseColumn("ssde_stated_mgy", "number", "mGy", "113930", "Size-specific dose estimate as the scanner stated it."),
    DoseColumn(
        "effective_dose_stated_msv",
        "number",
        "mSv",
        "113839",
        "Effective dose as the scanner stated it, kept apart from estimates.",
    ),
    DoseColumn(
        "k_factor_stated", "number", "mSv/(mGy·cm)", "113840", "Conversion factor behind the stated effective dose."
    ),
    DoseColumn(
        "kvp",
        "number",
        "kV",
        "113733; (0018,0060)",
        "Tube voltage; first source of a CT, mean over the pulses of a projection.",
    ),
    DoseColumn("tube_current_ma", "number", "mA", "113734; (0018,1151)", "Tube current; mean over pulses."),
    DoseColumn("tube_current_mean_ma", "number", "mA", "113767", "Average tube current."),
    DoseColumn("tube_current_max_ma", "number", "mA", "113833", "Maximum tube current."),
    DoseColumn("exposure_mas", "number", "mAs", "113736; (0018,1153), (0018,9332), (0018,1152)", "Exposure."),
    DoseColumn("exposure_time_s", "number", "s", "113824; (0018,1150)", "Exposure time."),
    DoseColumn("irradiation_duration_s", "number", "s", "113742", "Irradiation duration."),
    DoseColumn("rotation_time_s", "number", "s", "113834", "Exposure time per rotation."),
    DoseColumn("pitch", "number", "1", "113828; (0018,9311)", "Pitch factor."),
    DoseColumn("collimation_single_mm", "number", "mm", "113826; (0018,9306)", "Nominal single collimation width."),
    DoseColumn("collimation_total_mm", "number", "mm", "113827; (0018,9307)", "Nominal total collimation width."),
    DoseColumn("scan_length_mm", "number", "mm", "113825", "Scanning length."),
    DoseColumn("reconstructable_length_mm", "number", "mm", "113893", "Length of reconstructable volume."),
    DoseColumn("exposed_range_mm", "number", "mm", "113899", "Exposed range."),
    DoseColumn("modulation", "text", None, "113842; (0018,9323)", "Tube current modulation."),
    DoseColumn("reconstruction_algorithm", "text", None, "113961", "Reconstruction algorithm."),
    DoseColumn("is_repeat", "flag", None, "128551", "Is a repeated acquisition."),
    DoseColumn("repeat_reason", "text", None, "128552", "Reason for repeating."),
    DoseColumn("size_lateral_mm", "number", "mm", "113931", "Measured lateral dimension."),
    DoseColumn("size_ap_mm", "number", "mm", "113932", "Measured AP dimension."),
    DoseColumn("size_effective_diameter_mm", "number", "mm", "113933", "Derived effective diameter."),
    DoseColumn("water_equivalent_diameter_mm", "number", "mm", "(0018,1271)", "Water equivalent diameter."),
    DoseColumn("alert_dlp_set", "flag", None, "113901", "A DLP alert value was configured."),
    DoseColumn("alert_ctdivol_set", "flag", None, "113902", "A CTDIvol alert value was configured."),
    DoseColumn("alert_dlp_mgycm", "number", "mGy·cm", "113903", "DLP alert value."),
    DoseColumn("alert_ctdivol_mgy", "number", "mGy", "113904", "CTDIvol alert value."),
    DoseColumn("alert_dlp_forward_mgycm", "number", "mGy·cm", "113905", "Accumulated DLP forward estimate."),
    DoseColumn("alert_ctdivol_forward_mgy", "number", "mGy", "113906", "Accumulated CTDIvol forward estimate."),
    DoseColumn("notify_dlp_set", "flag", None, "113909", "A DLP notification value was configured."),
    DoseColumn("notify_ctdivol_set", "flag", None, "113910", "A CTDIvol notification value was configured."),
    DoseColumn("notify_dlp_mgycm", "number", "mGy·cm", "113911", "DLP notification value."),
    DoseColumn("notify_ctdivol_mgy", "number", "mGy", "113912", "CTDIvol notification value."),
    DoseColumn("notify_dlp_forward_mgycm", "number", "mGy·cm", "113913", "DLP forward estimate."),
    DoseColumn("notify_ctdivol_forward_mgy", "number", "mGy", "113914", "CTDIvol forward estimate."),
    DoseColumn("reason_for_proceeding", "text", None, "113907", "Why the scan went on after a dose check."),
    DoseColumn("hvl_mm_al", "number", "mm Al", "111634", "Half value layer."),
    DoseColumn("pulse_rate_per_s", "number", "1/s", "113791", "Pulse rate."),
    DoseColumn("pulses", "number", "1", "113768", "Number of pulses or frames."),
    DoseColumn("pulse_width_ms", "number", "ms", "113793", "Pulse width; mean over pulses."),
    DoseColumn(
        "filter_material", "text", None, "113757; (0018,7050)", "Filter materials, in the order stated, joined by `; `."
    ),
    DoseColumn(
        "filter_thickness_min_mm", "number", "mm", "113758; (0018,7052)", "Filter thickness, minimum, first filter."
    ),
    DoseColumn(
        "filter_thickness_max_mm", "number", "mm", "113773; (0018,7054)", "Filter thickness, maximum, first filter."
    ),
    DoseColumn("anode_material", "text", None, "111632; (0018,1191)", "Anode target material."),
    DoseColumn("field_area_cm2", "number", "cm²", "113790", "Collimated field area."),
    DoseColumn("field_height_mm", "number", "mm", "113788", "Collimated field height."),
    DoseColumn("field_width_mm", "number", "mm", "113789", "Collimated field width."),
    DoseColumn("primary_angle_deg", "number", "°", "112011", "Positioner primary angle."),
    DoseColumn("secondary_angle_deg", "number", "°", "112012", "Positioner secondary angle."),
    DoseColumn("primary_end_angle_deg", "number", "°", "113739", "Positioner primary end angle."),
    DoseColumn("secondary_end_angle_deg", "number", "°", "113740", "Positioner secondary end angle."),
    DoseColumn("compression_thickness_mm", "number", "mm", "111633; (0018,11A0)", "Compression thickness."),
    DoseColumn("compression_force_n", "number", "N", "111647; (0018,11A2)", "Compression force."),
    DoseColumn("source_to_isocentre_mm", "number", "mm", "113748", "Distance source to isocentre."),
    DoseColumn("source_to_rp_mm", "number", "mm", "113737", "Distance source to reference point."),
    DoseColumn("source_to_detector_mm", "number", "mm", "113750; (0018,1110)", "Distance source to detector."),
    DoseColumn("table_longitudinal_mm", "number", "mm", "113751", "Table longitudinal position."),
    DoseColumn("table_lateral_mm", "number", "mm", "113752", "Table lateral position."),
    DoseColumn("table_height_mm", "number", "mm", "113753", "Table height; zero point by vendor."),
    DoseColumn("exposure_index", "number", "1", "113845; (0018,1411)", "Exposure index, IEC 62494-1."),
    DoseColumn("exposure_index_target", "number", "1", "113846; (0018,1412)", "Target exposure index."),
    DoseColumn("deviation_index", "number", "1", "113847; (0018,1413)", "Deviation index."),
    DoseColumn("half_life_s", "number", "s", "304283002 SCT; (0018,1075)", "Radionuclide half life."),
    DoseColumn(
        "radiopharmaceutical", "text", None, "417881006 SCT; (0018,0031)", "Agent, meaning of the code or text."
    ),
    DoseColumn("radionuclide", "text", None, "89457008 SCT; (0054,0300)", "Radionuclide, meaning of the code."),
    DoseColumn("specific_activity", "number", "Bq/mol", "123007", "Specific activity."),
    DoseColumn("extravasated_mbq", "number", "MBq", "113506", "Estimated extravasation activity."),
    DoseColumn("activity_before_mbq", "number", "MBq", "113508", "Pre-administration measured activity."),
    DoseColumn("activity_after_mbq", "number", "MBq", "113509", "Post-administration measured activity."),
    DoseColumn("organ_dose_mgy", "number", "mGy", "113518", "Organ dose as stated; several organs stand in `stated`."),
    DoseColumn("administered_to", "time", "UTC", "123004", "End of the administration."),
)
"""Figures of one irradiation event or administration."""

TOTAL_COLUMNS: tuple[DoseColumn, ...] = (
    DoseColumn("events_stated", "number", "1", "113812", "Number of irradiation events that the report says it has."),
    DoseColumn("dlp_total_mgycm", "number", "mGy·cm", "113813", "Stated DLP total."),
    DoseColumn("effective_dose_total_msv", "number", "mSv", "113814", "Stated effective dose total."),
    DoseColumn("dap_total_gycm2", "number", "Gy·cm²", "113722", "Stated DAP total, summed over planes."),
    DoseColumn("dap_fluoro_total_gycm2", "number", "Gy·cm²", "113726", "Stated fluoroscopy DAP."),
    DoseColumn("dap_acquisition_total_gycm2", "number", "Gy·cm²", "113727", "Stated acquisition DAP."),
    DoseColumn(
        "rp_air_kerma_total_mgy",
        "number",
        "mGy",
        "113725",
        "Stated Dose (RP) total, summed over planes; the sum is not a skin dose.",
    ),
    DoseColumn("rp_fluoro_total_mgy", "number", "mGy", "113728", "Stated fluoroscopy Dose (RP)."),
    DoseColumn("rp_acquisition_total_mgy", "number", "mGy", "113729", "Stated acquisition Dose (RP)."),
    DoseColumn("fluoro_time_total_s", "number", "s", "113730", "Stated fluoroscopy time."),
    DoseColumn("acquisition_time_total_s", "number", "s", "113855", "Stated acquisition time."),
    DoseColumn("frames_total", "number", "1", "113731", "Stated number of radiographic frames."),
    DoseColumn("agd_total_left_mgy", "number", "mGy", "111637", "Stated accumulated AGD, left breast."),
    DoseColumn("agd_total_right_mgy", "number", "mGy", "111637", "Stated accumulated AGD, right breast."),
)
"""What a report states over all its events."""
