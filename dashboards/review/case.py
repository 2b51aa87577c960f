"""One case in full: what crossed which rule and why, its exam, its peers, what was decided; and the verdict."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dash
import polars as pl
from dash import dcc, html
from dash.development.base_component import Component

from dashboards._shell import numbers, urls
from dashboards._shell.cards import Card, Empty
from dashboards._shell.forms import Field, Form, html_form
from dashboards._shell.layout import message, page
from dashboards._shell.reading import Reading
from dashboards._shell.sections import Drawn, section, slot
from dashboards._shell.tables import Column, Table, definition_table
from dashboards.dose.parts import scanner_words
from dashboards.review import figures, queries, words
from dashboards.review.cases import READERS, SEVERITIES, Case, case_of, of_protocol
from dashboards.review.taking import next_open
from insights.dose.evidence import Evidence
from state.reviews import ACTIONS, REASONS, Step
from state.roles import Permission
from warehouse.dosimetry.effective_dose import effective_dose
from warehouse.dosimetry.skin_dose import Factors, peak_skin_dose

FEWEST_PEERS = 5
SNOOZE_DAYS = 7

dash.register_page(
    __name__,
    path=urls.DOSE_CASE,
    name="Case",
    title="Dose case – Isocenter",
    permission=Permission.REVIEW_DOSE,
)


def layout(**query: str) -> Component:
    """The page of the case that the address names."""
    content = [
        slot("review.case", height=260, is_wide=True),
        slot("review.case-verdict", height=420),
        slot("review.case-picture", height=420),
        slot("review.case-exam", height=300),
        slot("review.case-steps", height=300),
        slot("review.case-events", height=260, is_wide=True),
        slot("review.case-patient", height=200),
        slot("review.case-earlier", height=200),
        slot("review.case-sources", height=200, is_wide=True),
    ]
    return page("Dose case", urls.DOSE_INBOX, query, content, has_filters=False)


@section("review.case")
def summary(reading: Reading) -> Drawn:
    """What crossed which rule, in words, by each reader."""
    case = _case(reading)
    if case is None:
        return message(
            "No such case", "The address names no case that your role and sites open.", urls.DOSE_INBOX, "To the inbox"
        )
    following = next_open(reading, case)
    query = _kept(reading)
    ways = [dcc.Link("Inbox", href=urls.with_query(urls.DOSE_INBOX, query), className="button", id="case-inbox")]
    if following is not None:
        ways.append(
            dcc.Link("Next open case", href=urls.dose_case(following.id, query), className="button", id="case-next")
        )
    table = html.Table(
        [
            html.Thead(html.Tr([html.Th(name, scope="col") for name in ("Found by", "Rule", "What it says")])),
            html.Tbody([_reader_row(Evidence.of_json(one.evidence), READERS.get(one.reader, one.reader)) for one in case.alerts]),
        ],
        className="data-table readers",
    )  # fmt: skip
    why = case.evidence.why
    causes = html.Ul([html.Li(one.text) for one in why]) if why else html.P("Nothing that is known explains it.")
    return html.Section(
        [
            html.Header(
                [
                    html.Div(
                        [
                            html.P(
                                [
                                    html.Span(SEVERITIES[case.severity], className=f"severity s{case.severity}"),
                                    f" Case {case.id} · {words.state_words(case)} · raised {numbers.moment(case.first.raised_at, reading.zone)}",
                                ],
                                className="subtitle",
                            ),
                            html.H2(case.evidence.text),
                        ]
                    ),
                    html.Div(ways, className="case-ways"),
                ],
                className="card-header",
            ),
            html.Div(table, className="table-scroll", tabIndex="0", role="region", **{"aria-label": "Readers"}),
            html.H3("Why, as far as the data tells"),
            causes,
            html.P("Keys: N next case, I inbox, C verdict.", className="small keys-hint"),
        ],
        className="card wide",
        **{"data-keys": "case"},
    )


@section("review.case-verdict")
def verdict(reading: Reading) -> Drawn:
    """What can be done now, the usual thing first."""
    case = _case(reading)
    if case is None:
        return html.Div()
    state = case.status.state
    if state == "closed":
        return _forms("Closed", [_reopen(case)], f"{_closed_words(case, reading)} It stays as it was signed.")
    if state == "awaiting_signature":
        said = f"{_closed_words(case, reading)} Another person signs it."
        return _forms("Second signature", [_form(case, Step.COUNTERSIGN, "Sign as the second person", ()), _folded("It is not right", _reopen(case))], said)  # fmt: skip
    suggested = case.evidence.why[0].cause if case.evidence.why and case.evidence.why[0].cause in REASONS else ""
    reasons = [("", "Choose …"), *REASONS.items()]
    close = _form(
        case,
        Step.CLOSE,
        "Close and go on",
        (
            Field("reason", "Reason", "select", suggested, reasons),
            Field("action", "Action", "select", case.status.action or "none", list(ACTIONS.items())),
            Field("text", "Comment", "textarea", required=False),
        ),
    )
    rest = (reading.data_to.date() + timedelta(days=SNOOZE_DAYS)).isoformat()
    others = [
        _folded("Action under way", _form(case, Step.ACT, "Keep the action", (Field("action", "Action", "select", "protocol_change", list(ACTIONS.items())), Field("due_on", "Due on", "date", required=False), Field("text", "Comment", required=False)))),
        _folded("Hand over", _form(case, Step.ASSIGN, "Hand over", (Field("to", "To", help="User name of the colleague."), Field("text", "Comment", required=False)))),
        _folded("Let it rest", _form(case, Step.SNOOZE, "Let it rest", (Field("until", "Until", "date", rest), Field("text", "Comment", required=False)))),
        _folded("Comment only", _form(case, Step.COMMENT, "Keep the comment", (Field("text", "Comment", "textarea"),))),
    ]  # fmt: skip
    if case.first.modality in {"XA", "RF"}:
        follow = (
            Field("called_on", "Patient told on", "date", required=False), Field("called_by", "By", required=False),
            Field("skin_checked_on", "Skin checked on", "date", required=False), Field("skin_result", "Result", required=False), Field("text", "Comment", required=False),
        )  # fmt: skip
        others.insert(0, _folded("Patient follow-up", _form(case, Step.FOLLOW_UP, "Keep the follow-up", follow)))
    return _forms("Verdict", [close, *others], "What you sign is sealed with your name and cannot be changed; a mistake is mended by a further step.")  # fmt: skip


@section("review.case-picture")
def picture(reading: Reading) -> Drawn:
    """The exam among its peers, by size where size is known."""
    case, exam = _case(reading), _exam(reading)
    if case is None or exam is None:
        return html.Div()
    found = case.evidence
    column = figures.PEER_COLUMNS.get(found.quantity)
    frame = queries.peers(reading, exam, column) if column else pl.DataFrame()
    if frame.height < FEWEST_PEERS:
        return Empty(
            "Among its peers",
            "Fewer than 5 exams of the same protocol and age band in the year before state this figure.",
            "To the inbox",
        )
    quantity = words.quantity_words(found.quantity)
    sized = frame.drop_nulls("size_cm")
    by_size = sized.height >= FEWEST_PEERS and exam["size_cm"] is not None
    picture = (
        figures.by_size(sized, exam, found, reading.look) if by_size else figures.peers(frame, found, reading.look)
    )
    columns = (Column("exam_id", "Exam", link=lambda row: urls.exam(row["exam_key"])), Column("size_cm", "Size", "number", "cm", 1), Column("weight_kg", "Weight", "number", "kg", 0), Column("value", quantity, "number", found.unit))  # fmt: skip
    below = 100 * frame.filter(pl.col("value") < found.value).height / frame.height
    others = f"{numbers.count(frame.height)} exams of its protocol and age band"
    return Card(
        f"Among the highest of {others}" if below >= 99.5 else f"Higher than {below:.0f} % of {others}",
        f"{quantity}, {found.unit}" + (" by the patient's size" if by_size else ""),
        Table(columns, frame),
        picture,
        formula="All patients' exams of the same protocol and age band within your sites over the year before. The baseline that the rule used is frozen with the alert and stands in its evidence.",
        period="year before the exam",
    )


@section("review.case-exam")
def exam_facts(reading: Reading) -> Drawn:
    """The exam, the patient's size, and the frozen baseline."""
    case, exam = _case(reading), _exam(reading)
    if case is None or exam is None:
        return html.Div()
    found = case.evidence
    pairs: list[tuple[str, Any]] = [
        ("Exam", dcc.Link(exam["exam_id"], href=urls.exam(exam["exam_key"]))),
        ("Begun", numbers.moment(exam["started_at"], ZoneInfo(exam["time_zone"])) if exam["started_at"] else numbers.NOTHING),
        ("Procedure", exam["procedure_text"] or numbers.NOTHING),
        ("Protocol", exam["protocol_name"] or numbers.NOTHING),
        ("Standard exam", exam["standard_name"] or "not mapped yet"),
        ("Scanner", scanner_words(exam)),
        ("Patient", _patient_words(exam)),
        ("Size", f"{numbers.shown(exam['size_cm'], 'cm', 1)}, {exam['size_method']}" if exam["size_cm"] else "not known"),
        *_effective(reading, exam),
        *_skin(reading, exam),
        ("Compared with", _baseline_words(found)),
        ("Rule's source", found.source or numbers.NOTHING),
        ("Data version", html.Code(found.publication)),
    ]  # fmt: skip
    return html.Section([html.H2("The exam"), definition_table(pairs, "The exam")], className="card")


