"""The rules that raise alerts: what holds, what a change would have raised on history, and who changed what."""

from __future__ import annotations

from datetime import timedelta

import dash
import polars as pl
from dash import html
from dash.development.base_component import Component
from flask import current_app

from dashboards._shell import numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.decisions import decision_list, decisions_of, may_open
from dashboards._shell.forms import Field, Form, html_form, reason
from dashboards._shell.layout import page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Table
from dashboards.dose.parts import dose_pages
from dashboards.dose_tables.decide import rules_now
from insights.dose.outliers import judge, outliers
from insights.dose.preview import preview
from insights.dose.rules import Rule
from state.decisions import DecisionKind
from state.roles import Permission

SEVERITIES = (("3", "Act today"), ("2", "Review"), ("1", "Look"))
PREVIEW_DAYS = 90
STEPS = (0.5, 0.75, 1.25, 1.5, 2.0)
"""Numbers tried beside the present one, as shares of it."""

dash.register_page(
    __name__,
    path=urls.DOSE_RULES,
    name="Rules",
    title="Dose rules – Isocenter",
    permission=Permission.REVIEW_DOSE,
)


def layout(**query: str) -> Component:
    """The page with the choices of the address."""
    content = [
        slot("rules.parts", height=60, is_wide=True), slot("rules.all", height=480, is_wide=True), slot("rules.preview", height=300), slot("rules.change", height=300),
        slot("rules.history", height=120, is_wide=True),
    ]  # fmt: skip
    return page(
        "Dose rules",
        urls.DOSE_RULES,
        query,
        content,
        intro="What raises an alert. Try another number on history before it is switched on.",
        has_filters=False,
    )


@section("rules.parts")
def parts(reading: Reading) -> Drawn:
    """Links to the other dose pages."""
    return dose_pages(urls.DOSE_RULES, reading)


@section("rules.all")
def everything(_reading: Reading) -> Drawn:
    """All rules as they stand."""
    rules = rules_now()
    frame = pl.DataFrame(
        [
            {
                "id": one.id, "title": one.title, "on": "on" if one.fires else "off" if one.threshold is not None else "off: no number",
                "number": f"{one.meaning} {one.threshold:,g} {one.unit}".strip() if one.threshold is not None else None, "severity": dict(SEVERITIES)[str(one.severity)],
                "modalities": _concerned(one), "source": one.source,
            }
            for one in rules.values()
        ],
        infer_schema_length=None,
    )  # fmt: skip
    columns = (
        Column("title", "Rule", link=lambda row: urls.page(urls.DOSE_RULES, None, rule=row["id"])), Column("on", "Is"), Column("number", "Number"), Column("severity", "Severity"),
        Column("modalities", "For"), Column("source", "Source of the number"),
    )  # fmt: skip
    active = sum(one.fires for one in rules.values())
    return Card(
        f"{active} of {len(rules)} rules are on",
        "Each opens with what it would have raised on history",
        Table(columns, frame),
        note="A rule without a number waits for a physicist: what is widely quoted but was not read at its source is not shipped as a number.",
        is_wide=True,
        rows_shown=20,
        period="now",
    )


@section("rules.preview")
def previewed(reading: Reading) -> Drawn:
    """What the chosen rule raises on history at other numbers."""
    rules = rules_now()
    rule = rules.get(reading.extra.get("rule", "group"), rules["group"])
    if rule.threshold is None:
        return Empty(rule.title, "No number was entered yet, so there is nothing to try.", "To the rules")
    last = reading.data_to.date()
    first = last - timedelta(days=PREVIEW_DAYS)
    judged, rows = judge(reading.star, first, last, reading.settings.dose.window_weeks), []
    for share in sorted({1.0, *STEPS}):
        number = rule.threshold * share
        found = preview(judged, rules, rule.with_threshold(number))
        rows.append({"number": f"{number:.3g} {rule.unit}" + (" (now)" if share == 1 else ""), "n": found.then, "rate": found.per_thousand})  # fmt: skip
    columns = (
        Column("number", rule.meaning.capitalize()),
        Column("n", "Would have fired", "number"),
        Column("rate", "In a thousand exams", "number", "", 1),
    )
    usual = outliers(judged, rules).explained_by_size
    now = next(row for row in rows if str(row["number"]).endswith("(now)"))
    return Card(
        f"{rule.title}: {now['n']} times in {PREVIEW_DAYS} days",
        "What it would have raised with other numbers",
        Table(columns, pl.DataFrame(rows)),
        note=f"{numbers.count(usual)} {'exam' if usual == 1 else 'exams'} far above the group, yet usual for the patient's size, raised nothing."
        if rule.reader == "group"
        else "",
        formula="The rule alone, over all exams of patients with dose of these days; other rules and earlier alerts play no part.",
        period=numbers.days(first, last),
    )


@section("rules.change")
def change(reading: Reading) -> Drawn:
    """Changing the chosen rule."""
    rules = rules_now()
    rule = rules.get(reading.extra.get("rule", "group"), rules["group"])
    if not reading.may(Permission.MANAGE_DOSE):
        return html.Div()
    numbered = (
        Field("threshold", f"{rule.meaning.capitalize()}{rule.unit and ', ' + rule.unit}", "text", f"{rule.threshold:g}" if rule.threshold is not None else "", required=False),
        Field("source", "Source of the number", "text", rule.source if rule.threshold is not None else "", required=False),
    )  # fmt: skip
    fields = (
        Field("active", "Is", "select", "yes" if rule.active else "no", (("yes", "on"), ("no", "off"))),
        Field("severity", "Severity", "select", str(rule.severity), SEVERITIES),
        *(numbered if rule.reader != "legal" else ()),
        reason(),
    )  # fmt: skip
    form = Form(f"{urls.DECIDE}{DecisionKind.DOSE_RULE}", "Change the rule", fields, {"rule": rule.id})
    return html.Section(
        [
            html.H2(f"Change: {rule.title}"),
            html.P(
                "It holds for exams from the next run of alerts on; alerts that were raised stay as they were.",
                className="subtitle",
            ),
            html_form(form, f"Change the rule {rule.title}"),
        ],
        className="card",
    )


@section("rules.history")
def history(reading: Reading) -> Drawn:
    """Who changed which rule."""
    kinds = (DecisionKind.DOSE_RULE, DecisionKind.EXPECTED_RANGE)
    kept = [one for one in decisions_of(current_app).history(*kinds, limit=40) if may_open(one, reading)]
    return html.Section(
        [
            html.H2("Who changed what"),
            decision_list(kept, reading, "Nobody changed a rule or a range yet."),
        ],
        className="card wide",
    )


def _concerned(rule: Rule) -> str:
    """The exams that a rule is about, in words."""
    parts = [", ".join(rule.modalities) or "all", rule.standard_code, rule.age_band]
    dates = f"from {numbers.day(rule.valid_from)}" if rule.valid_from else ""
    until = f"before {numbers.day(rule.valid_to)}" if rule.valid_to else ""
    return " · ".join(filter(None, (*parts, dates, until)))
