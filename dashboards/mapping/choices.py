"""What a form of mappings says: many at once from a ticked list, or one with a code of a public scheme."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboards._shell.decisions import FieldError, Fields, Made
from dashboards.mapping.used import Used
from insights.procedures import CATALOGUE, OWN, Suggestion
from state.decisions import Decision

NO_EXAM = "no-exam"
"""Choice of a procedure that is no exam."""
UNDECIDED = ""
MOST_CODE, MOST_NAME = 32, 200
SCHEMES = (("LN", "LOINC"), ("RADLEX", "RadLex"), ("other", "Own or another scheme"))


def choice_of(found: Suggestion) -> str:
    """The value of a suggestion in a form."""
    return _choice(found.target.scheme, found.target.code)


def _choice(scheme: str, code: str) -> str:
    return f"{scheme}|{code}"


def mappings(fields: Fields, found: Sequence[Used]) -> Sequence[Made]:
    """Mappings of a form: `chosen` names with `choice-<key>` each, or one `name_key` with `scheme`, `code` and `name`."""
    known = {str(one.local.key): one for one in found}
    return _typed(fields, known) if "name_key" in fields else _ticked(fields, known)


def _ticked(fields: Fields, known: dict[str, Used]) -> list[Made]:
    chosen = [key for key in fields.get("chosen", "").split(",") if key]
    if not chosen:
        raise FieldError(chosen="Tick at least one row.")
    wrong: dict[str, str] = {}
    made: list[Made] = []
    for key in chosen:
        if key not in known:
            raise FieldError(**{"": "A row is not in your scope any more. Load the page again."})
        value = _value(fields.get(f"choice-{key}", UNDECIDED), known[key])
        if value is None:
            wrong[f"choice-{key}"] = "Choose what it is, or take the tick away."
        else:
            made.append((key, value))
    if wrong:
        raise FieldError(**wrong)
    return made


def _value(choice: str, used: Used) -> dict[str, Any] | None:
    """What a choice of the list means; None where nothing is chosen."""
    if choice == NO_EXAM:
        return {"status": "rejected"}
    scheme, _, code = choice.partition("|")
    if scheme == OWN and code in CATALOGUE:
        return _confirmed(code, OWN, CATALOGUE[code].name)
    if used.local.stated_code == code and scheme in {"LN", "RADLEX"}:
        return _confirmed(code, scheme, used.local.text or code)
    return None


def _typed(fields: Fields, known: dict[str, Used]) -> list[Made]:
    wrong = {}
    key, code, name, scheme = (fields.get(each, "") for each in ("name_key", "code", "name", "scheme"))
    if key not in known:
        wrong["name_key"] = "Choose a name."
    if not code or len(code) > MOST_CODE:
        wrong["code"] = f"The code, at most {MOST_CODE} characters."
    if not name or len(name) > MOST_NAME:
        wrong["name"] = f"Its name, at most {MOST_NAME} characters."
    if scheme not in {each for each, _ in SCHEMES}:
        wrong["scheme"] = "Choose a scheme."
    if wrong:
        raise FieldError(**wrong)
    return [(key, _confirmed(code, OWN if scheme == "other" else scheme, name))]


def _confirmed(code: str, scheme: str, name: str) -> dict[str, Any]:
    return {"status": "confirmed", "code": code, "scheme": scheme, "name": name}


def words_of(found: Decision, name: str) -> str:
    """What a name was mapped to."""
    if found.value["status"] == "rejected":
        return f"{name}: not an exam"
    return f"{name}: {found.value['name']} ({found.value['scheme']} {found.value['code']})"
