"""One DICOM association with a worklist server, and what goes wrong with it in plain words (PS3.7, PS3.8)."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu import A_ASSOCIATE_RJ

from etl.pull.contract import PullError
from etl.sources.contract import shown
from etl.sources.dicom.worklist import FIND_CLASS
from settings import WorklistSource

# pynetdicom writes answers and their odd values into the log; here every failure becomes a PullError.
_config.LOG_RESPONSE_IDENTIFIERS = False
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)

_WORKLIST, _VERIFICATION = UID(FIND_CLASS), UID("1.2.840.10008.1.1")
PENDING = frozenset((0xFF00, 0xFF01))
MOST_ANSWERS = 100_000
"""Answers to one query; a day of the largest department has a few thousand."""

_REJECTIONS: dict[tuple[int | None, int | None], str] = {
    (1, 1): "it gives no reason; ask the server's administrator to register this AE title and address",
    (1, 2): "it does not support the DICOM application context; check that host and port are the worklist server's",
    (1, 3): "it does not know our AE title; have it registered on the server, or set calling_ae",
    (1, 7): "it does not know the AE title that was called; set called_ae to the server's own",
    (3, 1): "it is congested; try again later",
    (3, 2): "it has no association free; try again later, or raise the server's limit",
}
"""Source and reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""
_FAILURES = {
    0xA7: "it is out of resources; try again later, or ask for fewer days",
    0xA9: "it says that the query does not fit its model of the worklist",
    0xC0: "it could not process the query",
    0xFE: "it cancelled the query",
}
"""High byte of the status of a C-FIND (PS3.4 table K.4-1)."""


class WorklistServer:
    """An open association."""

    def __init__(self, association: Association, where: str) -> None:
        self._association, self._where = association, where

    @property
    def syntax(self) -> str:
        """Transfer syntax of the answers.

        Raises:
            PullError: the server does not offer the worklist.
        """
        for context in self._association.accepted_contexts:
            if context.abstract_syntax == _WORKLIST:
                return str(context.transfer_syntax[0])
        raise PullError(
            f"{self._where} accepts the association and offers no modality worklist ({FIND_CLASS}): check that "
            "called_ae and port are those of the worklist, and have the service enabled."
        )

    def echo(self) -> bool:
        """Whether the server answers a C-ECHO; many worklists do not offer it.

        Raises:
            PullError: it stopped answering.
        """
        if not any(context.abstract_syntax == _VERIFICATION for context in self._association.accepted_contexts):
            return False
        try:
            status = self._association.send_c_echo()
        except RuntimeError:  # the association ended meanwhile
            status = Dataset()
        if "Status" not in status:
            raise PullError(f"{self._where} did not answer a C-ECHO: check the server and its log.")
        return int(status.Status) == 0

    def find(self, query: Dataset) -> Iterator[Dataset | None]:
        """Each answer as it comes; None for one that is no data set.

        Raises:
            PullError: the server does not offer the worklist, or failed or stopped before the end.
        """
        self.syntax  # noqa: B018  # says it before the query is sent
        answers = 0
        try:
            responses = self._association.send_c_find(query, _WORKLIST)
        except RuntimeError as error:  # the association ended meanwhile
            raise self._stopped(answers) from error
        for status, answer in responses:
            if "Status" not in status:
                raise self._stopped(answers)
            code = int(status.Status)
            if code == 0:
                return
            if code not in PENDING:
                raise PullError(f"{self._where} refused the query with status 0x{code:04X}: {_failure(code, status)}.")
            answers += 1
            if answers > MOST_ANSWERS:
                raise PullError(
                    f"{self._where} gives more than {MOST_ANSWERS:,} answers to one day: set modality or station_ae."
                )
            yield answer
        raise self._stopped(answers)

    def _stopped(self, answers: int) -> PullError:
        return PullError(
            f"{self._where} stopped after {answers} answers, before it said that these are all: nothing is concluded from "
            "them. Pull again; if it happens each time, raise timeout_seconds and look into the server's log."
        )


def _failure(code: int, status: Dataset) -> str:
    told = _FAILURES.get(code >> 8, "it could not process the query" if code >> 12 == 0xC else "it failed")
    comment = shown(status.get("ErrorComment", "") or "", 64)
    return f"{told} ({comment})" if comment else told


def _no_delay(event: Event) -> None:
    """Small messages leave at once: waiting for a full packet costs 40 ms an answer with servers that acknowledge late."""
    if (transport := event.assoc.dul.socket) is not None and transport.socket is not None:
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@contextmanager
def association(source: WorklistSource) -> Iterator[WorklistServer]:
    """An association with the source's server, released afterwards, aborted where the work on it fails.

    Raises:
        PullError: the server cannot be reached, or refuses.
    """
    where = f"{source.name}: {source.called_ae} at {source.host}:{source.port}"
    opened: list[Event] = []
    rejections: list[A_ASSOCIATE_RJ] = []
    try:
        ae = AE(ae_title=source.calling_ae)
        for name in ("connection_timeout", "acse_timeout", "dimse_timeout", "network_timeout"):
            setattr(ae, name, source.timeout_seconds)
        ae.add_requested_context(_WORKLIST, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        ae.add_requested_context(_VERIFICATION)
        found = ae.associate(
            source.host,
            source.port,
            ae_title=source.called_ae,
            evt_handlers=[
                (evt.EVT_CONN_OPEN, opened.append),
                (evt.EVT_CONN_OPEN, _no_delay),
                (evt.EVT_PDU_RECV, lambda event: _keep_rejection(event, rejections)),
            ],
        )
    except (OSError, ValueError, TypeError) as error:
        raise PullError(f"{where} cannot be called: {shown(error)}. Check host and the two AE titles.") from error
    if not found.is_established:
        raise PullError(f"{where} {_refusal(rejections, source, is_open=bool(opened))}.")
    try:
        yield WorklistServer(found, where)
    except BaseException:
        found.abort()
        raise
    found.release()


def _keep_rejection(event: Event, rejections: list[A_ASSOCIATE_RJ]) -> None:
    """Keeps the reason as it comes: a server that hangs up at once leaves pynetdicom with an abort and no reason."""
    if isinstance(event.pdu, A_ASSOCIATE_RJ):
        rejections.append(event.pdu)


def _refusal(rejections: list[A_ASSOCIATE_RJ], source: WorklistSource, *, is_open: bool) -> str:
    seconds = f"{source.timeout_seconds:g} s"
    if not is_open:
        return f"cannot be reached within {seconds}: check host, port and the firewall between, and whether it runs"
    if rejections:
        reason = (rejections[0].source, rejections[0].reason_diagnostic)
        return f"rejected the association: {_REJECTIONS.get(reason, 'ask its administrator why')}"
    return (
        f"took the connection and gave no association within {seconds}: check that the port is the worklist's, and "
        "whether the server is overloaded"
    )
