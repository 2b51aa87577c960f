"""Calendars: iCalendar and CSV files as landing rows, with what is wrong in them said by line."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from etl.lake.store import Lake
from etl.reading import Collector, frame_of
from etl.sources import readers
from etl.sources.calendars.reader import READER
from etl.sources.calendars.words import kind_of, kind_of_summary, reason_of
from etl.sources.contract import Context, Input, Offered, Verdict
from etl.star.calendar import expand
from settings import CalendarFile, Limits, Settings, Site
from state.home import DataHome
from state.identity import Pseudonymiser
from tests.etl.conftest import Load, order

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SITES = (
    Site(code="NORTH", name="North", time_zone="Europe/Berlin"),
    Site(code="WEST", name="West", time_zone="America/New_York"),
)

EVENT = """BEGIN:VEVENT
UID:1@ris
DTSTAMP:20260105T080000Z
DTSTART;TZID=Europe/Berlin:20260302T080000
DTEND;TZID=Europe/Berlin:20260302T160000
CATEGORIES:staffed
END:VEVENT
"""


def config(*calendars: CalendarFile, **more: Any) -> Settings:
    return Settings(sites=SITES, calendars=calendars, **more)


def read(data: str | bytes, name: str = "ct1.ics", settings: Settings | None = None) -> list[Offered]:
    content = data.encode() if isinstance(data, str) else data
    source = Input(name, len(content), lambda: io.BytesIO(content))
    return list(READER.read(source, Context(settings or config(), Pseudonymiser(b"k" * 32), NOW)))


def ics(*events: str, head: str = "") -> str:
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:test\n{head}{''.join(events)}END:VCALENDAR\n".replace("\n", "\r\n")


def event(**changes: str | None) -> str:
    """The usual event with some properties changed, added, or left out where None."""
    lines = {line.split(":")[0].split(";")[0]: line for line in EVENT.splitlines()[1:-1]}
    for name, text in changes.items():
        key = name.replace("_", "-")
        lines[key] = text if text is None else f"{key}{text if text[0] in ':;' else ':' + text}"
    return "\n".join(["BEGIN:VEVENT", *(line for line in lines.values() if line), "END:VEVENT", ""])


def rows(offered: list[Offered]) -> list[dict[str, Any]]:
    return [row for one in offered for row in one.rows.get("calendar", [])]


def reasons(offered: list[Offered]) -> list[str]:
    return [one.reject.reason for one in offered if one.reject]


def test_calendar_is_one_input_with_all_its_entries() -> None:
    (one,) = read(ics(event(), event(UID="2@ris"), head="X-WR-CALNAME:CT 1\\, days\n"))
    assert (one.verdict, one.source, one.source_name) == (Verdict.ACCEPTED, "calendar", "CT 1, days")
    first, second = one.rows["calendar"]
    assert first["calendar"] == "CT 1, days"
    assert (first["starts_local"], first["ends_local"]) == (datetime(2026, 3, 2, 8), datetime(2026, 3, 2, 16))
    assert (first["time_zone"], first["kind"], first["site"], first["rule"]) == (
        "Europe/Berlin",
        "staffed",
        "NORTH",
        None,
    )
    assert first["stated_at"] == datetime(2026, 1, 5, 8, tzinfo=UTC)
    assert (first["entry"], second["entry"]) == ("1@ris", "2@ris")
    collector = Collector(NOW)
    collector.add(one, "ct1.ics")
    assert collector.finish(1).frames["calendar"]["digest"].n_unique() == 2


@pytest.mark.parametrize(
    ("changes", "starts", "ends", "zone"),
    [
        ({"DTSTART": "20260302T080000", "DTEND": "20260302T160000"}, "2026-03-02 08:00", "2026-03-02 16:00", None),
        ({"DTSTART": "20260302T080000Z", "DTEND": "20260302T160000Z"}, "2026-03-02 08:00", "2026-03-02 16:00", "UTC"),
        ({"DTSTART": ";VALUE=DATE:20260302", "DTEND": ";VALUE=DATE:20260304"}, "2026-03-02 00:00", "2026-03-04 00:00", None),
        ({"DTSTART": ";VALUE=DATE:20260302", "DTEND": ";VALUE=DATE:20260302"}, "2026-03-02 00:00", "2026-03-03 00:00", None),
        ({"DTSTART": ";VALUE=DATE:20260302", "DTEND": None}, "2026-03-02 00:00", "2026-03-03 00:00", None),
        ({"DTEND": None, "DURATION": "PT7H30M"}, "2026-03-02 08:00", "2026-03-02 15:30", "Europe/Berlin"),
        ({"DTEND": "20260302T150000Z"}, "2026-03-02 08:00", "2026-03-02 16:00", "Europe/Berlin"),
        ({"DTSTART": ";TZID=W. Europe Standard Time:20260302T080000"}, "2026-03-02 08:00", "2026-03-02 16:00", "Europe/Berlin"),
        (
            {"DTSTART": ";TZID=/freeassociation.sourceforge.net/Europe/Berlin:20260302T080000"},
            "2026-03-02 08:00", "2026-03-02 16:00", "Europe/Berlin",
        ),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::icalendar.error.GloballyUniqueTZIDGuessed")
def test_times_keep_the_wall_clock_and_zone_that_was_written(
    changes: dict[str, str | None], starts: str, ends: str, zone: str | None
) -> None:
    (row,) = rows(read(ics(event(**changes))))
    assert (f"{row['starts_local']:%Y-%m-%d %H:%M}", f"{row['ends_local']:%Y-%m-%d %H:%M}", row["time_zone"]) == (
        starts,
        ends,
        zone,
    )


ZONE = """BEGIN:VTIMEZONE
TZID:{name}
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:{summer}
TZOFFSETTO:{winter}
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:{winter}
TZOFFSETTO:{summer}
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
"""


def test_zone_that_the_file_defines_is_the_iana_zone_that_it_equals() -> None:
    zone = ZONE.format(name="Customized Time Zone", winter="+0100", summer="+0200")
    (row,) = rows(
        read(ics(zone, event(DTSTART=";TZID=Customized Time Zone:20260302T080000", RRULE="FREQ=DAILY;COUNT=3")))
    )
    assert row["time_zone"] == "Europe/Berlin"


def test_zone_that_equals_none_is_converted_once_and_refused_for_a_recurrence() -> None:
    zone = ZONE.format(name="Ours", winter="+0117", summer="+0217")
    changes = {"DTSTART": ";TZID=Ours:20260702T080000", "DTEND": ";TZID=Ours:20260702T160000"}
    (row,) = rows(read(ics(zone, event(**changes))))
    assert (row["starts_local"], row["time_zone"]) == (datetime(2026, 7, 2, 5, 43), "UTC")
    assert reasons(read(ics(zone, event(**changes, RRULE="FREQ=DAILY"))))[0] == "unknown-time-zone"


def test_rules_are_kept_on_the_wall_clock_of_the_entry() -> None:
    (row,) = rows(
        read(
            ics(
                event(
                    RRULE="FREQ=WEEKLY;UNTIL=20261231T225959Z;BYDAY=MO,TU",
                    EXDATE=";TZID=Europe/Berlin:20260406T080000,20260309T080000",
                    RDATE="20260311T070000Z",
                )
            )
        )
    )
    assert row["rule"].splitlines() == [
        "RRULE:FREQ=WEEKLY;UNTIL=20261231T235959;BYDAY=MO,TU",
        "RDATE:20260311T080000",
        "EXDATE:20260309T080000,20260406T080000",
    ]


def test_last_year_of_the_calendar_means_without_end() -> None:
    (row,) = rows(read(ics(event(RRULE="FREQ=DAILY;UNTIL=99991231T235959Z"))))
    assert row["rule"] == "RRULE:FREQ=DAILY"


def test_day_alone_takes_out_the_occurrence_of_that_day() -> None:
    (row,) = rows(read(ics(event(RRULE="FREQ=DAILY;COUNT=9", EXDATE=";VALUE=DATE:20260304"))))
    assert row["rule"].endswith("EXDATE:20260304T080000")


def test_added_period_is_a_row_of_its_own() -> None:
    found = rows(read(ics(event(RDATE=";VALUE=PERIOD:20260401T080000Z/PT2H"))))
    assert [(row["starts_local"], row["ends_local"], row["rule"]) for row in found] == [
        (datetime(2026, 3, 2, 8), datetime(2026, 3, 2, 16), None),
        (datetime(2026, 4, 1, 10), datetime(2026, 4, 1, 12), None),
    ]


def test_moved_and_cancelled_occurrences_name_what_they_replace() -> None:
    found = rows(
        read(
            ics(
                event(RRULE="FREQ=WEEKLY;COUNT=5"),
                event(RECURRENCE_ID=";TZID=Europe/Berlin:20260309T080000", STATUS="CANCELLED"),
                event(RECURRENCE_ID=";RANGE=THISANDFUTURE;TZID=Europe/Berlin:20260330T080000"),
            )
        )
    )
    assert [(row["entry"], row["cancelled"]) for row in found] == [
        ("1@ris", False),
        ("1@ris\nRECURRENCE-ID:20260309T070000Z", True),
        ("1@ris\nRECURRENCE-ID;RANGE=THISANDFUTURE:20260330T060000Z", False),
    ]


def test_greater_sequence_of_the_same_entry_holds() -> None:
    (row,) = rows(read(ics(event(SEQUENCE="2", CATEGORIES="closed"), event(SEQUENCE="1"))))
    assert row["kind"] == "closed"


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"DTSTART": "2026"}, "bad-time", "DTSTART"),
        ({"DTSTART": None}, "missing-start", "DTSTART"),
        ({"DTEND": None}, "missing-end", "DTEND"),
        ({"DTEND": ";TZID=Europe/Berlin:20260302T080000"}, "bad-span", "DTEND"),
        ({"DTEND": "20250101T000000Z"}, "bad-span", "DTEND"),
        ({"DURATION": "x", "DTEND": None}, "bad-time", "DURATION"),
        ({"DTSTART": ";VALUE=DATE:99991231", "DTEND": None}, "implausible-time", "DTSTART"),
        ({"DTEND": "99991231T235959Z"}, "implausible-time", "DTSTART"),
        ({"RRULE": "FREQ=SOMETIMES"}, "bad-time", "RRULE"),
        ({"RRULE": "FREQ=SECONDLY"}, "bad-rule", "RRULE"),
        ({"RRULE": "FREQ=WEEKLY;BYSETPOS=400"}, "bad-rule", "RRULE"),
        ({"DTSTART": ";TZID=Mars/Olympus:20260302T080000"}, "unknown-time-zone", "DTSTART"),
        ({"CATEGORIES": "party"}, "unknown-kind", "CATEGORIES"),
        ({"CATEGORIES": None, "SUMMARY": "stafford visits"}, "unknown-kind", "CATEGORIES"),
    ],
)  # fmt: skip
def test_bad_entry_costs_itself_and_says_its_line(changes: dict[str, str | None], reason: str, field: str) -> None:
    bad, good = read(ics(event(UID="2@ris"), event(**changes)))
    assert bad.reject is not None
    assert (bad.reject.reason, bad.reject.field) == (reason, field)
    assert bad.reject.message.startswith("line 11: ")
    assert bad.position == "line 11"
    assert bad.reject.remedy
    assert [row["entry"] for row in good.rows["calendar"]] == ["2@ris"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (ics(EVENT)[:-20], "truncated"),
        (ics(EVENT).replace("END:VEVENT", "END:VTODO"), "truncated"),
        (ics(EVENT, head="METHOD:REQUEST\n"), "not-a-calendar"),
        (ics(EVENT).encode().replace(b"test", b"t\xe9st"), "bad-encoding"),
        ("nothing", "bad-calendar"),
    ],
)
def test_damaged_file_gives_nothing(data: str | bytes, reason: str) -> None:
    found = read(data)
    assert reasons(found) == [reason]
    assert not rows(found)


def test_calendar_over_the_limit_is_refused() -> None:
    found = read(ics(EVENT * 9000), settings=config(limits=Limits(max_message_mb=1)))
    assert reasons(found) == ["too-large"]


def test_empty_calendar_states_that_nothing_is_left() -> None:
    (row,) = rows(read(ics()))
    assert (row["cancelled"], row.get("starts_local")) == (True, None)


def test_configuration_says_whom_a_file_speaks_of() -> None:
    about = CalendarFile(
        files="rota_*.ics",
        name="Rota",
        device="CT1",
        modality="CT",
        site="WEST",
        kind="staffed",
        time_zone="Europe/London",
    )
    (row,) = rows(
        read(
            ics(event(CATEGORIES=None, DTSTART="20260302T080000", DTEND="20260302T100000")), "rota_1.ics", config(about)
        )
    )
    assert {name: row[name] for name in ("calendar", "device", "modality", "site", "kind", "time_zone")} == {
        "calendar": "Rota", "device": "CT1", "modality": "CT", "site": "WEST", "kind": "staffed", "time_zone": "Europe/London",
    }  # fmt: skip


def test_names_of_people_are_never_taken() -> None:
    people = "ATTENDEE;CN=Maria Huber:mailto:m.huber@north.example\nORGANIZER;CN=Klaus:mailto:klaus@north.example\n"
    for summary in ("Shift Huber", "Dienst: Maria", "Staffed m.huber@north.example", "open (KLAUS)"):
        text = ics(event(SUMMARY=summary).replace("END:VEVENT", f"{people}DESCRIPTION:Maria\nEND:VEVENT"))
        (row,) = rows(read(text))
        assert row["reason"] is None, summary
        assert "huber" not in str(row).casefold()
    (row,) = rows(
        read(ics(event(SUMMARY="Tube change", CATEGORIES="maintenance").replace("END:VEVENT", f"{people}END:VEVENT")))
    )
    assert row["reason"] == "Tube change"
    (row,) = rows(read(ics(event(SUMMARY="x" * 99, CLASS="PRIVATE"))))
    assert row["reason"] is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [("Staffed", "staffed"), (" PLANNED_DOWN ", "planned_down"), ("Wartung", "planned_down"), ("Feiertag", "closed"),
     ("Störung", "unplanned_down"), ("QC", "planned_down"), ("lunch", None), ("", None)],
)  # fmt: skip
def test_words_for_kinds(text: str, kind: str | None) -> None:
    assert kind_of(text) == kind


def test_summary_may_begin_with_a_kind() -> None:
    assert kind_of_summary("Planned maintenance: tube") == "planned_down"
    assert kind_of_summary("Closed for Christmas") == "closed"
    assert kind_of_summary("Openness training") is None
    assert reason_of(["closed", "Christmas"], "x", []) == "Christmas"


def test_two_calendars_in_one_file_are_two() -> None:
    found = read(ics(EVENT, head="NAME:One\n") + ics(EVENT, head="NAME:Two\n"))
    assert [one.source_name for one in found] == ["One", "Two"]
    assert len({one.digest for one in found}) == 2


def test_alarms_todos_and_folded_lines() -> None:
    alarm = "BEGIN:VALARM\nACTION:DISPLAY\nDTSTART:x\nDESCRIPTION:Huber\nEND:VALARM\n"
    folded = event(SUMMARY="Staffed on Sun\n days").replace("END:VEVENT", f"{alarm}END:VEVENT")
    todo, one = read("\ufeff" + ics(folded, "BEGIN:VTODO\nUID:9\nEND:VTODO\n"))
    assert todo.verdict is Verdict.NOT_APPLICABLE
    assert one.rows["calendar"][0]["reason"] == "Staffed on Sundays"


# -- CSV -----------------------------------------------------------------------------------------------------------------

HEADER = "device,modality,site,kind,starts,ends,reason"


def test_csv_with_our_names_needs_no_configuration() -> None:
    text = f"{HEADER}\nCT1,CT,West,staffed,2026-03-02 08:00,2026-03-02 16:00,\n,,North,closed,2026-12-24,2026-12-26,Christmas\n"
    (one,) = read(text, "year.csv")
    first, second = one.rows["calendar"]
    assert (first["device"], first["modality"], first["site"], first["kind"]) == ("CT1", "CT", "WEST", "staffed")
    assert first["stated_at"] == NOW
    assert (second["starts_local"], second["ends_local"]) == (datetime(2026, 12, 24), datetime(2026, 12, 27))
    assert (second["device"], second["reason"], second["position"]) == (None, "Christmas", "row 3")
    assert frame_of("calendar", [first, second]).height == 2


def test_configured_csv_in_german_and_windows_encoding() -> None:
    about = CalendarFile(
        files="dienst*.csv",
        columns={"device": "Gerät", "kind": "Art", "starts": "Von", "ends": "Bis", "reason": "Grund"},
        time_formats=("%d.%m.%Y %H:%M", "%d.%m.%Y"),
        site="NORTH",
    )
    text = "Gerät;Art;Von;Bis;Grund\nMR1;Störung;02.03.2026 08:00;02.03.2026 09:30;Kühlung\nMR1;Wartung;05.03.2026;;\n"
    first, second = rows(read(text.encode("cp1252"), "dienst.csv", config(about)))
    assert (first["device"], first["kind"], first["starts_local"]) == ("MR1", "unplanned_down", datetime(2026, 3, 2, 8))
    assert first["reason"] == "Kühlung"
    assert second["ends_local"] - second["starts_local"] == timedelta(days=1)


@pytest.mark.parametrize(
    ("row", "reason", "field"),
    [
        ("CT1,CT,,open?,2026-03-02 08:00,2026-03-02 16:00,", "unknown-kind", "kind"),
        ("CT1,CT,,staffed,soon,2026-03-02 16:00,", "bad-time", "starts"),
        ("CT1,CT,,staffed,2026-03-02 08:00,,", "missing-end", "ends"),
        ("CT1,CT,,staffed,2026-03-02 08:00,2026-03-02 07:00,", "bad-span", "ends"),
        ("CT1,CT,,staffed,2026-03-02 08:00,9999-12-31,", "implausible-time", "ends"),
        ("CT1,CT,,staffed,0001-01-01,,", "implausible-time", "starts"),
        ("CT1,CT,,staffed", "ragged-row", ""),
    ],
)
def test_bad_row_costs_itself(row: str, reason: str, field: str) -> None:
    bad, good = read(f"{HEADER}\n{row}\n,CT,,staffed,2026-03-02,,\n", "year.csv")
    assert bad.reject is not None
    assert (bad.reject.reason, bad.reject.field, bad.position) == (reason, field, "row 2")
    assert len(good.rows["calendar"]) == 1


def test_csv_without_a_needed_column_is_refused() -> None:
    about = CalendarFile(files="x.csv", columns={"starts": "From", "kind": "Type"})
    assert reasons(read("From,To\n2026-01-01,\n", "x.csv", config(about))) == ["missing-columns"]
    assert reasons(read("", "x.csv", config(about))) == ["empty-file"]


@pytest.mark.parametrize(
    ("head", "name", "reader"),
    [
        (b"BEGIN:VCALENDAR\r\n", "any.txt", "calendar"),
        (b"\xef\xbb\xbfbegin:vcalendar\r\n", "any", "calendar"),
        (HEADER.replace(",", ";").encode() + b"\r\n", "year.csv", "calendar"),
        (b"a,b\n1,2\n", "rota_1.csv", "calendar"),
        (b"device,kind,starts\n", "year.csv", "extract"),
    ],
)
def test_files_find_their_reader(head: bytes, name: str, reader: str) -> None:
    settings = config(CalendarFile(files="rota_*.csv"))
    assert next(each.name for each in readers() if each.claims(head, name, settings)) == reader


def test_calendar_lands_once(load: Load, home: DataHome, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ct1.ics").write_text(ics(event(), event(UID="2@ris")))
    (tmp_path / "in" / "order.hl7").write_text(order("1", "NW", at="20260310080000"))
    assert load(tmp_path / "in").as_json()["by_source"]["calendar"]["accepted"] == 1
    assert load(tmp_path / "in").as_json()["by_source"]["calendar"]["duplicate"] == 1
    found = Lake(home.lake).read("calendar").collect()
    assert found["entry"].to_list() == ["1@ris", "2@ris"]
    hours = expand(found, date(2026, 3, 2), date(2026, 3, 2), Settings(sites=SITES))
    assert hours.select("starts_at", "ends_at").rows() == [
        (datetime(2026, 3, 2, 7, tzinfo=UTC), datetime(2026, 3, 2, 15, tzinfo=UTC))
    ]


# -- anything at all -----------------------------------------------------------------------------------------------------

GOOD = ics(
    ZONE.format(name="Z", winter="+0100", summer="+0200"),
    event(RRULE="FREQ=WEEKLY;BYDAY=MO;COUNT=4", EXDATE="20260309T070000Z"),
    event(RECURRENCE_ID="20260316T070000Z"),
).encode()


def _sound(found: list[Offered]) -> None:
    for one in found:
        assert (one.reject is None) == (one.verdict is Verdict.ACCEPTED)
        assert one.verdict is not Verdict.REJECTED or (one.reject and one.reject.remedy)
    if landing := rows(found):
        assert isinstance(frame_of("calendar", landing), pl.DataFrame)


@effort(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["x.ics", "x.csv"]))
def test_any_bytes_are_answered(data: bytes, name: str) -> None:
    _sound(read(data, name, config(CalendarFile(files="x.csv"))))


@effort(max_examples=60, deadline=None)
@given(st.integers(0, len(GOOD)))
def test_cut_calendar_never_gives_half_of_itself(length: int) -> None:
    found = read(GOOD[:length])
    _sound(found)
    assert length >= len(GOOD) - 2 or not rows(found)


@effort(max_examples=150, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_flipped_byte_is_answered(place: int, value: int) -> None:
    _sound(read(GOOD[:place] + bytes([value]) + GOOD[place + 1 :]))


@effort(max_examples=60, deadline=None)
@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
)
def test_zone_and_wall_clock_survive(at: datetime, zone: str) -> None:
    wall = at.replace(microsecond=0)
    text = wall.strftime("%Y%m%dT%H%M%S")
    later = (wall + timedelta(hours=2)).strftime("%Y%m%dT%H%M%S")
    (row,) = rows(read(ics(event(DTSTART=f";TZID={zone}:{text}", DTEND=f";TZID={zone}:{later}"))))
    assert (row["starts_local"], row["time_zone"]) == (wall, zone)
    assert ZoneInfo(row["time_zone"]) is not None
