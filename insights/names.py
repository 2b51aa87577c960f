"""Codes and keys in words, for sentences that people read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import select

from warehouse.engines import Star
from warehouse.filters import site_clause
from warehouse.schema import dim_device, dim_procedure, dim_protocol, dim_site
from warehouse.scope import Scope

CLASSES = {"ED": "emergency", "IP": "inpatient", "OP": "outpatient"}


@dataclass(frozen=True)
class Device:
    """What is said of a device: its current version's name, site and modality."""

    name: str
    site: str
    modality: str | None


@dataclass(frozen=True)
class Names:
    """The names of one publication."""

    sites: Mapping[str, str]
    devices: Mapping[str, Device]
    protocols: Mapping[str, str]
    procedures: Mapping[str, str]
    modalities: Mapping[str, str] = field(default_factory=dict)
    """Of procedures, by key: the one most often used for it."""

    def words(self, place: Mapping[str, str]) -> str:
        """A place in words: `of Chest routine at CT2 (Main Hospital)`; empty for the whole network."""
        named = [
            CLASSES.get(place.get("patient_class", ""), ""),
            place.get("section", ""),
            place.get("modality", ""),
        ]
        what = [
            self.protocols.get(place.get("protocol", ""), ""),
            self.procedures.get(place.get("procedure", ""), ""),
            " ".join(part for part in named if part),
        ]
        of = ", ".join(part for part in what if part)
        device = self.devices.get(place.get("device", ""))
        site = device.site if device else place.get("site", "")
        called = self.sites.get(site, site)
        at = f"{device.name} ({called})" if device else place.get("device") or called
        return " ".join(part for part in (of and f"of {of}", at and f"at {at}") if part)

    def around(self, place: Mapping[str, str]) -> dict[str, str]:
        """The place with what its device or procedure implies: site and modality."""
        device = self.devices.get(place.get("device", ""))
        implied = {"site": device.site, **({"modality": device.modality} if device.modality else {})} if device else {}
        modality = self.modalities.get(place.get("procedure", ""))
        return {**({"modality": modality} if modality else {}), **implied, **place}


def names_of(star: Star, scope: Scope) -> Names:
    """The names of what the reader may see."""
    device, site = dim_device.c, dim_site.c
    devices = star.frame(
        select(device.device_id, device.device_name, device.modality, site.site_code)
        .join_from(dim_device, dim_site, device.site_key == site.site_key)
        .where(device.is_current, site_clause(device.site_key, scope))
        .order_by(device.device_id)
    )
    sites = star.frame(select(site.site_code, site.site_name).where(site_clause(site.site_key, scope)))
    protocols = star.frame(select(dim_protocol.c.protocol_key, dim_protocol.c.protocol_name))
    procedures = star.frame(
        select(dim_procedure.c.procedure_key, dim_procedure.c.procedure_text, dim_procedure.c.modality)
    )
    return Names(
        dict(sites.iter_rows()),
        {row[0]: Device(row[1] or row[0], row[3], row[2]) for row in devices.iter_rows()},
        {str(key): name for key, name in protocols.iter_rows() if name},
        {str(key): name for key, name, _ in procedures.iter_rows() if name},
        {str(key): modality for key, _, modality in procedures.iter_rows() if modality},
    )