@section("review.case-steps")
def steps(reading: Reading) -> Drawn:
    """Who did what, in order."""
    case = _case(reading)
    if case is None:
        return html.Div()
    raised = html.Li(
        [
            html.P("Raised by the program", className="decision-words"),
            html.P(numbers.moment(case.first.raised_at, reading.zone), className="subtitle"),
        ]
    )
    done = [
        html.Li(
            [
                html.P(words.step_words(one), className="decision-words"),
                html.P(
                    [
                        f"{one.actor}, {numbers.moment(one.at, reading.zone)}",
                        *([": ", html.Q(one.text)] if one.text else []),
                        f" · sealed by audit row {one.audit_seq}",
                    ],
                    className="subtitle",
                ),
            ]
        )
        for one in _once(case)
    ]
    return html.Section(
        [html.H2("What was done"), html.Ul([raised, *done], className="decisions")],
        className="card",
    )


@section("review.case-events")
def events(reading: Reading) -> Drawn:
    """Every exposure of the exam."""
    case, exam = _case(reading), _exam(reading)
    if case is None or exam is None:
        return html.Div()
    frame = queries.events_of(reading, exam["exam_key"])
    if frame.is_empty():
        return Empty("Exposures", "The exam's dose reports state totals only.", "To the inbox", is_wide=True)
    columns = [one for one in figures.EVENT_TABLE if frame[one.name].drop_nulls().len()]
    return Card(
        f"{numbers.count(frame.height)} exposures of the exam",
        "In the order in which they were made; each opens with every figure as written",
        Table(tuple(columns), frame, 0, ZoneInfo(exam["time_zone"])),
        is_wide=True,
        rows_shown=15,
        period="one exam",
    )


