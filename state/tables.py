"""Every table of the state, in SQLAlchemy; the migrations create exactly these."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


class UtcTime(TypeDecorator[datetime]):
    """A point in time, stored in UTC, aware in Python; a naive one is refused."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """The time in UTC, without zone, as the column holds it."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone; state keeps points in time, in UTC")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """The stored time with its zone, UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


users = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("username", String(64), nullable=False, unique=True, comment="Lower case; what is typed to sign in."),
    Column("display_name", String(120), nullable=False),
    Column("roles", JSON, nullable=False, comment="List of role names; their permissions stand in state/roles.py."),
    Column("sites", JSON(none_as_null=True), comment="List of site codes that may be seen; null is all of them."),
    Column(
        "departments", JSON(none_as_null=True), comment="List of ordering departments that may be seen; null is all."
    ),
    Column("password_hash", Text, nullable=False, comment="Argon2id, with its own salt and parameters."),
    Column("disabled", Boolean, nullable=False, server_default=false()),
    Column(
        "session_version",
        Integer,
        nullable=False,
        server_default=text("1"),
        comment="Raised by every change of rights or password; sessions begun under a lower one are over.",
    ),
    Column("failed_attempts", Integer, nullable=False, server_default=text("0"), comment="Since the last success."),
    Column("locked_until", UtcTime),
    Column("created_at", UtcTime, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", String(64), primary_key=True, comment="Of the random token in the reader's cookie."),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), comment="Null for a person of the demo."),
    Column("demo_person", String(64), comment="Key of a person of the demo; null for an account."),
    Column("session_version", Integer, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False, comment="Last request, to within half a minute."),
    Index("ix_sessions_started_at", "started_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False, comment="1, 2, 3 …, without a gap."),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(64), nullable=False, comment="User name, `demo:…`, `system`, or `unknown`."),
    Column("action", String(64), nullable=False),
    Column("target", String(255), nullable=False),
    Column("detail", Text, nullable=False, comment="JSON, keys in order: the text that the hash was made of."),
    Column("previous_hash", String(64), nullable=False, unique=True),
    Column("hash", String(64), nullable=False, comment="HMAC-SHA-256 over the row and previous_hash."),
    Index("ix_audit_at", "at"),
)

settings_seen = Table(
    "settings_seen",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("shown", JSON, nullable=False, comment="All settings with secrets masked."),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(32), nullable=False, comment="What is decided; see state/decisions.py."),
    Column("subject", String(255), nullable=False, comment="What it is about: a key of the star, a device."),
    Column("value", JSON, nullable=False, comment="What was decided."),
    Column("reason", Text, nullable=False),
    Column("decided_by", String(64), nullable=False),
    Column("decided_at", UtcTime, nullable=False),
    Column("revoked_by", String(64), comment="Null while it stands."),
    Column("revoked_at", UtcTime),
    Column("revoked_reason", Text),
    Index("ix_decisions_kind", "kind", "subject"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column(
        "key", String(255), nullable=False, unique=True, comment="Rule and what crossed it: raised once, never again."
    ),
    Column("rule", String(64), nullable=False, comment="Identifier of the rule."),
    Column("reader", String(16), nullable=False, comment="limit, group, size, drift, low or legal: what found it."),
    Column("severity", Integer, nullable=False, comment="3 act today, 2 review, 1 look."),
    Column("subject_kind", String(16), nullable=False, comment="event, exam, patient or protocol."),
    Column("subject", String(64), nullable=False, comment="Key in the star, as text."),
    Column("exam_key", BigInteger, comment="Exam that raised it; null for a protocol's drift."),
    Column("site_code", String(16), nullable=False),
    Column("modality", String(16), nullable=False),
    Column("device_id", String(255), nullable=False),
    Column("protocol_key", BigInteger, nullable=False),
    Column("happened_on", Date, nullable=False, comment="Local day of the exam, or first day of the drift."),
    Column("raised_at", UtcTime, nullable=False),
    Column("evidence", JSON, nullable=False, comment="Value, limit, frozen baseline, causes and twins as they were."),
    Index("ix_alerts_happened_on", "happened_on"),
    Index("ix_alerts_exam_key", "exam_key"),
)

reviews = Table(
    "reviews",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("alert_id", ForeignKey("alerts.id"), comment="Null for the sign-off of a period."),
    Column("step", String(32), nullable=False, comment="See state/reviews.py."),
    Column("value", JSON, nullable=False, comment="Reason, action, assignee, due day, period: what the step says."),
    Column("text", Text, nullable=False, comment="Free words of the reviewer."),
    Column("actor", String(64), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column(
        "audit_seq", ForeignKey("audit.seq"), nullable=False, unique=True, comment="Row of the audit that seals it."
    ),
    Column("digest", String(64), nullable=False, comment="Of all of the above; the same stands in the audit's row."),
    Index("ix_reviews_alert_id", "alert_id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("alert_id", ForeignKey("alerts.id"), nullable=False),
    Column("channel", String(16), nullable=False, comment="mail or webhook."),
    Column("recipient", String(255), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("error", Text, comment="Why it was not delivered; null where it was."),
    Index("ix_deliveries_alert_id", "alert_id"),
)

saved_views = Table(
    "saved_views",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("owner", String(64), nullable=False, comment="User name."),
    Column("page", String(64), nullable=False, comment="Path of the page."),
    Column("name", String(64), nullable=False),
    Column("query", Text, nullable=False, comment="What stands in the address behind its `?`: choices, never data."),
    Column("is_shared", Boolean, nullable=False, comment="Whether all who may open the page see it."),
    Column("kept_at", UtcTime, nullable=False),
    UniqueConstraint("owner", "page", "name"),
    Index("ix_saved_views_page", "page"),
)
