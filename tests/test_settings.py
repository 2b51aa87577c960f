"""Settings: the shipped file documents every key, and what cannot be meant is refused in a sentence."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from settings import DEFAULT_FILE, Extract, Section, Settings, SettingsError, Site, StaffedHours, Web, load_settings

SHIPPED = DEFAULT_FILE.read_text(encoding="utf-8")
UNCOMMENTED = re.sub(r"(?m)^#(?=[\[\"a-z])", "", SHIPPED)
"""The shipped file with every setting set that it shows."""


KEYS = [f"{section.__name__}.{key}" for section in Section.__subclasses__() for key in section.model_fields]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("ISOCENTER_CONFIG", raising=False)
    monkeypatch.delenv("ISOCENTER_DATA", raising=False)
    return tmp_path / "isocenter.toml"


def test_the_shipped_file_holds_the_defaults(file: Path) -> None:
    assert load_settings(DEFAULT_FILE) == Settings()
    assert Settings().web.host == "127.0.0.1"
    assert not Settings().web.demo


@pytest.mark.parametrize("key", KEYS)
def test_every_key_stands_in_the_shipped_file(key: str) -> None:
    name = key.partition(".")[2]
    assert re.search(rf"(?m)^#?(\[+([a-z]+\.)?{name}\]+$|{name} = )", SHIPPED), f"{key} is not in isocenter.toml"


def test_every_line_that_the_file_shows_can_be_set_and_shows_the_default(file: Path) -> None:
    shown = Settings.model_validate(tomllib.loads(UNCOMMENTED))
    examples = {
        "sites",
        "default_site",
        "extracts",
        "web",
        "turnaround",
        "subspecialties",
        "calendars",
        "sources",
        "hl7",
        "alerts",
        "skin_dose",
    }
    assert shown.model_dump(exclude=examples) == Settings().model_dump(exclude=examples)
    assert shown.web.model_dump(exclude={"secret"}) == Web().model_dump(exclude={"secret"})
    assert shown.sites[0].model_dump(exclude={"hours", "reading_hours"}) == Settings().sites[0].model_dump(
        exclude={"hours", "reading_hours"}
    )
    assert shown.hl7.model_dump(exclude={"statuses"}) == Settings().hl7.model_dump(exclude={"statuses"})
    assert [source.kind for source in shown.sources] == ["folder", "worklist", "fhir", "sql"]
    assert shown.alerts.least_severity == Settings().alerts.least_severity
    assert shown.alerts.mail is not None
    assert shown.alerts.webhook is not None
    assert shown.extracts[0].columns["event:report_final"] == "SIGNED_AT"


REFUSED = [
    ("colour = 'red'", "colour: Extra inputs are not permitted"),
    ("[web]\nhots = 'x'", "web.hots: Extra inputs are not permitted"),
    ("[web]\nport = 0", "web.port: Input should be greater than or equal to 1"),
    ("[web]\nport = 'http'", "web.port: Input should be a valid integer"),
    ("[web]\nhost = '0.0.0.0'\ndemo = true", "web: demo is refused on 0.0.0.0: it needs no password"),
    ("[web]\nhost = '0.0.0.0'\ndemo = true\nbehind_tls = true", "web: demo is refused on 0.0.0.0"),
    ("[web]\nhost = 'pages.example.org'", "web: host pages.example.org is reachable from other machines"),
    ("[web]\nhost = '0.0.0.0'\nbehind_tls = true\ndebug = true", "web: debug shows source code"),
    ("[web]\nsecret = 'short'", "web: secret must have at least 32 characters"),
    ("sites = []", "sites must name at least one site"),
    ("[[sites]]\ncode = 'north'\nname = 'North'", "sites.0.code: String should match pattern"),
    ("[[sites]]\ncode = 'A'\nname = 'A'\ntime_zone = 'Middle/Earth'", "'Middle/Earth' is not an IANA time zone"),
    ("[[sites]]\ncode = 'A'\nname = 'A'\nholidays = 'XX-YY'", "no public holidays are known for 'XX-YY'"),
    ("[[sites]]\ncode = 'A'\nname = 'A'\nholidays = 'England'", "holidays"),
    ("[[sites]]\ncode = 'A'\nname = 'x'\n[[sites]]\ncode = 'A'\nname = 'y'", "sites repeat a code: 'A'"),
    (
        "[[sites]]\ncode = 'A'\nname = 'x'\naliases = ['General']\n[[sites]]\ncode = 'B'\nname = 'y'\naliases = ['GENERAL ']",
        "alias 'GENERAL ' belongs to two sites, A and B",
    ),
    ("default_site = 'B'", "default_site 'B' is none of ['MAIN']"),
    (
        "[[sites]]\ncode = 'A'\nname = 'A'\n[[sites.hours]]\nmodality = 'CT'\nopens = 18:00:00\ncloses = 08:00:00",
        "sites.0.hours.0: closes must be later than opens",
    ),
    ("[limits]\nmax_nesting = 500", "limits.max_nesting: Input should be less than or equal to 150"),
    ("[[extracts]]\nname = 'RIS'\nfiles = '*.csv'\ncolumns = {}", "extracts.0.name: String should match pattern"),
    ("[[extracts]]\nname = 'ris'\nfiles = '*.csv'", "extracts.0.columns: Field required"),
    ("web = ", "not valid TOML"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_cannot_be_meant_is_refused_with_file_and_key(file: Path, text: str, message: str) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        load_settings(file)
    assert str(refused.value).startswith(str(file))
    assert message in str(refused.value)


def test_every_mistake_is_told_at_once(file: Path) -> None:
    file.write_text("colour = 'red'\n[web]\nport = 0\n", encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        load_settings(file)
    assert len(str(refused.value).splitlines()) == 2


def test_a_missing_file_that_was_named_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISOCENTER_CONFIG", str(file))
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings()


def test_the_environment_names_file_and_data_directory(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("data_directory = '/srv/one'\norganisation = 'North Hospitals'\n", encoding="utf-8")
    monkeypatch.setenv("ISOCENTER_CONFIG", str(file))
    assert load_settings().data_directory == Path("/srv/one")
    monkeypatch.setenv("ISOCENTER_DATA", "/srv/two")
    assert load_settings().data_directory == Path("/srv/two")
    assert load_settings().organisation == "North Hospitals"


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("10.1.2.3", False), ("isocenter.example.org", False)],
)  # fmt: skip
def test_which_addresses_are_this_machine_alone(host: str, local: bool) -> None:
    assert Web(host=host, behind_tls=True).is_local is local


def test_the_demo_runs_on_this_machine() -> None:
    assert Web(demo=True).demo


@pytest.mark.parametrize(
    ("names", "code"),
    [(("north",), "NORTH"), (("North General",), "NORTH"), (("  NGH ",), "NORTH"), ((None, "", "west"), "WEST"),
     (("unheard of",), "WEST"), ((), "WEST")],
)  # fmt: skip
def test_a_site_is_known_by_code_name_and_alias(names: tuple[str | None, ...], code: str) -> None:
    sites = (Site(code="NORTH", name="North General", aliases=("ngh",)), Site(code="WEST", name="West"))
    assert Settings(sites=sites, default_site="WEST").site_of(*names).code == code


def test_without_a_default_the_first_site_takes_what_names_none() -> None:
    assert Settings(sites=(Site(code="B", name="B"), Site(code="A", name="A"))).site_of("x").code == "B"


def test_the_digest_changes_with_what_shapes_the_star_alone() -> None:
    plain = Settings()
    assert plain.digest() == Settings(web=Web(port=9000), data_directory=Path("/elsewhere")).digest()
    assert plain.digest() != Settings(sites=(Site(code="MAIN", name="Main", time_zone="Europe/Berlin"),)).digest()
    assert plain.digest() != Settings(extracts=(Extract(name="ris", files="*.csv", columns={}),)).digest()


def test_secrets_are_masked_where_settings_are_shown() -> None:
    secret = "0123456789abcdef0123456789abcdef"
    assert secret not in str(Settings.model_validate({"web": {"secret": secret}}).shown())


def test_midnight_closes_the_day() -> None:
    hours = StaffedHours.model_validate({"modality": "CT", "opens": "08:00", "closes": "00:00"})
    assert hours.closes.hour == 0
