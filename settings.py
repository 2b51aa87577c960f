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
from datetime import date, time
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

DEFAULT_FILE = Path(__file__).with_name("isocenter.toml")

SourceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
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


class ReadingHours(Section):
    """When reports are read at one site, local time; the working-hours clock of turnaround runs only then."""

    days: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri")
    opens: time
    closes: time

    @model_validator(mode="after")
    def _opens_first(self) -> ReadingHours:
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
    holidays: Annotated[str, Field(pattern=r"^([A-Z]{2}(-[A-Z0-9]{1,3})?)?$")] = ""
    """Whose public holidays hold, by ISO 3166: `GB-ENG`, `US`; empty takes those that explain the past volume best."""
    hours: tuple[StaffedHours, ...] = ()
    reading_hours: tuple[ReadingHours, ...] = ()

    @field_validator("holidays")
    @classmethod
    def _known_holidays(cls, value: str) -> str:
        from holidays import country_holidays  # slow to import, and few commands need it

        country, _, subdivision = value.partition("-")
        try:
            if country:
                country_holidays(country, subdiv=subdivision or None)
        except NotImplementedError:
            raise ValueError(
                f"no public holidays are known for {value!r}; examples are 'GB-ENG', 'US' and 'DE-BY'"
            ) from None
        return value

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
    statuses: dict[str, str] = {}
    """Local order statuses (ORC-5, or ORC-16 and OBR-25 where a RIS abuses them), in any case, to events of an exam's life,
    e.g. `IN_ROOM = "patient_in_room"`."""


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
    expected_from: tuple[str, ...] = ("CT", "MG", "XA", "RF")
    """Modalities whose exams shall have a dose: the denominator of the capture rate."""
    qa_protocols: tuple[str, ...] = ("qa", "qa *", "qc *", "*daily*", "*phantom*", "*constancy*", "*quality*")
    """Shell patterns on protocol names (any case) that hint at a phantom or test exposure, until a person says."""
    effective_dose: bool = False
    """Whether effective dose is shown: an estimate for populations, with coefficients that a physicist imported."""
    window_weeks: int = Field(default=12, ge=1, le=104)
    """Over how many weeks air kerma at the reference point is summed for one patient."""
    smallest_sample: int = Field(default=20, ge=5)
    """Fewer exams give no reference level (ICRP 135)."""
    second_signature: bool = False
    """Whether the close of an alert needs another person's signature."""


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
    batch_files: int = Field(default=8000, ge=10)
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


class Matching(Section):
    """How order and accession numbers are compared, and what holds where none fits."""

    accession_scope: Literal["network", "site"] = "network"
    """Whether accession, placer and filler numbers are unique in the whole network, or only within a site."""
    strip_prefixes: tuple[str, ...] = ()
    """Prefixes that some systems put before a number and others leave out, e.g. `["RAD-", "NORTH"]`."""
    strip_leading_zeros: bool = False
    proximity_minutes: int = Field(default=90, ge=0, le=720)
    """Images without a usable number join the one order of the same patient, modality and site whose time is this near; 0
    joins none. Such matches are marked `probable`."""

    def number(self, text: str | None, site: str) -> str:
        """The form of an order, accession, placer or filler number that is compared, and made a pseudonym of."""
        plain = " ".join((text or "").split()).upper()
        for prefix in self.strip_prefixes:
            if plain.startswith(prefix.upper()) and len(plain) > len(prefix):
                plain = plain[len(prefix) :]
                break
        if self.strip_leading_zeros:
            plain = plain.lstrip("0") or plain
        return f"{site}\x1f{plain}" if plain and self.accession_scope == "site" else plain


class Clocks(Section):
    """Scanners whose clock is wrong: estimated from what the RIS says of the same exams."""

    correct: Literal["none", "approved", "whole_hours"] = "whole_hours"
    """What is corrected: nothing, what a person approved, or besides it whole hours (a missed change to summer time)."""
    minimum_exams: int = Field(default=5, ge=3)
    """Exams of a device and day (else week) below which no offset is estimated."""
    flag_seconds: float = Field(default=120, gt=0)
    """Offsets beyond this are shown as a wrong clock."""


