"""Runs can be resumed, cancelled and repeated by key; restated data, decisions and shared paces are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add columns and tables; what there is stays as it is."""
    op.add_column("runs", sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("runs", sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("runs", sa.Column("noticed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("runs", sa.Column("plan_digest", sa.String(length=64), nullable=True))
    op.add_column("runs", sa.Column("withdrawn", sa.Integer(), server_default="0", nullable=False))
    op.add_column("runs", sa.Column("restated", sa.Integer(), server_default="0", nullable=False))
    op.add_column("run_outcomes", sa.Column("restated", sa.Text(), nullable=True))
    op.create_table(
        "run_withdrawals",
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("alert_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("account_name", sa.Text(), nullable=False),
        sa.Column("account_region", sa.Text(), nullable=True),
        sa.Column("duration_months", sa.Integer(), nullable=False),
        sa.Column("duration_is_minimum", sa.Boolean(), nullable=False),
        sa.Column("risk_start_month", sa.String(length=10), nullable=False),
        sa.Column("arr", sa.BigInteger(), nullable=True),
        sa.Column("renewal_date", sa.Date(), nullable=True),
        sa.Column("account_owner", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "alert_id"),
    )
    op.create_table(
        "decisions",
        sa.Column("alert_id", sa.String(length=32), nullable=False),
        sa.Column("claim", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("alert_id", "claim"),
    )
    op.create_table(
        "lanes",
        sa.Column("lane", sa.String(length=64), nullable=False),
        sa.Column("next_turn", sa.Double(), server_default="0", nullable=False),
        sa.Column("paused_until", sa.Double(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("lane"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("idempotency_keys_by_age", "idempotency_keys", ["created_at"], unique=False)
