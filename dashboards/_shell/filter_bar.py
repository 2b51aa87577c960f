"""The filter bar: what can be chosen inside the reader's scope, and what is chosen now."""

from __future__ import annotations

from collections.abc import Sequence

import dash_mantine_components as dmc
from dash import dcc, html
from dash.development.base_component import Component
from sqlalchemy import select

from dashboards._shell.ids import Shell
from dashboards._shell.reading import PATIENT_CLASSES, PRIORITIES, Reading
from warehouse.filters import LISTS, PERIODS, exam_clause
from warehouse.schema import fact_exam

PERIOD_NAMES = {
    "7d": "Last 7 days",
    "28d": "Last 28 days",
    "90d": "Last 90 days",
    "365d": "Last 12 months",
    "10y": "Last 10 years",
}
CHOICE = "shell-choice"
"""Type of the pattern ids of what a page lets choose besides filters; their `key` is the word in the address."""

Option = dict[str, str]


def filter_bar(reading: Reading, path: str) -> Component:
    """The bar with the filters' present values; the browser keeps it and the address together."""
    filters, names = reading.filters, reading.names
    first = [
        _period(reading),
        _many(
            Shell.SITE,
            "Site",
            [{"value": code, "label": name} for code, name in names.sites.items()],
            filters.site,
            "All sites",
        ),
        _many(
            Shell.MODALITY,
            "Modality",
            [{"value": code, "label": code} for code in modalities(reading)],
            filters.modality,
            "All modalities",
        ),
        _many(Shell.PATIENT_CLASS, "Patient class", _options(PATIENT_CLASSES), filters.patient_class, "All classes"),
    ]
    more = [
        _many(Shell.PRIORITY, "Priority", _options(PRIORITIES), filters.priority, "All priorities"),
        _many(Shell.SECTION, "Reading section", _options(dict(names.sections)), filters.section, "All sections"),
        _many(Shell.DEVICE, "Device", _devices(reading), filters.device, "All devices"),
        _many(Shell.PROCEDURE, "Procedure", _options(used(reading, "procedure")), filters.procedure, "All procedures"),
        _many(Shell.PROTOCOL, "Protocol", _options(used(reading, "protocol")), filters.protocol, "All protocols"),
    ]
    is_open = any(getattr(filters, name) for name in LISTS[LISTS.index("priority") :])
    buttons = [
        html.Button(
            "Fewer filters" if is_open else "More filters",
            id=Shell.MORE_TOGGLE,
            className="button quiet",
            type="button",
            **{"aria-expanded": str(is_open).lower(), "aria-controls": Shell.MORE},
        ),
        dcc.Link("Clear", href=path, className="button quiet"),
    ]
    chosen = sum(bool(getattr(filters, name)) for name in LISTS)
    toggle = html.Button(
        [html.Span(className="icon icon-filter"), f"Filters{f' ({chosen})' if chosen else ''}"], id=Shell.FILTERS_TOGGLE, className="button only-phone",
        type="button", **{"aria-expanded": "false", "aria-controls": Shell.FILTERS},
    )  # fmt: skip
    bar = html.Div(
        [html.Div([*first, html.Div(buttons, className="filter-buttons")], className="filter-row"), html.Div(more, id=Shell.MORE, className="filter-row more" if is_open else "filter-row more closed")],
        id=Shell.FILTERS, className="filter-bar", role="search", **{"aria-label": "Filters"},
    )  # fmt: skip
    return html.Div([toggle, bar], className="filters")


def choice(key: str, label: str, options: Sequence[tuple[str, str]], value: str, default: str) -> Component:
    """A choice of the page's own, kept in the address under `key` where it is not the default."""
    data = [{"value": code, "label": name} for code, name in options]
    return dmc.Select(
        id={"type": CHOICE, "key": key, "default": default},
        label=label,
        data=data,
        value=value,
        allowDeselect=False,
        checkIconPosition="right",
        className="choice",
        size="sm",
    )


def modalities(reading: Reading) -> list[str]:
    """Modalities that the scope has exams of."""
    column = fact_exam.c.modality
    frame = reading.star.frame(
        select(column).distinct().where(exam_clause(reading.scope), column.is_not(None)).order_by(column)
    )
    return frame["modality"].to_list()


def used(reading: Reading, name: str) -> dict[str, str]:
    """Procedures or protocols that the scope has exams of, by key, in the order of their names."""
    column = fact_exam.c[f"{name}_key"]
    frame = reading.star.frame(select(column.label("key")).distinct().where(exam_clause(reading.scope), column != 0))
    keys = {str(key) for key in frame["key"]}
    names = reading.names.procedures if name == "procedure" else reading.names.protocols
    return {key: text for key, text in names.items() if key in keys}


def _period(reading: Reading) -> Component:
    filters = reading.filters
    options = [{"value": key, "label": PERIOD_NAMES[key]} for key in PERIODS] + [
        {"value": "custom", "label": "From … to …"}
    ]
    is_custom = filters.period == "custom"
    days = dmc.DatePickerInput(
        id=Shell.DAYS, type="range", label="From – to", value=[filters.start.isoformat(), filters.end.isoformat()] if is_custom else [None, None], valueFormat="D MMM YYYY",
        placeholder="Choose two days", size="sm", className="filter days" if is_custom else "filter days closed", allowSingleDateInRange=True,
        ariaLabels={"previousMonth": "Earlier month", "nextMonth": "Later month"},
    )  # fmt: skip
    select_period = dmc.Select(
        id=Shell.PERIOD,
        label="Period",
        data=options,
        value=filters.period,
        allowDeselect=False,
        checkIconPosition="right",
        size="sm",
        className="filter period",
    )
    return html.Div([select_period, days], className="filter-period")


def _many(component_id: Shell, label: str, options: list[Option], value: tuple[str, ...], nothing: str) -> Component:
    known = {option["value"] for option in options}
    strangers = [{"value": code, "label": code} for code in value if code not in known]
    return dmc.MultiSelect(
        id=component_id, label=label, data=options + strangers, value=list(value), placeholder="" if value else nothing, searchable=True, clearable=True,
        nothingFoundMessage="Nothing of that name", hidePickedOptions=False, size="sm", className="filter", maxDropdownHeight=320,
        clearButtonProps={"aria-label": f"Clear {label.lower()}"},
    )  # fmt: skip


def _options(names: dict[str, str]) -> list[Option]:
    return [{"value": code, "label": name} for code, name in names.items()]


def _devices(reading: Reading) -> list[Option]:
    names = reading.names
    return [
        {
            "value": code,
            "label": f"{name} · {names.device_modalities[code]} · {names.sites.get(names.device_sites[code], names.device_sites[code])}",
        }
        for code, name in names.devices.items()
    ]