class Subspecialty(Section):
    """Which procedures a reading section reads; the first that fits wins."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    procedures: tuple[str, ...] = ("*",)
    """Shell patterns on procedure code or description, any case."""
    modalities: tuple[str, ...] = ()
    """Ours (XR, CT, …); all where empty."""


class TurnaroundTarget(Section):
    """How quickly a report shall be there, from a day on; the last that fits an exam holds."""

    minutes: float = Field(gt=0)
    """From the end of the exam to its first final report."""
    share: float = Field(default=90, gt=0, le=100)
    """Percent of the exams that shall keep it."""
    priority: tuple[str, ...] = ()
    patient_class: tuple[str, ...] = ()
    modality: tuple[str, ...] = ()
    starts_on: date = date(1900, 1, 1)


class Turnaround(Section):
    """Targets of the turnaround page. They are local agreements: no professional body sets them."""

    targets: tuple[TurnaroundTarget, ...] = (
        TurnaroundTarget(minutes=1440, share=90),
        TurnaroundTarget(minutes=240, share=90, priority=("urgent",)),
        TurnaroundTarget(minutes=60, share=90, priority=("stat",)),
    )
    smallest_group: int = Field(default=5, ge=2)
    """Readers are shown as groups of at least so many; single ones only with permission."""


class Utilization(Section):
    """What image headers do not show of a scanner's time."""

    change_minutes: dict[str, float] = {"CT": 7, "MR": 10, "XR": 4, "US": 8, "MG": 5, "XA": 30}
    """Minutes of positioning and patient change by modality, added to the acquisition of each exam: a model, to be set to
    what the department measures. ISMRM 2018 no. 2634 found 9:33 and 10:47 min of empty table in MR; the others are
    proposals."""
    turnover_minutes: float = Field(default=60, gt=0, le=480)
    """A gap between two exams up to this is turnover; a longer one is idle time."""
    bookable_minutes: float = Field(default=30, gt=0, le=480)
    """Idle time of at least this could have been booked; shorter is a sliver."""
    first_case_grace_minutes: float = Field(default=5, ge=0, le=120)
    late_cancel_hours: float = Field(default=24, gt=0, le=336)
    wait_days: dict[str, float] = {"stat": 1, "urgent": 7, "routine": 42}
    """Within how many days of its order an exam shall be made, by priority: local agreements, to be set to the
    department's own."""
    stale_days: int = Field(default=180, ge=7)
    """An order of this age that nothing happened to waits no longer: it was forgotten or done elsewhere."""
    infer_hours: bool = True
    """Devices without configured or loaded hours get them from when they were active, marked `inferred`."""


class FolderSource(Section):
    """A folder into which another system writes files."""

    kind: Literal["folder"]
    name: SourceName
    path: Path


class WorklistSource(Section):
    """A modality worklist server, asked by C-FIND (PS3.4 Annex K)."""

    kind: Literal["worklist"]
    name: SourceName
    host: str
    port: int = Field(ge=1, le=65535)
    called_ae: str = Field(min_length=1, max_length=16)
    calling_ae: str = Field(default="ISOCENTER", min_length=1, max_length=16)
    modality: str | None = None
    station_ae: str | None = None
    days_back: int = Field(default=1, ge=0, le=60)
    days_ahead: int = Field(default=14, ge=0, le=366)
    timeout_seconds: float = Field(default=30, gt=0)
    site: str | None = None
    """Site of entries that name none."""


class FhirSource(Section):
    """A FHIR R4 server: paged search, or its Bulk Data export."""

    kind: Literal["fhir"]
    name: SourceName
    url: str = Field(pattern=r"^https?://")
    bulk: bool = False
    """Whether to export (`$export`, NDJSON) rather than to search page by page."""
    group: str | None = None
    """Group id of the export; without it the whole system's."""
    resources: tuple[str, ...] = (
        "ServiceRequest",
        "Appointment",
        "ImagingStudy",
        "Procedure",
        "DiagnosticReport",
        "Encounter",
        "Patient",
        "ChargeItem",
    )
    page_size: int = Field(default=200, ge=1, le=5000)
    overlap_minutes: int = Field(default=60, ge=0)
    """How far behind the last pull's end the next begins (`_lastUpdated`), for servers that write late."""
    timeout_seconds: float = Field(default=60, gt=0)
    client_id: str | None = None
    """SMART Backend Services: with token_url and private_key_file a signed assertion buys the token."""
    token_url: str | None = None
    private_key_file: Path | None = None
    scopes: str = "system/*.rs"
    accession_systems: tuple[str, ...] = ()
    """Identifier systems of accession numbers, where the server does not type them ACSN."""
    site: str | None = None


class SqlSource(Section):
    """A table or view of an EMR, RIS or billing database, read by a query with a watermark."""

    kind: Literal["sql"]
    name: SourceName
    url: SecretStr
    """SQLAlchemy URL, e.g. `postgresql+psycopg://reader@ris/ris`; `env:NAME` takes it from the environment."""
    query: str
    """One SELECT; `:since` is where the last pull ended, less the overlap: `… WHERE changed_at >= :since ORDER BY changed_at`."""
    watermark: str
    """Column of the answer by which it is ordered; its greatest value is where the next pull begins."""
    extract: str
    """Name of the `[[extracts]]` entry that maps its columns."""
    start: str = "1900-01-01T00:00:00"
    """First value of `:since`, a time or a number."""
    overlap_minutes: int = Field(default=60, ge=0)
    chunk_rows: int = Field(default=50_000, ge=100)
    timeout_seconds: float = Field(default=300, gt=0)


