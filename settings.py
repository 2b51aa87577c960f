"""Settings: one typed object from one TOML file and the environment.

Read at the edges (a command, the web server's start) and handed down; nothing else reads the environment.
`isocenter.toml` beside this file is documented line by line; `ISOCENTER_CONFIG` names another one and
`ISOCENTER_DATA` overrides the data directory.
"""

from __future__ import annotations

import ipaddress
import json
import os
import tomllib
from datetime import time
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

DEFAULT_FILE = Path(__file__).with_name("isocenter.toml")

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class SettingsError(Exception):
    """The configuration cannot be used; the message names the file, the setting and what is expected."""


class Section(BaseModel):
    """One table of the TOML file: unknown keys are refused, values never change after the start."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StaffedHours(Section):
    """When one modality is staffed at one site, local time; the denominator of utilization."""

    modality: str
    days: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri")
    opens: time
    closes: time

    @model_validator(mode="after")
    def _opens_first(self) -> StaffedHours:
        if self.closes != time(0) and self.closes <= self.opens:
            raise ValueError("closes must be later than opens (00:00 means midnight at the end of the day)")
        return self


class Site(Section):
    """One hospital or clinic."""

    code: Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9_-]{0,15}$")]
    name: str
    time_zone: str = "UTC"
    aliases: tuple[str, ...] = ()
    """Institution names (0008,0080), HL7 facilities and extract values that mean this site, in any case."""
    hours: tuple[StaffedHours, ...] = ()

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"{value!r} is not an IANA time zone; an example is 'Europe/Berlin'")
        return value

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.time_zone)


class Extract(Section):
    """A table file (CSV or Parquet) of an EMR or RIS, and how its columns become landing columns."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    files: str
    """A glob on the file's name, e.g. `exams_*.csv`."""
    columns: dict[str, str]
    """Landing column or `event:<event name>` to the file's column, e.g. `"event:report_final" = "signed_at"`."""
    constants: dict[str, str] = {}
    """Landing columns with one value for the whole file, e.g. `site = "NORTH"`."""
    delimiter: str | None = None
    encoding: str = "utf-8"
    decimal_mark: Literal[".", ","] = "."
    time_formats: tuple[str, ...] = (
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d",
    )
    """strptime formats, tried in order; a value with an offset (`+01:00`, `Z`) keeps it."""
    time_zone: str | None = None
    """Zone of times without an offset; the site's own where this is absent."""
    optional: tuple[str, ...] = ()
    """Landing columns whose file column may be missing."""


class Hl7(Section):
    """How HL7 v2 messages are understood."""

    imaging_when_unstated: bool = True
    """Whether an order without a diagnostic service section (OBR-24) counts as imaging: true for a RIS feed."""
    imaging_sections: tuple[str, ...] = (
        "RAD",
        "RUS",
        "CT",
        "CTH",
        "NMR",
        "NMS",
        "MRI",
        "MR",
        "MG",
        "XRC",
        "CUS",
        "VUS",
        "US",
        "XR",
        "DX",
        "CR",
        "RX",
        "NM",
        "PT",
        "IMG",
        "OUS",
        "RF",
        "XA",
        "RADIOLOGY",
    )
    accession_fields: tuple[str, ...] = ("IPC-1", "OBR-18", "OBR-3", "ORC-3", "OBR-20")
    """Where the accession number stands, first hit wins (IHE: IPC-1 or OBR-18; US practice: the filler number)."""
    preliminary_statuses: tuple[str, ...] = ("P",)
    processing_ids: tuple[str, ...] = ("P", "")
    """MSH-11 values that are production; others (T, D) are counted as not applicable."""


class NotPatients(Section):
    """Patterns (shell wildcards, any case) that mark phantom and service exams before identifiers are replaced."""

    names: tuple[str, ...] = ("*phantom*", "physics*", "*^test*", "test^*", "qa^*", "qc^*", "*quality^*")
    ids: tuple[str, ...] = ("phy[0-9]*", "qa[0-9]*", "qc[0-9]*", "phantom*", "test[0-9]*")


class Dose(Section):
    """Plausible limits; a value outside is kept beside, flagged, and enters no figure."""

    max_ctdivol_mgy: float = 2000
    max_dlp_mgycm: float = 50000
    max_dap_gycm2: float = 10000
    max_rp_air_kerma_mgy: float = 100000
    max_agd_mgy: float = 100
    max_activity_mbq: float = 20000


class Limits(Section):
    """Bounds on one input, so that no file can take the machine down."""

    max_file_mb: int = Field(default=4096, ge=1)
    max_header_mb: int = Field(default=64, ge=1)
    """How much of a DICOM object before its pixels, or of a structured report, is read."""
    max_message_mb: int = Field(default=16, ge=1)
    max_unpacked_mb: int = Field(default=20480, ge=1)
    """All members of one archive together."""
    max_member_ratio: int = Field(default=200, ge=2)
    max_members: int = Field(default=200_000, ge=1)
    max_nesting: int = Field(default=64, ge=4, le=150)
    max_line_kb: int = Field(default=1024, ge=1)
    max_columns: int = Field(default=2000, ge=10)
    quarantine_mb: int = Field(default=16, ge=0)
    """Rejected inputs up to this size are kept, encrypted, for a retry."""
    quiet_seconds: float = Field(default=0, ge=0)
    """A file changed within this time may still be growing and is left for the next run."""


class Load(Section):
    """How loading runs."""

    workers: int = Field(default=0, ge=0)
    """Processes that read; 0 means one a core."""
    batch_files: int = Field(default=2000, ge=10)
    """Inputs that land in one append; memory is bounded by it."""
    kept_publications: int = Field(default=10, ge=2)


