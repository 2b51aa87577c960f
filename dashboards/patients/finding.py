"""Looking a patient up: the identifier never leaves the request; reason and pseudonym are audited before anything shows."""

from __future__ import annotations

from flask import Response, current_app, jsonify, request

from dashboards._access.people import audit_action
from dashboards._access.services import Services
from dashboards._shell import urls
from dashboards._shell.reading import reading_of
from dashboards._shell.routes import refused_fields, route
from dashboards.patients.queries import key_of
from state.roles import Permission

LEAST_REASON = 3


@route(urls.DOSE_FIND_PATIENT, Permission.LOOK_UP_PATIENTS)
def find_patient() -> Response:
    """Leads to the patient's page; an error a field where there is none."""
    identifier, reason = (request.form.get(name, "").strip() for name in ("identifier", "reason"))
    wrong = {}
    if not identifier:
        wrong["identifier"] = "Give the patient's identifier."
    if len(reason) < LEAST_REASON:
        wrong["reason"] = "State the reason; it is kept in the audit."
    if wrong:
        return refused_fields(wrong)
    pseudonym = Services.of(current_app).pseudonymiser.pseudonym("patient", identifier)
    audit_action("patient-looked-up", pseudonym or "blank", {"reason": reason})
    key = key_of(reading_of(""), pseudonym) if pseudonym else None
    if key is None:
        return refused_fields(
            {"identifier": "No exam of this patient is in your scope. After a merge, try the number that survived it."}
        )
    return jsonify(message="Found.", go=urls.page(urls.DOSE_PATIENTS, None, patient=str(key)))