Source = Annotated[FolderSource | WorklistSource | FhirSource | SqlSource, Field(discriminator="kind")]
"""A system that data is pulled from, by `python -m etl pull NAME`."""


class CalendarFile(Section):
    """How the columns of CSV calendars are called, and whom an iCalendar file speaks of."""

    files: str
    """A glob on the file's name, e.g. `staffing_*.ics`."""
    name: str | None = None
    """Calendar's name; without it the file's X-WR-CALNAME or name."""
    device: str | None = None
    modality: str | None = None
    site: str | None = None
    kind: Literal["staffed", "closed", "planned_down", "unplanned_down"] | None = None
    """What all its entries are; without it CATEGORIES or the column `kind` say it."""
    columns: dict[str, str] = {}
    """CSV: our column (`device, modality, site, kind, starts, ends, reason`) to the file's."""
    time_formats: tuple[str, ...] = (
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d",
    )
    time_zone: str | None = None


class SkinDose(Section):
    """Factors of the peak skin dose estimate, as the physicist determined them; without them none is shown."""

    backscatter: float = Field(ge=1, le=2)
    table_transmission: float = Field(gt=0, le=1)
    tissue: float = Field(ge=0.9, le=1.2)
    """Ratio of tissue to air kerma."""
    source: str
    """Where the factors come from: shown beside each estimate."""


class Mail(Section):
    """The mail server that alerts are sent through."""

    host: str
    port: int = Field(default=25, ge=1, le=65535)
    security: Literal["none", "starttls", "tls"] = "starttls"
    username: str | None = None
    password: SecretStr | None = None
    """`env:NAME` takes it from the environment."""
    sender: str
    recipients: tuple[str, ...]
    timeout_seconds: float = Field(default=20, gt=0)


class Webhook(Section):
    """An address of the hospital's own that alerts are posted to as JSON."""

    url: str = Field(pattern=r"^https?://")
    secret: SecretStr | None = None
    """Signs the body (HMAC-SHA-256, header `X-Isocenter-Signature`); `env:NAME` takes it from the environment."""
    timeout_seconds: float = Field(default=20, gt=0)


class Alerting(Section):
    """Whom alerts are sent to. Messages hold numbers of alerts and exams, never identifiers."""

    least_severity: Literal[1, 2, 3] = 3
    """From which severity on: 3 act today, 2 review, 1 look."""
    link: str | None = None
    """Address of the pages, for links in messages."""
    mail: Mail | None = None
    webhook: Webhook | None = None


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
    skin_dose: SkinDose | None = None
    alerts: Alerting = Alerting()
    limits: Limits = Limits()
    load: Load = Load()
    web: Web = Web()
    utilization: Utilization = Utilization()
    freshness: Freshness = Freshness()
    matching: Matching = Matching()
    clocks: Clocks = Clocks()
    turnaround: Turnaround = Turnaround()
    subspecialties: tuple[Subspecialty, ...] = ()
    extracts: tuple[Extract, ...] = ()
    calendars: tuple[CalendarFile, ...] = ()
    sources: tuple[Source, ...] = ()

    @model_validator(mode="after")
    def _sites_agree(self) -> Settings:
        codes = [site.code for site in self.sites]
        if not codes:
            raise ValueError("sites must name at least one site")
        if len(set(codes)) != len(codes):
            raise ValueError(f"sites repeat a code: {min(code for code in codes if codes.count(code) > 1)!r}")
        if self.default_site is not None and self.default_site not in codes:
            raise ValueError(f"default_site {self.default_site!r} is none of {codes}")
        named = [source.name for source in self.sources]
        if len(set(named)) != len(named):
            raise ValueError(f"sources repeat a name: {min(name for name in named if named.count(name) > 1)!r}")
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
        shaping = self.model_dump(
            mode="json",
            exclude={
                "web",
                "load",
                "data_directory",
                "limits",
                "freshness",
                "sources",
                "turnaround",
                "alerts",
                "skin_dose",
            },
        )
        return sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()[:16]

    def shown(self) -> dict[str, Any]:
        """All settings for display, secrets masked."""
        return self.model_dump(mode="json")


def secret_text(value: SecretStr | None, setting: str) -> str:
    """A secret in clear; `env:NAME` is taken from the environment. Empty where there is none.

    Raises:
        SettingsError: the environment has no such variable; the message names the setting.
    """
    text = value.get_secret_value() if value is not None else ""
    if not text.startswith("env:"):
        return text
    found = os.environ.get(text.removeprefix("env:"))
    if found is None:
        raise SettingsError(
            f"{setting}: the environment has no variable {text.removeprefix('env:')}. Set it and start again."
        )
    return found


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
