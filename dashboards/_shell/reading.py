"""What one request reads with: the pinned star, the filters, the reader's scope and the names that people know.

Every page function takes a `Reading` and nothing else, so a page cannot forget the scope.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import polars as pl
from flask import Flask, current_app
from sqlalchemy import func, select

from dashboards._access.people import Person, current_person, current_scope
from dashboards._shell import numbers
from dashboards._shell.look import LIGHT, LOOKS, Look
from settings import Settings
from warehouse.engines import Star, StarReader
from warehouse.filters import Filters, exam_clause, site_clause
from warehouse.measures import Measure, evaluate, measure
from warehouse.schema import dim_device, dim_procedure, dim_protocol, dim_site, fact_exam
from warehouse.scope import Scope

EXTENSION = "isocenter"

PATIENT_CLASSES = {"ED": "Emergency", "IP": "Inpatient", "OP": "Outpatient", "unknown": "Class unknown"}
PRIORITIES = {"stat": "Stat", "urgent": "Urgent", "routine": "Routine", "unknown": "Priority unknown"}
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class Served:
    """What the server reads from, made once at its start."""

    settings: Settings
    reader: StarReader

    @classmethod
    def of(cls, server: Flask) -> Served:
        """What this server reads from; `create_app` put it there."""
        served: Served = server.extensions[EXTENSION]
        return served


@dataclass(frozen=True)
class Names:
    """Names that people know, by code and key; only what the scope opens."""

    sites: Mapping[str, str]
    devices: Mapping[str, str]
    """By `device_id`."""
    device_sites: Mapping[str, str]
    """Site code by `device_id`."""
    device_modalities: Mapping[str, str]
    procedures: Mapping[str, str]
    protocols: Mapping[str, str]
    sections: Mapping[str, str]
    """Reading sections by their code of the configuration."""

    @cached_property
    def all(self) -> dict[str, str]:
        """Every code and key that a filter may hold, with its name."""
        return {
            **PATIENT_CLASSES,
            **PRIORITIES,
            **self.procedures,
            **self.protocols,
            **self.sections,
            **self.devices,
            **self.sites,
        }


@dataclass(frozen=True)
class Reading:
    """One request's view of the data."""

    star: Star
    filters: Filters
    scope: Scope
    settings: Settings
    person: Person | None = None
    look: Look = LIGHT
    extra: Mapping[str, str] = field(default_factory=dict)
    """The address's whole query, for what a page reads besides the filters."""

    @cached_property
    def names(self) -> Names:
        """Names of sites, devices, procedures and protocols inside the scope."""
        return names_in(self.star, self.scope)

    @cached_property
    def sentence(self) -> str:
        """The filters in words."""
        return self.filters.sentence(self.names.all)

    @property
    def zone(self) -> ZoneInfo:
        """The clock of times that belong to no single site."""
        return self.settings.site_of().zone

    @property
    def as_of(self) -> date:
        """The last full day of the data."""
        return self.star.publication.last_full_day(self.zone)

    @property
    def data_to(self) -> datetime:
        """Newest exam time of the data."""
        return self.star.publication.as_of or datetime.now(UTC)

    @cached_property
    def data_from(self) -> date | None:
        """First day of the data: days with a stray exam or two before it do not count."""
        exam = fact_exam.c
        query = (
            select(exam.local_day, func.count().label("n"))
            .where(exam.is_performed)
            .group_by(exam.local_day)
            .order_by(exam.local_day)
        )
        frame = self.star.frame(query).drop_nulls("local_day")
        usual = frame["n"].median()
        full = frame.filter(pl.col("n") >= 0.1 * float(usual)) if isinstance(usual, int | float) else frame
        first = full["local_day"].min()
        return first if isinstance(first, date) else None

    def may(self, permission: str) -> bool:
        """Whether the person who asks may do this; outside of a request everything may be drawn that the scope opens."""
        return self.person is None or self.person.may(permission)

    def over(self, filters: Filters) -> Reading:
        """The same reading with other filters."""
        return replace(self, filters=filters)

    def frame(self, name: str | Measure, *by: str, filters: Filters | None = None) -> pl.DataFrame:
        """A measure, by its name in the catalogue or itself, split by these breakdowns."""
        return evaluate(self.star, name, filters or self.filters, self.scope, by)

    def shown(self, name: str, value: float | None, *, withheld: bool = False) -> str:
        """A measure's value in words, with its unit."""
        if withheld:
            return numbers.withheld(self.scope.small_count)
        found = measure(name)
        return numbers.shown(value, found.unit, found.decimals)


def reading_of(query: str, theme: str | None = None) -> Reading:
    """The reading of the request being answered.

    Args:
        query: untrusted text of the address behind its `?`.
        theme: `light` or `dark`.

    Raises:
        PublicationError: nothing is loaded yet.
    """
    served = Served.of(current_app)
    star = served.reader.current()
    values = dict(parse_qsl(query.removeprefix("?")))
    filters = Filters.from_query(values, star.publication.last_full_day(served.settings.site_of().zone))
    look = LOOKS.get(theme or "", LIGHT)
    return Reading(star, filters, current_scope(), served.settings, current_person(), look, values)


def names_in(star: Star, scope: Scope) -> Names:
    """The names that the scope opens."""
    known = site_clause(dim_site.c.site_key, scope)
    sites = star.frame(
        select(dim_site.c.site_code, dim_site.c.site_name)
        .where(known, dim_site.c.site_key != 0)
        .order_by(dim_site.c.site_name)
    )
    device = dim_device.c
    devices = star.frame(
        select(device.device_id, device.device_name, device.modality, dim_site.c.site_code)
        .select_from(dim_device.join(dim_site, device.site_key == dim_site.c.site_key))
        .where(known, device.is_current, device.device_key != 0)
        .order_by(device.modality, device.device_name)
    )
    procedures = star.frame(
        select(dim_procedure.c.procedure_key, dim_procedure.c.procedure_text, dim_procedure.c.procedure_code).order_by(
            dim_procedure.c.procedure_text
        )
    )
    protocols = star.frame(
        select(dim_protocol.c.protocol_key, dim_protocol.c.protocol_name).order_by(dim_protocol.c.protocol_name)
    )
    section = fact_exam.c.section
    read_by = star.frame(select(section).distinct().where(exam_clause(scope), section.is_not(None)).order_by(section))
    return Names(
        sections={code: code.replace("_", " ").capitalize() for code in read_by["section"]},
        sites=dict(sites.iter_rows()),
        devices={row[0]: row[1] or row[0] for row in devices.iter_rows()},
        device_sites={row[0]: row[3] for row in devices.iter_rows()},
        device_modalities={row[0]: row[2] or "OT" for row in devices.iter_rows()},
        procedures={str(key): text or code or "Procedure unknown" for key, text, code in procedures.iter_rows()},
        protocols={str(key): name or "Protocol unknown" for key, name in protocols.iter_rows()},
    )