class Web(Section):
    """The pages' server."""

    host: str = "127.0.0.1"
    port: int = Field(default=8050, ge=1, le=65535)
    demo: bool = False
    """One-click choice of role, no passwords. Refused on any address but the machine's own."""
    secret: SecretStr | None = None
    """Signs session cookies; at least 32 characters. Made by itself in the data directory where absent."""
    behind_tls: bool = False
    """True where a reverse proxy ends TLS in front; needed for any address but the machine's own."""
    idle_minutes: int = Field(default=15, ge=1, le=720)
    session_hours: int = Field(default=8, ge=1, le=24)
    debug: bool = False
    small_count: int = Field(default=11, ge=0)
    """Counts from 1 to below this are hidden from roles that may not see identified rows (CMS cell rule: 11)."""

    @property
    def is_local(self) -> bool:
        """Whether the pages are served to this machine alone."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @model_validator(mode="after")
    def _safe(self) -> Web:
        if self.demo and not self.is_local:
            raise ValueError(
                f'demo is refused on {self.host}: it needs no password. Use host = "127.0.0.1" or demo = false'
            )
        if not self.is_local and not self.behind_tls:
            raise ValueError(
                f"host {self.host} is reachable from other machines: put a TLS proxy in front and set behind_tls = true"
            )
        if self.debug and not self.is_local:
            raise ValueError("debug shows source code to visitors and is refused on any address but 127.0.0.1")
        if self.secret is not None and len(self.secret.get_secret_value()) < 32:
            raise ValueError("secret must have at least 32 characters; leave it out to have one made")
        return self


class Utilization(Section):
    """What image headers do not show of a scanner's time."""

    change_minutes: dict[str, float] = {"CT": 7, "MR": 10, "XR": 4, "US": 8, "MG": 5, "XA": 30}
    """Minutes of positioning and patient change by modality, added to the acquisition of each exam: a model, to be set to
    what the department measures. ISMRM 2018 no. 2634 found 9:33 and 10:47 min of empty table in MR; the others are
    proposals."""


class Freshness(Section):
    """After how many hours without a new event a kind of source is called stale."""

    dicom_hours: float = 24
    hl7_hours: float = 24
    extract_hours: float = 48


class Settings(Section):
    """Everything that can be set; the documentation of each key stands in `isocenter.toml`."""

    data_directory: Path = Path("isocenter-data")
    organisation: str = "Isocenter"
    sites: tuple[Site, ...] = (Site(code="MAIN", name="Main"),)
    default_site: str | None = None
    """Site of inputs that name none or an unknown one; the first site where absent."""
    hl7: Hl7 = Hl7()
    not_patients: NotPatients = NotPatients()
    dose: Dose = Dose()
    limits: Limits = Limits()
    load: Load = Load()
    web: Web = Web()
    utilization: Utilization = Utilization()
    freshness: Freshness = Freshness()
    extracts: tuple[Extract, ...] = ()

    @model_validator(mode="after")
    def _sites_agree(self) -> Settings:
        codes = [site.code for site in self.sites]
        if not codes:
            raise ValueError("sites must name at least one site")
        if len(set(codes)) != len(codes):
            raise ValueError(f"sites repeat a code: {min(code for code in codes if codes.count(code) > 1)!r}")
        if self.default_site is not None and self.default_site not in codes:
            raise ValueError(f"default_site {self.default_site!r} is none of {codes}")
        owners: dict[str, str] = {}
        for site in self.sites:
            for alias in (site.code, *site.aliases):
                if owners.setdefault(alias.strip().casefold(), site.code) != site.code:
                    raise ValueError(
                        f"alias {alias!r} belongs to two sites, {owners[alias.strip().casefold()]} and {site.code}"
                    )
        return self

    def site_of(self, *names: str | None) -> Site:
        """The first site that one of the names means; the default site where none does."""
        by_alias = {
            alias.strip().casefold(): site for site in self.sites for alias in (site.code, site.name, *site.aliases)
        }
        for name in names:
            if name and (site := by_alias.get(name.strip().casefold())):
                return site
        return next(site for site in self.sites if site.code == (self.default_site or self.sites[0].code))

    def digest(self) -> str:
        """A hash of all settings that shape the star (not the web server's)."""
        shaping = self.model_dump(mode="json", exclude={"web", "load", "data_directory", "limits", "freshness"})
        return sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()[:16]

    def shown(self) -> dict[str, Any]:
        """All settings for display, secrets masked."""
        return self.model_dump(mode="json")


def load_settings(file: Path | None = None) -> Settings:
    """Settings from the file, or from `ISOCENTER_CONFIG`, or from `isocenter.toml` beside the program.

    Raises:
        SettingsError: the file is missing, is not TOML, or a setting is unknown or out of range.
    """
    named = file or (Path(os.environ["ISOCENTER_CONFIG"]) if os.environ.get("ISOCENTER_CONFIG") else None)
    chosen = named or DEFAULT_FILE
    try:
        values = tomllib.loads(chosen.read_text(encoding="utf-8")) if (named or chosen.exists()) else {}
    except OSError as error:
        raise SettingsError(
            f"{chosen}: cannot be read ({error.strerror}). Name an existing file in ISOCENTER_CONFIG."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{chosen}: not valid TOML: {error}. Correct the file and start again.") from error
    if os.environ.get("ISOCENTER_DATA"):
        values["data_directory"] = os.environ["ISOCENTER_DATA"]
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        lines = [
            f"{chosen}: {'.'.join(str(part) for part in e['loc']) or 'settings'}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        ]
        raise SettingsError("\n".join(lines)) from error
