"""Forms that people decide with: one description gives the form in the browser (`assets/forms.js`).

The browser builds it from one attribute, so that its fields are plain ones that keep what was typed; it sends them to
the form's address and puts each error beside its field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from dash import html
from dash.development.base_component import Component

Kind = Literal["text", "number", "date", "datetime-local", "select", "textarea"]
Options = Sequence[tuple[str, str]]
MOST_REASON = 500
"""Characters of a reason."""


@dataclass(frozen=True)
class Field:
    """One field of a form."""

    name: str
    label: str
    kind: Kind = "text"
    value: str = ""
    options: Mapping[str, Options] | Options = ()
    """Of a select: values with their words, or such lists under headings."""
    help: str = ""
    required: bool = True
    step: str = ""
    """Of a number: its precision, or `any`."""


@dataclass(frozen=True)
class Row:
    """One thing that may be ticked among many, with a choice of its own."""

    value: str
    label: str
    """First cell, and the name of the tick."""
    cells: tuple[str, ...]
    choice: Field
    href: str = ""
    """Where its first cell leads."""


@dataclass(frozen=True)
class Form:
    """A form."""

    action: str
    submit: str
    fields: tuple[Field, ...] = ()
    hidden: Mapping[str, str] = field(default_factory=dict)
    head: tuple[str, ...] = ()
    """Headings of the rows' columns, that of their choice last."""
    rows: tuple[Row, ...] = ()
    is_quiet: bool = False
    """One line for small matters such as taking back."""


def reason(label: str = "Reason", help_text: str = "Kept with the decision and shown in the history.") -> Field:
    """The reason that every decision needs."""
    return Field("reason", label, "text", help=help_text)


def html_form(form: Form, name: str) -> Component:
    """The form's place; `name` is what a screen reader calls it."""
    content = json.dumps(_content(form), ensure_ascii=False, separators=(",", ":"))
    return html.Div(className="form-place", **{"data-form": content, "data-form-name": name})


def _content(form: Form) -> dict[str, Any]:
    return {
        "action": form.action,
        "submit": form.submit,
        "is_quiet": form.is_quiet,
        "hidden": dict(form.hidden),
        "fields": [_field(one) for one in form.fields],
        "head": form.head,
        "rows": [{**asdict(row), "choice": _field(row.choice)} for row in form.rows],
    }


def _field(one: Field) -> dict[str, Any]:
    """The field with its options as lists under headings; no heading where there is one list."""
    groups = one.options.items() if isinstance(one.options, Mapping) else [("", one.options)]
    return {**asdict(one), "options": [[heading, [list(pair) for pair in pairs]] for heading, pairs in groups]}
