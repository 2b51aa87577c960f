"""Sign-off of a day, week or month: what is open or missing is named, and signed with it; and the inspector's pack."""

from __future__ import annotations

from datetime import date, timedelta

import dash
import polars as pl
from dash import dcc, html
from dash.development.base_component import Component

from dashboards._shell import numbers, urls
from dashboards._shell.cards import Card
from dashboards._shell.decisions import DECIDING, decision_list, standing
from dashboards._shell.forms import Field, Form, html_form
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Table
from dashboards.dose.parts import dose_pages
from dashboards.review import queries
from dashboards.review.cases import reviews_of_server
from dashboards.review.classes import suspected_form
from dashboards.review.gaps import gaps_of
from dashboards.review.pack import KINDS
from state.decisions import DecisionKind
from state.roles import Permission

PERIODS = {"1": "The last full day", "7": "The last 7 days", "30": "The last 30 days"}
DEFAULT_PERIOD = "1"
MOST_SIGNED = 60

dash.register_page(
    __name__,
    path=urls.DOSE_SIGN_OFF,
    name="Sign-off",
    title="Dose sign-off – Isocenter",
    permission=Permission.REVIEW_DOSE,
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("review.sign-parts", height=60, is_wide=True),
        slot("review.sign", height=360),
        slot("review.pack", height=360),
        slot("review.suspected", height=160, is_wide=True),
        slot("review.signed", height=260, is_wide=True),
    ]
    return page(
        "Sign-off",
        urls.DOSE_SIGN_OFF,
        query,
        content,
        intro="A signature says that the alerts of a period were dealt with and its doses captured. What is not is named with it.",
        has_filters=False,
    )


@section("review.sign-parts")
def parts(reading: Reading) -> Drawn:
    """Links to the other dose pages."""
    return dose_pages(urls.DOSE_SIGN_OFF, reading)


@section("review.sign")
def sign(reading: Reading) -> Drawn:
    """The gaps of the chosen period, and the signature."""
    first, last = _period(reading)
    site = _site(reading)
    sites = list(reading.names.sites.items())
    every = [] if reading.scope.sites is not None else [("", "All sites")]
    choices = html.Div(
        [
            address_choice("Period", "days", list(PERIODS.items()), _days(reading), at=site),
            address_choice("Site", "at", [*every, *sites], site, days=_days(reading)),
        ],
        className="address-choices",
    )
    found = gaps_of(reading, first, last, site)
    where = reading.names.sites.get(site, "all sites")
    if found:
        title = f"{numbers.days(first, last)}: {len(found)} {'thing is' if len(found) == 1 else 'things are'} open"
        body: Component = html.Ul([html.Li(dcc.Link(gap.words, href=gap.href)) for gap in found], className="gaps")
    else:
        title = f"{numbers.days(first, last)}: nothing is open"
        body = html.P("All alerts are closed, and every exam that should have a dose has one.")
    field = Field(
        "text",
        "Words" if not found else "Why it is signed nevertheless",
        "textarea",
        required=bool(found),
    )
    form = Form(
        urls.DOSE_SIGN,
        "Sign",
        (field,),
        {"first": first.isoformat(), "last": last.isoformat(), "site": site},
    )
    heading = html.Div([html.H2(title), html.P(f"Of {where}", className="subtitle")])
    return html.Section(
        [choices, heading, body, html_form(form, f"Sign {numbers.days(first, last)}")],
        className="card",
    )


@section("review.pack")
def pack(reading: Reading) -> Drawn:
    """The inspector's pack of a period, as files."""
    last = reading.as_of
    periods = [
        ("Last 30 days", last - timedelta(days=29)),
        ("Last 12 months", last.replace(day=1) - timedelta(days=334)),
    ]
    rows = [
        html.Li(
            [
                html.Span(f"{name}: {numbers.days(first, last)} "),
                *[
                    html.A(
                        kind.upper(),
                        href=urls.page(urls.DOSE_PACK, None, first=first.isoformat(), last=last.isoformat(), kind=kind),
                        className="button",
                        download=True,
                        **{"aria-label": f"Inspector's pack, {name}, {kind.upper()}"},
                    )
                    for kind in KINDS
                ],
            ]
        )
        for name, first in periods
    ]
    wrong = reviews_of_server().verify()
    sealed = (
        "Every kept step agrees with the audit that seals it."
        if not wrong
        else f"The reviews were tampered with: {wrong[0]}."
    )
    return html.Section(
        [
            html.H2("Pack for an inspector"),
            html.P(
                "Levels with their sources, medians, capture by device, alerts with their reviews, open items, devices and method. "
                "The same period of the same data gives the same bytes.",
                className="subtitle",
            ),
            html.Ul(rows, className="gaps"),
            html.P(sealed, className="note" if not wrong else "form-error"),
        ],
        className="card",
    )


