"""How resources name each other, and the one written form of such a name.

FHIR R4 sections 2.3 (references) and 3.1.1.5 (references in bundles). A landing row stands for itself, so a resource is
not looked up when another one names it; both write the name in one form instead, and meet by it:

- a UUID names its resource wherever it stands: `urn:uuid:…`, as `fullUrl`, `urn:uuid:` reference or id;
- another id is `<base>/<type>/<id>`, the base being that of the source's configuration, else of the entry's `fullUrl`;
- files that say no base (NDJSON that was copied by hand) give `<type>/<id>`, the same over all such files;
- the version (`/_history/2`) is no part of the name; a contained resource (`#1`) gives its identifiers alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from etl.sources.fhir.values import Element, Identifier

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NAMED = re.compile(
    r"(?:(?P<base>https?://.+?)/)?(?P<type>[A-Z][A-Za-z]{1,39})/(?P<id>[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]+)?"
)
_ASKED = re.compile(r"(?P<type>[A-Z][A-Za-z]{1,39})\?identifier=(?:(?P<system>[^|&]*)\|)?(?P<value>[^|&]+)")
_URN = ("urn:uuid:", "urn:oid:")


class Reference(NamedTuple):
    """What an element refers to."""

    type: str
    """Resource type; empty where the reference does not say it."""
    key: str
    """The name in its one written form; empty where there is none."""
    identifiers: list[Identifier]
    display: str


class Scope(NamedTuple):
    """Whose names relative references are."""

    base: str
    """Base of the server; empty where it is not known."""
    aliases: frozenset[str]
    """Other bases under which the same server is named."""
    types: Mapping[str, str] = MappingProxyType({})
    """Names of the bundle's resources and their types: a UUID alone does not say the type."""

    def name(self, kind: str, number: str, base: str = "") -> str:
        """The one written form of a resource's name."""
        if _UUID.fullmatch(number):
            return f"urn:uuid:{number.lower()}"
        if not base or base in self.aliases:
            base = self.base
        return f"{base}/{kind}/{number}" if base else f"{kind}/{number}"


def scope_of(full_url: str, configured: str, types: Mapping[str, str]) -> Scope:
    """The scope of an entry: the configured base, else that of its `fullUrl`; with the types of the bundle's resources."""
    match = _NAMED.fullmatch(full_url)
    own = match["base"] if match and match["base"] else ""
    base = configured.rstrip("/")
    return Scope(base or own, frozenset(one for one in (own, base) if one), types)


def own_key(resource: Element, full_url: str, scope: Scope) -> str:
    """The name of the resource itself; empty where it has neither an id nor a `fullUrl`."""
    if full_url.startswith(_URN):
        return full_url.lower()
    number = resource.text("id")
    if not number and (match := _NAMED.fullmatch(full_url)):
        number = match["id"]
    return scope.name(resource.text("resourceType"), number) if number else ""


def references(resource: Element, path: str, scope: Scope) -> list[Reference]:
    """The references at a path of the resource, whose contained resources they may name."""
    return [_reference(resource, one, scope) for one in resource.objects(path)]


def _reference(resource: Element, one: Element, scope: Scope) -> Reference:
    text, kind = one.text("reference"), one.text("type")
    identifiers, key = one.identifiers(), ""
    if text.startswith("#"):
        inside = next((held for held in resource.objects("contained") if f"#{held.text('id')}" == text), None)
        if inside is not None:
            kind, identifiers = inside.text("resourceType"), identifiers + inside.identifiers()
    elif text.startswith(_URN):
        key = text.lower()
    elif match := _NAMED.fullmatch(text):
        kind, key = match["type"], scope.name(match["type"], match["id"], match["base"] or "")
    elif match := _ASKED.fullmatch(text):
        kind = match["type"]
        identifiers = [*identifiers, Identifier(frozenset(), match["system"] or "", "", match["value"])]
    return Reference(kind or scope.types.get(key, ""), key, identifiers, one.text("display"))
