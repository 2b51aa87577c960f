"""Worklist servers that refuse, break off, fall silent or talk nonsense: an error in plain words, and nothing concluded."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.events import Event

from etl.pull.association import MOST_ANSWERS, association
from etl.pull.contract import Fetched, PullError
from etl.pull.worklist import connect, query
from etl.sources.dicom.worklist import FIND_CLASS
from settings import Settings, WorklistSource

pytestmark = pytest.mark.services
VERIFICATION = "1.2.840.10008.1.1"
TODAY = datetime.now(UTC).date()
Answers = Iterator[tuple[int, Any]]


def answer(number: int = 1, **elements: str) -> Dataset:
    """One entry for today, as a server gives it."""
    data, step = Dataset(), Dataset()
    data.AccessionNumber, data.PatientName, data.PatientID = f"A-{number}", "Secretname^Jane", f"P-{number}"
    data.StudyInstanceUID, data.RequestedProcedureID = f"1.2.826.0.1.{number}", f"RP-{number}"
    step.Modality, step.ScheduledStationAETitle = "CT", "CT1"
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = f"{TODAY:%Y%m%d}", "120000"
    step.ScheduledProcedureStepID = f"SPS-{number}"
    for keyword, value in elements.items():
        setattr(step if keyword.startswith("step_") else data, keyword.removeprefix("step_"), value)
    data.ScheduledProcedureStepSequence = [step]
    return data


@contextmanager
def peer(port: int, find: Callable[[Event], Answers], *, worklist: bool = True, title: str = "RIS") -> Iterator[None]:
    """A server in this process that answers a C-FIND with what `find` yields."""
    ae = AE(ae_title=title)
    ae.require_called_aet = True
    ae.add_supported_context(FIND_CLASS if worklist else VERIFICATION)
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_FIND, find)])
    try:
        yield
    finally:
        server.shutdown()


@pytest.fixture
def source(free_port: Callable[[], int]) -> WorklistSource:
    return WorklistSource(
        kind="worklist", name="ris", host="127.0.0.1", port=free_port(), called_ae="RIS", days_back=0, days_ahead=0,
        timeout_seconds=1,
    )  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_directory=tmp_path / "data")


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    (tmp_path / "spool").mkdir()
    return tmp_path / "spool"


def asked(event: Event) -> str:
    """The day that a query asks for."""
    return str(event.identifier.ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate)


def whole(event: Event) -> Answers:
    for number in (1, 2, 3):
        if asked(event) == f"{TODAY:%Y%m%d}":
            yield 0xFF00, answer(number)


def aborts(event: Event) -> Answers:
    yield 0xFF00, answer(1)
    event.assoc.abort()


def falls_silent(event: Event) -> Answers:
    yield 0xFF00, answer(1)
    time.sleep(2.5)
    yield 0xFF00, answer(2)


def fails(event: Event) -> Answers:
    yield 0xFF00, answer(1)
    status = Dataset()
    status.Status, status.ErrorComment = 0xA700, "Database locked"
    yield status, None  # type: ignore[misc]


def refuses(event: Event) -> Answers:
    yield 0xA900, None


@pytest.mark.parametrize(("find", "words"), [
    (aborts, "ris: RIS at 127.0.0.1:.* stopped after 1 answers.*nothing is concluded"),
    (falls_silent, "stopped after 1 answers.*raise timeout_seconds"),
    (fails, r"status 0xA700: it is out of resources.*\(Database locked\)"),
    (refuses, "status 0xA900: it says that the query does not fit"),
])  # fmt: skip
def test_a_snapshot_that_fails_is_no_empty_worklist(
    find: Callable[[Event], Answers], words: str, source: WorklistSource, settings: Settings, spool: Path
) -> None:
    connection = connect(source, settings)
    with peer(source.port, whole):
        before = connection.fetch({}, spool)
    assert before.records == 3
    kept = dict(before.cursor)
    (spool / "broken").mkdir()
    with peer(source.port, find), pytest.raises(PullError, match=words):
        connection.fetch({}, spool / "broken")
    assert not list((spool / "broken").iterdir())
    (spool / "broken").rmdir()
    assert before.cursor == kept
    with peer(source.port, whole):
        after = connection.fetch(before.cursor, spool)
    assert after.cursor == kept
    assert after.files == 0
    assert len(list(spool.iterdir())) == before.files


def test_a_server_without_worklist_says_so(source: WorklistSource, settings: Settings, spool: Path) -> None:
    with peer(source.port, whole, worklist=False), pytest.raises(PullError, match="offers no modality worklist"):
        connect(source, settings).fetch({}, spool)


def test_a_wrong_title_is_named(source: WorklistSource, settings: Settings, spool: Path) -> None:
    with peer(source.port, whole, title="OTHER"), pytest.raises(PullError, match="set called_ae"):
        connect(source, settings).fetch({}, spool)


def test_nobody_there_is_told_quickly(source: WorklistSource, settings: Settings, spool: Path) -> None:
    with pytest.raises(PullError, match=r"cannot be reached.*check host, port and the firewall"):
        connect(source, settings).fetch({}, spool)


@pytest.mark.parametrize(
    "reply", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00"]
)
def test_what_is_no_dicom_server_costs_the_timeout_and_no_more(
    reply: bytes, source: WorklistSource, settings: Settings, spool: Path
) -> None:
    with socket.create_server(("127.0.0.1", source.port)) as listener:
        given_up = threading.Event()

        def talk() -> None:
            client, _ = listener.accept()
            client.recv(1000)
            client.sendall(reply)
            given_up.wait(5)
            client.close()

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        started = time.monotonic()
        with pytest.raises(PullError, match="gave no association within 1 s"):
            connect(source, settings).fetch({}, spool)
        assert time.monotonic() - started < 5
        given_up.set()
        thread.join()


def test_check_tells_a_failure_instead_of_raising(source: WorklistSource, settings: Settings) -> None:
    (remark,) = connect(source, settings).check()
    assert (remark.kind, "cannot be reached" in remark.text) == ("fails", True)
    with peer(source.port, aborts):
        said = list(connect(source, settings).check())
    assert [remark.kind for remark in said] == ["works", "fails"]


def test_check_says_in_what_share_a_field_is_empty(source: WorklistSource, settings: Settings) -> None:
    def half(event: Event) -> Answers:
        yield 0xFF00, answer(1, RequestedProcedurePriority="STAT")
        yield 0xFF00, answer(2, step_ScheduledStationAETitle="", AccessionNumber="")

    with peer(source.port, half):
        said = [remark.text for remark in connect(source, settings).check()]
    for words in (
        "Accession Number (0008,0050) is empty in 50 %",
        "Scheduled Station AE Title (0040,0001) is empty in 50 %: booked time is not told by scanner.",
        "Requested Procedure Priority (0040,1003) is empty in 50 %",
    ):
        assert any(text.startswith(words) for text in said), words


def test_an_empty_day_says_nothing_about_fields(source: WorklistSource, settings: Settings) -> None:
    with peer(source.port, lambda event: iter(())):
        said = list(connect(source, settings).check())
    assert said[-1].text.startswith("No entry for today")


def test_small_messages_leave_at_once_and_every_wait_ends(source: WorklistSource) -> None:
    with peer(source.port, whole), association(source) as server:
        link = server._association
        assert link.dul.socket is not None
        assert link.dul.socket.socket is not None
        assert link.dul.socket.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert (link.acse_timeout, link.dimse_timeout, link.network_timeout) == (1, 1, 1)


class Snapshots:
    """Pulls of a server whose answers each test sets; None stands for an answer that is no data set."""

    def __init__(self, source: WorklistSource, settings: Settings, spool: Path, patch: pytest.MonkeyPatch) -> None:
        self._connection, self._spool = connect(source, settings), spool
        self.answers: list[Dataset | None] = []
        patch.setattr("etl.pull.worklist.association", self._association)
        self.cursor: dict[str, Any] = {}

    @contextmanager
    def _association(self, source: WorklistSource) -> Iterator[Any]:
        yield self

    syntax = "1.2.840.10008.1.2.1"

    def find(self, query: Dataset) -> Iterator[Dataset | None]:
        yield from deepcopy(self.answers)

    def pull(self, *answers: Dataset | None) -> Fetched:
        self.answers = list(answers)
        fetched = self._connection.fetch(self.cursor, self._spool)
        self.cursor = fetched.cursor
        return fetched

    def left(self) -> bool:
        """Whether the last pull wrote that something left."""
        file = self._spool / "left.json"
        was = file.exists()
        file.unlink(missing_ok=True)
        return was


@pytest.fixture
def snapshots(source: WorklistSource, settings: Settings, spool: Path, monkeypatch: pytest.MonkeyPatch) -> Snapshots:
    return Snapshots(source, settings, spool, monkeypatch)


def test_nothing_left_a_day_with_an_answer_that_cannot_be_read(snapshots: Snapshots) -> None:
    snapshots.pull(answer(1), answer(2))
    snapshots.pull(answer(1), None)
    assert not snapshots.left()
    snapshots.pull(answer(1))
    assert snapshots.left()


def test_an_entry_that_cannot_be_used_is_written_to_be_rejected_in_the_open(snapshots: Snapshots, spool: Path) -> None:
    bad = answer(2)
    bad.ScheduledProcedureStepSequence = []
    assert snapshots.pull(answer(1), bad).files == 2
    assert len(list(spool.glob("*.wl"))) == 2


def test_an_entry_whose_day_has_passed_out_of_the_range_has_not_left(snapshots: Snapshots) -> None:
    yesterday = f"{TODAY - timedelta(days=1):%Y%m%d}"
    snapshots.pull(answer(1), answer(2, step_ScheduledProcedureStepStartDate=yesterday))
    snapshots.pull(answer(1))
    assert not snapshots.left()


def test_a_moved_entry_has_not_left(snapshots: Snapshots) -> None:
    snapshots.pull(answer(1))
    snapshots.pull(answer(1, step_ScheduledProcedureStepStartTime="150000", step_ScheduledStationAETitle="CT2"))
    assert not snapshots.left()


def test_an_unchanged_entry_is_not_written_again(snapshots: Snapshots) -> None:
    assert snapshots.pull(answer(1), answer(2)).files == 2
    assert snapshots.pull(answer(1), answer(2, RequestedProcedurePriority="STAT")).files == 1
    assert snapshots.pull(answer(1), answer(2, RequestedProcedurePriority="STAT")).files == 0


def test_an_entry_that_comes_again_is_told_again(snapshots: Snapshots) -> None:
    snapshots.pull(answer(1))
    snapshots.pull()
    assert snapshots.left()
    snapshots.pull()
    assert not snapshots.left()
    assert snapshots.pull(answer(1)).files == 1


def test_another_query_makes_nothing_leave(snapshots: Snapshots, source: WorklistSource, settings: Settings) -> None:
    snapshots.pull(answer(1), answer(2))
    snapshots._connection = connect(source.model_copy(update={"modality": "MR"}), settings)
    snapshots.pull()
    assert not snapshots.left()


def test_a_server_that_ignores_the_day_is_written_once(
    snapshots: Snapshots, source: WorklistSource, settings: Settings
) -> None:
    snapshots._connection = connect(source.model_copy(update={"days_ahead": 5}), settings)
    assert snapshots.pull(answer(1), answer(2)).files == 2


def test_the_cursor_holds_no_identifier(snapshots: Snapshots) -> None:
    snapshots.pull(answer(7))
    assert not any(text in str(snapshots.cursor) for text in ("Secretname", "A-7", "P-7", "RP-7", "SPS-7"))


def test_no_identifier_reaches_the_log(
    source: WorklistSource,
    settings: Settings,
    spool: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    with pydicom.config.disable_value_validation():
        odd = answer(1, PatientID="Secretname" * 20, PatientBirthDate="Secretname", StudyInstanceUID="Secretname")

    def strange(event: Event) -> Answers:
        with pydicom.config.disable_value_validation():
            yield 0xFF00, odd
        yield 0xFF00, "Secretname"

    caplog.set_level("DEBUG")
    with peer(source.port, strange), pytest.raises(PullError) as failed:
        connect(source, settings).fetch({}, spool)
    told = [caplog.text, *capfd.readouterr(), str(failed.value), *(str(warning.message) for warning in recwarn)]
    assert "Secretname" not in "".join(told)


def test_answers_without_end_are_stopped(source: WorklistSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etl.pull.association.MOST_ANSWERS", 5)
    assert MOST_ANSWERS > 5

    def endless(event: Event) -> Answers:
        for number in range(1000):
            yield 0xFF00, answer(number)

    with (
        peer(source.port, endless),
        pytest.raises(PullError, match="more than 5 answers to one day"),
        association(source) as server,
    ):
        list(server.find(query(source, TODAY)))
