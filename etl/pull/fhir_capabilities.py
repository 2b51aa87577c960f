"""What a server says it can: its CapabilityStatement (FHIR R4 section 5.2), read for what a pull needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from etl.pull.contract import Remark
from etl.sources.contract import shown
from settings import FhirSource


class Capabilities:
    """A CapabilityStatement; what is missing or of a wrong type counts as not said."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement if isinstance(statement, dict) else {}
        self._servers = [one for one in _dicts(self._statement.get("rest")) if one.get("mode", "server") == "server"]

    def remarks(self, source: FhirSource) -> Iterator[Remark]:
        """What it says of version, export, and each resource type of the source."""
        if self._statement.get("resourceType") != "CapabilityStatement":
            yield Remark(
                "fails",
                "The server's /metadata is no CapabilityStatement. Check that url is the base of a FHIR server.",
            )
            return
        version = shown(self._statement.get("fhirVersion", "none"), 20)
        software = next(iter(_dicts([self._statement.get("software")])), {})
        yield Remark(
            "works" if version.startswith("4.") else "fails",
            f"The server answers: {shown(software.get('name', 'software without a name'), 60)}, FHIR {version}"
            + ("." if version.startswith("4.") else "; FHIR R4 (4.0) is read. Ask the vendor for its R4 address."),
        )
        yield from self._export(source)
        for kind in source.resources:
            yield from self._type(kind, source)

    def _export(self, source: FhirSource) -> Iterator[Remark]:
        names = {operation.get("name") for server in self._servers for operation in _dicts(server.get("operation"))}
        names |= {
            operation.get("name")
            for server in self._servers
            for resource in _dicts(server.get("resource"))
            if resource.get("type") == "Group"
            for operation in _dicts(resource.get("operation"))
        }
        said = any(isinstance(name, str) and "export" in name for name in names)
        if said:
            yield Remark("works", "It says that it has Bulk Data export ($export).")
        elif source.bulk:
            yield Remark("ask", "Bulk Data Access ($export): the server does not say that it has it, and bulk is true.")

    def _type(self, kind: str, source: FhirSource) -> Iterator[Remark]:
        entries = [
            resource
            for server in self._servers
            for resource in _dicts(server.get("resource"))
            if resource.get("type") == kind
        ]
        if not entries:
            yield Remark("ask", f"{kind}: the server does not say that it has this type.")
            return
        searches = {code.get("code") for entry in entries for code in _dicts(entry.get("interaction"))}
        params = {param.get("name") for entry in entries for param in _dicts(entry.get("searchParam"))}
        params |= {param.get("name") for server in self._servers for param in _dicts(server.get("searchParam"))}
        if "search-type" not in searches and not source.bulk:
            yield Remark("ask", f"{kind}: the server does not say that it can be searched.")
        elif "_lastUpdated" not in params:
            yield Remark(
                "ask",
                f"{kind}: search by _lastUpdated, which the server does not list; without it every pull fetches all again.",
            )


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