@section("review.case-sources")
def sources(reading: Reading) -> Drawn:
    """Which object each figure came from, and which were passed over."""
    exam = _exam(reading)
    if exam is None:
        return html.Div()
    frame = queries.sources_of(reading, exam["exam_key"])
    if frame.is_empty():
        return html.Div()
    passed = int((~frame["is_used"]).sum())
    shown = frame.with_columns(
        used=pl.when("is_used").then(pl.lit("used")).otherwise(pl.concat_str(pl.lit("passed over: "), "passed_over"))
    )
    columns = (
        Column("event_number", "Event", "number"), Column("object_class", "Kind of object"), Column("used", "Used"), Column("object_at", "Stated", "moment"),
        Column("ctdivol_mgy", "CTDIvol", "number", "mGy"), Column("dlp_mgycm", "DLP", "number", "mGy·cm"), Column("dap_gycm2", "DAP", "number", "Gy·cm²"), Column("rp_air_kerma_mgy", "Dose (RP)", "number", "mGy"),
        Column("agd_mgy", "AGD", "number", "mGy"), Column("activity_mbq", "Activity", "number", "MBq"), Column("file", "File", "place"),
    )  # fmt: skip
    kept = tuple(one for one in columns if shown[one.name].drop_nulls().len())
    return Card(
        "Every figure comes from one object" if not passed else f"{_n(passed, 'statement')} passed over",
        "Objects that state the exam's exposures",
        Table(kept, shown, 0, ZoneInfo(exam["time_zone"])),
        is_wide=True,
        rows_shown=8,
        period="one exam",
    )


