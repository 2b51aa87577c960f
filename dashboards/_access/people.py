"""The person behind the request, and what they may see."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app, g, has_request_context, request

from dashboards._access.services import Services
from state.accounts import Account
from state.roles import Permission, Role, permissions_of
from warehouse.scope import NOTHING, Scope


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in."""

    username: str
    display_name: str
    roles: tuple[Role, ...]
    sites: tuple[str, ...] | None = None
    """Site codes that may be seen; None is all of them."""
    demo: bool = False
    departments: tuple[str, ...] | None = None
    """Ordering departments that may be seen; None is all of them."""

    @property
    def permissions(self) -> frozenset[Permission]:
        """What the person's roles allow."""
        return permissions_of(self.roles)

    def may(self, permission: Permission | str) -> bool:
        """Whether the person's roles allow this."""
        return permission in self.permissions

    @property
    def role_words(self) -> str:
        """The roles as people read them: "Operations, Finance"."""
        return ", ".join(role.words for role in self.roles)

    @classmethod
    def of(cls, account: Account) -> Person:
        """The person whom the account belongs to."""
        return cls(
            account.username, account.display_name, account.roles, account.sites, departments=account.departments
        )

    def scope(self, small_count: int) -> Scope:
        """What the person may see; small counts are withheld from those who may not see single exams anyway."""
        rows = self.may(Permission.SEE_EXAM_ROWS)
        return Scope(
            sites=None if self.sites is None else frozenset(self.sites),
            departments=None if self.departments is None else frozenset(self.departments),
            rows=rows,
            identified=rows and self.may(Permission.SEE_IDENTIFIED),
            small_count=0 if rows else small_count,
        )


def current_person() -> Person | None:
    """Who asks; None where nobody is signed in, or outside of a request."""
    person: Person | None = g.get("person") if has_request_context() else None
    return person


def current_scope() -> Scope:
    """What the person who asks may see; nothing where nobody is signed in, or outside of a request."""
    person = current_person()
    return NOTHING if person is None else person.scope(Services.of(current_app).web.small_count)


def audit_export(name: str, filters_sentence: str, rows: int, sha256: str) -> None:
    """Audits that the person who asks takes data out.

    Args:
        name: What is exported: a chart's, table's or export's name.
        filters_sentence: The filters in words; codes only.
        rows: How many rows leave.
        sha256: Of the bytes that leave, in hexadecimal.
    """
    audit_action("export", name, {"filters": filters_sentence, "rows": rows, "sha256": sha256})


def audit_action(action: str, target: str, detail: dict[str, str | int | list[str]] | None = None) -> None:
    """Audits something that the person who asks does, or is denied, with the address it came from."""
    person = current_person()
    actor = person.username if person else "unknown"
    where: dict[str, str | int | list[str]] = {"address": request.remote_addr or ""}
    Services.of(current_app).audit.append(actor, action, target, where | (detail or {}))