@section("review.suspected")
def suspected(reading: Reading) -> Drawn:
    """Exposures that may be no patient's: a person says what they are."""
    frame = queries.suspected(reading)
    kept = standing(reading, DecisionKind.EXPOSURE_CLASS)
    if frame.is_empty() and not kept:
        return html.Div()
    parts: list[Component] = [
        html.H2(
            f"{numbers.count(frame.height)} exams may be phantoms or tests" if frame.height else "No exam is in doubt"
        ),
        html.P("They enter no figure until somebody says what they are.", className="subtitle"),
    ]
    may = reading.may(DECIDING[DecisionKind.EXPOSURE_CLASS.value].permission)
    if frame.height and may:
        parts.append(html_form(suspected_form(frame), "Exposures in doubt"))
    if kept:
        parts.append(
            html.Details(
                [html.Summary(f"{len(kept)} decided"), decision_list(kept, reading, "Nothing was decided yet.")]
            )
        )
    return html.Section(parts, className="card wide")


@section("review.signed")
def signed(reading: Reading) -> Drawn:
    """Who signed which period, with what was open then."""
    sites = reading.scope.sites
    found = [one for one in reviews_of_server().sign_offs() if sites is None or one.value["site"] in sites]
    if not found:
        return html.Section(
            [html.H2("Nothing was signed yet"), html.P("Signatures are listed here.", className="subtitle")],
            className="card wide",
        )
    rows = [
        {
            "first": date.fromisoformat(one.value["first"]),
            "last": date.fromisoformat(one.value["last"]),
            "site": reading.names.sites.get(one.value["site"], "All sites"),
            "by": one.actor,
            "at": one.at,
            "open": "; ".join(one.value["gaps"]) or "nothing",
            "words": one.text,
            "seal": str(one.audit_seq),
        }
        for one in found[:MOST_SIGNED]
    ]
    columns = (
        Column("first", "From", "day"), Column("last", "To", "day"), Column("site", "Site"), Column("by", "Signed by"), Column("at", "When", "moment"),
        Column("open", "Open then"), Column("words", "Words"), Column("seal", "Audit row"),
    )  # fmt: skip
    newest = found[0]
    return Card(
        f"Last signed: {numbers.days(date.fromisoformat(newest.value['first']), date.fromisoformat(newest.value['last']))}, by {newest.actor}",
        "Signatures of periods, newest first",
        Table(columns, pl.DataFrame(rows, infer_schema_length=None), 0, reading.zone),
        is_wide=True,
        rows_shown=12,
        period="all",
    )


def address_choice(title: str, key: str, options: list[tuple[str, str]], chosen: str, **kept: str) -> Component:
    """Links that change one key of this page's address, the present choice marked."""
    links = [
        html.Span(name, className="subpage here", **{"aria-current": "true"})
        if value == chosen
        else dcc.Link(name, href=urls.page(urls.DOSE_SIGN_OFF, None, **{**kept, key: value}), className="subpage")
        for value, name in options
    ]
    return html.Nav(links, className="subpages small-choice", **{"aria-label": title})


def _days(reading: Reading) -> str:
    asked = reading.extra.get("days", DEFAULT_PERIOD)
    return asked if asked in PERIODS else DEFAULT_PERIOD


def _period(reading: Reading) -> tuple[date, date]:
    """First and last day that would be signed; the address may name them."""
    try:
        return date.fromisoformat(reading.extra["first"]), date.fromisoformat(reading.extra["last"])
    except (KeyError, ValueError):
        return reading.as_of - timedelta(days=int(_days(reading)) - 1), reading.as_of


def _site(reading: Reading) -> str:
    asked = reading.extra.get("at", "")
    if asked in reading.names.sites:
        return asked
    return "" if reading.scope.sites is None else next(iter(reading.names.sites), "")