@section("review.case-patient")
def patient(reading: Reading) -> Drawn:
    """The patient's other exams with dose, without a name."""
    exam = _exam(reading)
    if exam is None:
        return html.Div()
    frame = queries.patient_history(reading, exam)
    others = frame.filter(pl.col("exam_key") != exam["exam_key"]) if frame.height else frame
    if others.is_empty():
        return html.Section(
            [
                html.H2("No other exam of this patient with dose"),
                html.P("Within your sites, over five years before.", className="subtitle"),
            ],
            className="card",
        )
    shown = others.with_columns(
        dose=pl.struct("headline_value", "headline_unit").map_elements(
            lambda row: numbers.shown(row["headline_value"], row["headline_unit"] or ""), return_dtype=pl.Utf8
        )
    )
    columns = (
        Column("exam_id", "Exam", link=lambda row: urls.exam(row["exam_key"])),
        Column("local_day", "Day", "day"),
        Column("modality", "Modality"),
        Column("procedure_text", "Procedure"),
        Column("dose", "Dose"),
    )
    return Card(
        f"{_n(others.height, 'other exam')} of this patient with dose",
        "Within your sites over five years",
        Table(columns, shown, 0, reading.zone),
        note="Past dose does not decide whether the next exam is justified; sums over different quantities and regions are no risk.",
        rows_shown=6,
        period="five years to the exam",
    )


@section("review.case-earlier")
def earlier(reading: Reading) -> Drawn:
    """What was decided about the same protocol before."""
    case = _case(reading)
    if case is None:
        return html.Div()
    found = of_protocol(reading, case.first.protocol_key, case.id)
    if not found:
        return html.Section(
            [html.H2("No earlier decision on this protocol"), html.P("Nobody closed a case of it yet.", className="subtitle")],
            className="card",
        )  # fmt: skip
    items = [
        html.Li(
            [
                html.P(dcc.Link(f"Case {one.id}: {REASONS.get(one.status.reason or '', '')}", href=urls.dose_case(one.id)), className="decision-words"),
                html.P(f"{numbers.day(one.first.happened_on)} · {words.value_words(one.evidence)} · {ACTIONS.get(one.status.action or '', '')} · {one.status.closed_by}", className="subtitle"),
            ]
        )
        for one in found
    ]  # fmt: skip
    return html.Section(
        [html.H2("Earlier decisions on this protocol"), html.Ul(items, className="decisions")], className="card"
    )


def _effective(reading: Reading, exam: dict[str, Any]) -> list[tuple[str, Any]]:
    """Effective dose, where the configuration shows it."""
    if not reading.settings.dose.effective_dose:
        return []
    events = queries.events_of(reading, exam["exam_key"]).iter_rows(named=True)
    estimate = effective_dose(events, queries.factors(reading).iter_rows(named=True), exam["age_band"])
    return [("Effective dose", estimate.words)]


