"""The inspector's pack as a download; what leaves is audited with its hash."""

from __future__ import annotations

from datetime import date
from hashlib import sha256

from flask import Response, current_app, request
from flask.typing import ResponseReturnValue

from dashboards._access.people import audit_export
from dashboards._shell import numbers, urls
from dashboards._shell.decisions import decisions_of
from dashboards._shell.reading import reading_of
from dashboards._shell.routes import route
from dashboards.review.cases import alerts_of_server, reviews_of_server, visible_alerts
from insights.dose.pack.contents import Office, contents
from insights.dose.pack.document import document
from insights.dose.pack.workbook import workbook
from insights.dose.rules import RULE_KINDS, rules_with
from state.roles import Permission

KINDS = {
    "pdf": ("application/pdf", document),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", workbook),
}


@route(urls.DOSE_PACK, Permission.REVIEW_DOSE, "GET")
def pack() -> ResponseReturnValue:
    """The pack of the period that the address names, within the reader's sites."""
    try:
        first, last = (date.fromisoformat(request.args.get(name, "")) for name in ("first", "last"))
        mime, make = KINDS[request.args.get("kind", "")]
    except (ValueError, KeyError):
        return Response("Name first, last (as 2026-10-01) and kind (pdf or xlsx).", 400, mimetype="text/plain")
    if last < first:
        return Response("The period ends before it begins.", 400, mimetype="text/plain")
    reading = reading_of("")
    kept = reviews_of_server()
    alerts = sorted(visible_alerts(alerts_of_server().between(first, last), reading), key=lambda one: one.id)
    office = Office(
        rules_with(decisions_of(current_app).standing(*RULE_KINDS)),
        alerts,
        kept.of([one.id for one in alerts]),
        kept.sign_offs(),
    )
    made = make(contents(reading.star, office, reading.settings, reading.scope, first, last))
    name = f"dose-pack-{first}-{last}.{request.args['kind']}"
    audit_export(name, numbers.days(first, last), len(alerts), sha256(made).hexdigest())
    return Response(made, mimetype=mime, headers={"Content-Disposition": f'attachment; filename="{name}"'})
