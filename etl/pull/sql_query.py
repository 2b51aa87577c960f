"""The query of an SQL source: one SELECT with `:since`, and how a transaction is made read-only."""

from __future__ import annotations

import re

SINCE = "since"

_HIDDEN = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`", re.DOTALL)
"""Comments, strings and quoted names: nothing in them is SQL."""
_WRITES = frozenset((
    "ALTER", "ANALYZE", "ATTACH", "BEGIN", "CALL", "COMMIT", "COPY", "CREATE", "DELETE", "DETACH", "DO", "DROP", "EXEC",
    "EXECUTE", "GRANT", "INSERT", "INTO", "LOCK", "MERGE", "PRAGMA", "REVOKE", "ROLLBACK", "SET", "TRUNCATE", "UPDATE", "VACUUM",
))  # fmt: skip
"""Words that no plain SELECT has outside quotes; `FOR UPDATE` and `SELECT … INTO` are among them."""
_SINCE_USED = re.compile(rf"(?<!:):{SINCE}\b")

READ_ONLY: dict[str, tuple[str, ...]] = {
    "postgresql": ("SET TRANSACTION READ ONLY", "SET LOCAL statement_timeout = {milliseconds}"),
    "mysql": ("SET TRANSACTION READ ONLY", "SET SESSION max_execution_time = {milliseconds}"),
    "mariadb": ("SET TRANSACTION READ ONLY", "SET SESSION max_statement_time = {seconds}"),
    "oracle": ("SET TRANSACTION READ ONLY",),
    "sqlite": ("PRAGMA query_only = ON",),
}
"""Dialect to the statements that begin a transaction; elsewhere the account's own rights and a rollback must do."""


def problem(query: str) -> str | None:
    """Why the text is not one SELECT with `:since`, in a sentence; None where it is."""
    plain = _HIDDEN.sub(" ", query).strip().rstrip(";").strip()
    words = [word.upper() for word in re.findall(r"[A-Za-z_][A-Za-z0-9_$#]*", plain)]
    if not words or words[0] not in {"SELECT", "WITH"}:
        return "`query` must be one SELECT (or WITH … SELECT)."
    if ";" in plain:
        return "`query` holds more than one statement; give it one SELECT."
    if found := next((word for word in words if word in _WRITES), None):
        return f"`query` holds the word {found}, which a query that only reads does not need. Quote it if it is a column's name."
    if not _SINCE_USED.search(plain):
        return "`query` must use :since, e.g. `… WHERE changed_at >= :since ORDER BY changed_at`; without it each pull reads everything."
    if not re.search(r"\bORDER\s+BY\b", plain, re.IGNORECASE):
        return "`query` must end with ORDER BY the watermark, so that a stopped pull can go on."
    return None


def told(message: str, known: str, secrets: tuple[str, ...]) -> str:
    """A database's message for people: its first line, without secrets, and without quoted values, which could be a patient's.

    Args:
        message: what the driver says.
        known: texts that may be quoted: the query and the parts of the address.
        secrets: passwords, as written and as decoded.
    """
    line = next((line.strip() for line in message.splitlines() if line.strip()), "no message")
    for secret in secrets:
        if secret:
            line = line.replace(secret, "***")
    return re.sub(
        r"([\"'`])(.*?)\1", lambda quoted: quoted[0] if quoted[2] in known else f"{quoted[1]}…{quoted[1]}", line
    )