def _skin(reading: Reading, exam: dict[str, Any]) -> list[tuple[str, Any]]:
    """Peak skin dose of a fluoroscopic exam, where the configuration has the factors for it."""
    known = reading.settings.skin_dose
    if known is None or exam["dose_kind"] != "projection" or not exam["rp_exam_mgy"]:
        return []
    factors = Factors(known.backscatter, known.table_transmission, known.tissue)
    found = peak_skin_dose(queries.events_of(reading, exam["exam_key"]).iter_rows(named=True), factors)
    return [("Peak skin dose", f"{found.words}; factors: {known.source}")]


def _reader_row(found: Evidence, reader: str) -> Component:
    return html.Tr([html.Th(reader, scope="row"), html.Td(found.rule_text), html.Td(found.text)])


def _forms(title: str, forms: list[Component], said: str) -> Component:
    return html.Section(
        [html.H2(title), html.P(said, className="subtitle"), *forms], className="card", id="case-verdict"
    )


def _form(case: Case, step: Step, submit: str, fields: tuple[Field, ...]) -> Component:
    hidden = {"alert": str(case.id), "step": step.value}
    return html_form(Form(urls.DOSE_REVIEW, submit, fields, hidden), f"{submit}, case {case.id}")


def _folded(title: str, form: Component) -> Component:
    return html.Details([html.Summary(title), form])


def _reopen(case: Case) -> Component:
    return _form(case, Step.REOPEN, "Reopen", (Field("text", "Why it is opened again"),))


def _closed_words(case: Case, reading: Reading) -> str:
    status = case.status
    at = numbers.moment(status.closed_at, reading.zone) if status.closed_at else ""
    signed = f" Signed by {status.signed_by}." if status.signed_by else ""
    return f"{REASONS.get(status.reason or '', 'Reason unknown')}; action: {ACTIONS.get(status.action or '', '')}. Closed by {status.closed_by}, {at}.{signed}"


def _baseline_words(found: Evidence) -> str:
    base = found.baseline
    if base is None:
        return found.rule_text
    usual = f", nine of ten between {numbers.rounded(base.p5)} and {numbers.shown(base.p95, base.unit)}" if base.p5 is not None and base.p95 is not None else ""  # fmt: skip
    middle = f", median {words.quantity_words(base.quantity)} {numbers.shown(base.median, base.unit)}" if base.median is not None else ""  # fmt: skip
    return f"{base.group}: {numbers.count(base.n)} exams, {numbers.days(base.first, base.last)}{middle}{usual}"


def _patient_words(exam: dict[str, Any]) -> str:
    parts = [
        f"{numbers.rounded(exam['age_years'], 2)} years" if exam["age_years"] is not None else "age not known",
        f"{numbers.rounded(exam['weight_kg'], 3)} kg" if exam["weight_kg"] else "",
        f"{exam['height_m']:.2f} m" if exam["height_m"] else "",
        str(exam["age_band"] or ""),
    ]
    return ", ".join(part for part in parts if part)


def _once(case: Case) -> list[Any]:
    """Steps, those that one person took at once about several alerts said once."""
    seen: set[tuple[Any, ...]] = set()
    kept = []
    for one in case.steps:
        same = (one.step, one.actor, one.at.replace(microsecond=0), one.text, str(one.value))
        if same not in seen:
            seen.add(same)
            kept.append(one)
    return kept


def _kept(reading: Reading) -> str:
    """The filters that the inbox was left with."""
    return reading.filters.to_query()


def _case(reading: Reading) -> Case | None:
    number = reading.extra.get("alert", "")
    return case_of(reading, int(number)) if number.isdigit() else None


def _exam(reading: Reading) -> dict[str, Any] | None:
    case = _case(reading)
    if case is None or case.first.exam_key is None:
        return None
    return queries.one_exam(reading, case.first.exam_key)


def _n(count: int, what: str) -> str:
    return f"{numbers.count(count)} {what}{'' if count == 1 else 's'}"
