"""FHIR R4 from files: Bundles, single resources and NDJSON, one `Offered` a resource.

A resource that comes again unchanged is a duplicate: its digest is that of its canonical JSON and its name, without
`meta.versionId` and the narrative, which servers write anew. `meta.lastUpdated` is part of it, because a status that is
taken back is a new statement. A charge is the same charge whatever was touched beside it, so there only what is charged,
and whether it stands, counts.

A file that was pulled is named `<source>.<anything>`: the configured source gives base and site of its resources.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

from etl.sources.contract import Context, Input, Offered, Reject, Row, Verdict, digest_of, not_applicable, rejected
from etl.sources.extract.tables import RefusedFileError
from etl.sources.fhir.context import Origin, ResourceContext
from etl.sources.fhir.exams import EXAM_TYPES, REVERSED, UnusedResourceError, exam_rows
from etl.sources.fhir.json import GZIP, Document, RefusedDocumentError, canonical, decoded, documents, too_deep
from etl.sources.fhir.people import patient_rows, visit_rows
from etl.sources.fhir.references import Scope, own_key, scope_of
from etl.sources.fhir.values import BadResourceError, Element, depth_exceeds
from settings import FhirSource, Settings

HANDLERS = {**dict.fromkeys(EXAM_TYPES, exam_rows), "Encounter": visit_rows, "Patient": patient_rows}
"""Resource type to what makes its rows; other types are counted as not applicable."""

_NAMES = (".json", ".ndjson", ".jsonl")
_RESOURCE = re.compile(rb'"resourceType"\s*:')
_XML = re.compile(rb'xmlns\s*=\s*["\']http://hl7\.org/fhir["\']')
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,39}")
_BUNDLES_INSIDE = 3
_NARRATIVE = frozenset(("text", "meta"))

_TOO_LARGE = Reject(
    "message-too-large",
    "The resource or bundle is larger than limits.max_message_mb.",
    "Export NDJSON, one resource a line, which has no limit as a whole; or raise limits.max_message_mb.",
)
_XML_REJECT = Reject(
    "xml-encoding",
    "FHIR in XML is not read; JSON is expected.",
    "Ask the server for application/fhir+json or application/fhir+ndjson.",
)


def source_of(settings: Settings, name: str) -> FhirSource | None:
    """The configured FHIR server that a file of this name was pulled from."""
    plain = PurePath(re.split(r"[!:]", name)[-1]).name
    known = {source.name: source for source in settings.sources if isinstance(source, FhirSource)}
    return known.get(plain.partition(".")[0])


class FhirReader:
    """Reads FHIR R4; see `etl.sources.contract.Reader`."""

    name = "fhir"
    order = 60

    def claims(self, head: bytes, name: str, settings: Settings) -> bool:  # noqa: ARG002
        """Whether a JSON object with a resource type starts the text, or one of any kind in a file named as JSON."""
        start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
        plain = name.lower()
        if head.startswith(GZIP):
            return plain.endswith(tuple(f"{ending}.gz" for ending in _NAMES))
        if start.startswith(b"<"):
            return bool(_XML.search(head))
        return plain.endswith(_NAMES) or (start.startswith(b"{") and bool(_RESOURCE.search(head)))

    def read(self, source: Input, context: Context) -> Iterator[Offered]:
        """One `Offered` for each resource; one for a text or file that cannot be read."""
        run = _Run(context, source_of(context.settings, source.name))
        found = False
        try:
            with source.opener() as raw:
                for document in documents(source, raw, context.settings.limits):
                    found = True
                    yield from run.offered(document)
        except RefusedFileError as error:
            found = True
            yield Offered("fhir", error.verdict, digest_of(source.head(1 << 20), str(source.size)), reject=error.reject)
        if not found:
            yield not_applicable("fhir", digest_of(source.head()), "empty-file", "There is no resource in the file.")


@dataclass(frozen=True)
class _Run:
    """The reading of one file."""

    context: Context
    source: FhirSource | None

    def offered(self, document: Document) -> Iterator[Offered]:
        """What one JSON text gives."""
        if document.digest is not None:
            yield rejected("fhir", digest_of(document.digest), _TOO_LARGE, position=document.position)
            return
        data = document.data
        if data.lstrip()[:1] == b"<":
            yield rejected("fhir", digest_of(data), _XML_REJECT, position=document.position)
            return
        if not data.strip():
            return
        try:
            value = decoded(data)
        except RefusedDocumentError as error:
            yield rejected("fhir", digest_of(data), error.reject, position=document.position, payload=data)
            return
        if not document.position and not (isinstance(value, dict) and "resourceType" in value):
            message = "The file is JSON and no resource of FHIR: it has no resourceType."
            yield not_applicable("unknown", digest_of(data), "unknown-kind", message)
            return
        yield from self._resource(value, document.position, "", MappingProxyType({}), 0)

    def _resource(
        self, value: Any, position: str, full_url: str, types: Mapping[str, str], depth: int
    ) -> Iterator[Offered]:
        """The resource, or those of a bundle."""
        if isinstance(value, dict) and value.get("resourceType") == "Bundle":
            yield from self._bundle(value, position, depth + 1)
            return
        payload = b""
        try:
            payload = canonical(value)
            yield self._one(value, payload, position, full_url, types)
        except (BadResourceError, RefusedDocumentError) as error:
            yield rejected(
                "fhir", digest_of(payload, position), error.reject, position=position, payload=payload or None
            )

    def _bundle(self, bundle: dict[str, Any], position: str, depth: int) -> Iterator[Offered]:
        place = f"{position}, " if position else ""
        try:
            if depth > _BUNDLES_INSIDE:
                raise RefusedDocumentError(too_deep("Bundle.entry"))
            entries = Element(bundle, "Bundle").objects("entry")
            urls = [entry.text("fullUrl") for entry in entries]
        except (BadResourceError, RefusedDocumentError) as error:
            yield rejected("fhir", digest_of(_fingerprint(bundle)), error.reject, position=position)
            return
        if not entries:
            yield not_applicable(
                "fhir",
                digest_of(_fingerprint(bundle)),
                "empty-bundle",
                "The bundle has no entries.",
                position=position,
            )
        types = self._types(entries, urls)
        for number, (entry, url) in enumerate(zip(entries, urls, strict=True), 1):
            resource = entry.value.get("resource")
            if resource is None:
                message = "The entry has no resource: it is a request or an answer without content, such as a deletion."
                digest = digest_of(_fingerprint(entry.value))
                yield not_applicable("fhir", digest, "no-resource", message, position=f"{place}entry {number}")
            else:
                yield from self._resource(resource, f"{place}entry {number}", url, types, depth)

    def _types(self, entries: list[Element], urls: list[str]) -> dict[str, str]:
        """Names of the bundle's resources and their types."""
        types = {}
        for entry, url in zip(entries, urls, strict=True):
            try:
                resource = Element(entry.value.get("resource"), "Bundle.entry.resource")
                kind = resource.text("resourceType")
                types[own_key(resource, url, self._scope(url, MappingProxyType({})))] = kind
            except BadResourceError:
                continue  # said of the resource itself, at its place
        return types

    def _scope(self, full_url: str, types: Mapping[str, str]) -> Scope:
        return scope_of(full_url, self.source.url if self.source else "", types)

    def _one(self, value: Any, payload: bytes, position: str, full_url: str, types: Mapping[str, str]) -> Offered:
        """The verdict of one resource."""
        kind = value.get("resourceType") if isinstance(value, dict) else None
        path = kind if isinstance(kind, str) and _TYPE.fullmatch(kind) else "resource"
        resource = Element(value, path)
        if path == "resource":
            raise BadResourceError(
                Reject(
                    "no-resource-type",
                    "resourceType is missing or names no resource.",
                    "Have the sender write resources of FHIR R4.",
                    "resourceType",
                )
            )
        handler = HANDLERS.get(path)
        if handler is None:
            message = f"Resources of this type ({path}) say nothing about imaging exams."
            return not_applicable("fhir", digest_of(payload), "resource-type", message, position=position)
        if depth_exceeds(value, self.context.settings.limits.max_nesting):
            raise RefusedDocumentError(too_deep(path))
        origin = Origin(position, full_url, self._scope(full_url, types), self.source)
        shared = ResourceContext(resource, origin, self.context)
        digest = digest_of(shared.key, _stated(resource))
        try:
            rows: dict[str, list[Row]] = handler(shared)
        except UnusedResourceError as unused:
            return not_applicable("fhir", digest, unused.reason, str(unused), position=position)
        return Offered(
            "fhir", Verdict.ACCEPTED, digest, position, shared.source_name, rows, identities=shared.identities.seen
        )


def _stated(resource: Element) -> bytes:
    """What a resource states, in one written form."""
    told = {name: value for name, value in resource.value.items() if name not in _NARRATIVE}
    if resource.text("resourceType") == "ChargeItem":
        told["status"] = resource.text("status") in REVERSED
    else:
        told["meta"] = resource.text("meta.lastUpdated")
    return canonical(told)


def _fingerprint(value: Any) -> bytes:
    """The canonical form where there is one, else another that tells values apart; for what is only counted."""
    try:
        return canonical(value)
    except RefusedDocumentError:
        pass
    try:
        return ascii(value).encode()
    except RecursionError:
        return b""


READER = FhirReader()
"""The module's reader."""
