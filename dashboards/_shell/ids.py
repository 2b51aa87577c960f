"""Ids of what all pages share; each page has its own enumeration with its own prefix."""

from __future__ import annotations

from enum import StrEnum


class Shell(StrEnum):
    """Components of the shell."""

    APP = "shell-app"
    BURGER = "shell-burger"
    THEME = "shell-theme"
    THEME_CHOICE = "shell-theme-choice"
    TOASTS = "shell-toasts"
    QUERY = "shell-query"
    FRESHNESS = "shell-freshness"
    TICK = "shell-tick"
    FILTERS = "shell-filters"
    FILTERS_TOGGLE = "shell-filters-toggle"
    MORE = "shell-filters-more"
    MORE_TOGGLE = "shell-filters-more-toggle"
    PERIOD = "shell-filter-period"
    DAYS = "shell-filter-days"
    SITE = "shell-filter-site"
    MODALITY = "shell-filter-modality"
    PATIENT_CLASS = "shell-filter-patient-class"
    PRIORITY = "shell-filter-priority"
    SECTION = "shell-filter-section"
    DEVICE = "shell-filter-device"
    PROCEDURE = "shell-filter-procedure"
    PROTOCOL = "shell-filter-protocol"


NAV = "shell-nav"
"""Type of the pattern ids of navigation links; their `page` is the address."""
