"""Alerts, what people did about them, and whom they were sent to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates the tables of alerts, reviews and deliveries."""
    op.create_table(
        "alerts",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("rule", sa.String(64), nullable=False),
        sa.Column("reader", sa.String(16), nullable=False),
        sa.Column("severity", sa.Integer, nullable=False),
        sa.Column("subject_kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("exam_key", sa.BigInteger),
        sa.Column("site_code", sa.String(16), nullable=False),
        sa.Column("modality", sa.String(16), nullable=False),
        sa.Column("device_id", sa.String(255), nullable=False),
        sa.Column("protocol_key", sa.BigInteger, nullable=False),
        sa.Column("happened_on", sa.Date, nullable=False),
        sa.Column("raised_at", sa.DateTime, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
        sa.UniqueConstraint("key", name="uq_alerts_key"),
    )
    op.create_index("ix_alerts_happened_on", "alerts", ["happened_on"])
    op.create_index("ix_alerts_exam_key", "alerts", ["exam_key"])
    op.create_table(
        "reviews",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("alert_id", sa.Integer),
        sa.Column("step", sa.String(32), nullable=False),
        sa.Column("value", sa.JSON, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("audit_seq", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reviews"),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_reviews_alert_id"),
        sa.ForeignKeyConstraint(["audit_seq"], ["audit.seq"], name="fk_reviews_audit_seq"),
        sa.UniqueConstraint("audit_seq", name="uq_reviews_audit_seq"),
    )
    op.create_index("ix_reviews_alert_id", "reviews", ["alert_id"])
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("alert_id", sa.Integer, nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("recipient", sa.String(255), nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_deliveries_alert_id"),
    )
    op.create_index("ix_deliveries_alert_id", "deliveries", ["alert_id"])
