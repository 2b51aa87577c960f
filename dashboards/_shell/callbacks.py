"""The shell's own callbacks: most run in the browser (`assets/shell.js`)."""

from __future__ import annotations

import dash
from dash import ALL, ClientsideFunction, Input, Output, State

from dashboards._shell import layout
from dashboards._shell.filter_bar import CHOICE
from dashboards._shell.ids import NAV, Shell

FILTERS = {
    "period": Shell.PERIOD, "days": Shell.DAYS, "site": Shell.SITE, "modality": Shell.MODALITY, "patient_class": Shell.PATIENT_CLASS,
    "priority": Shell.PRIORITY, "section": Shell.SECTION, "device": Shell.DEVICE, "procedure": Shell.PROCEDURE, "protocol": Shell.PROTOCOL,
}  # fmt: skip


def register(app: dash.Dash) -> None:
    """Adds the callbacks to the app."""
    in_browser = app.clientside_callback
    in_browser(
        ClientsideFunction("shell", "filtersToQuery"),
        Output(Shell.QUERY, "data"),
        *[Input(component, "value") for component in FILTERS.values()],
        Input({"type": CHOICE, "key": ALL, "default": ALL}, "value"),
        State({"type": CHOICE, "key": ALL, "default": ALL}, "id"),
        State(Shell.QUERY, "data"),
        prevent_initial_call=True,
    )
    in_browser(
        ClientsideFunction("shell", "showDays"),
        Output(Shell.DAYS, "className"),
        Input(Shell.PERIOD, "value"),
        prevent_initial_call=True,
    )
    in_browser(
        ClientsideFunction("shell", "navigation"),
        Output({"type": NAV, "page": ALL}, "href"), Output({"type": NAV, "page": ALL}, "active"), Output(Shell.BURGER, "opened"),
        Input(Shell.QUERY, "data"), State({"type": NAV, "page": ALL}, "id"),
    )  # fmt: skip
    in_browser(
        ClientsideFunction("shell", "openNavigation"),
        Output(Shell.APP, "navbar"),
        Input(Shell.BURGER, "opened"),
        State(Shell.APP, "navbar"),
    )
    in_browser(
        ClientsideFunction("shell", "toggleFilters"), Output(Shell.FILTERS, "className"), Output(Shell.FILTERS_TOGGLE, "aria-expanded"),
        Input(Shell.FILTERS_TOGGLE, "n_clicks"), prevent_initial_call=True,
    )  # fmt: skip
    in_browser(
        ClientsideFunction("shell", "toggleMore"), Output(Shell.MORE, "className"), Output(Shell.MORE_TOGGLE, "children"), Output(Shell.MORE_TOGGLE, "aria-expanded"),
        Input(Shell.MORE_TOGGLE, "n_clicks"), State(Shell.MORE, "className"), prevent_initial_call=True,
    )  # fmt: skip
    in_browser(
        ClientsideFunction("shell", "chooseTheme"),
        Output(Shell.THEME_CHOICE, "value"),
        Input(Shell.THEME_CHOICE, "value"),
    )
    app.callback(
        Output(Shell.FRESHNESS, "children"),
        Output(Shell.FRESHNESS, "className"),
        Input(Shell.TICK, "n_intervals"),
        prevent_initial_call=True,
    )(freshness)


def freshness(_ticks: int | None) -> tuple[str, str]:
    """How fresh the data is now."""
    return layout.freshness()
