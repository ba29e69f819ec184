"""The first schema: runs, leases, the outbox, what each run did, and every POST."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create all tables."""
    op.create_table(
        "alert_outcomes",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("month", sa.String(length=10), nullable=False),
        sa.Column("alert_type", sa.String(length=32), server_default="risk_alert", nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("error", sa.String(length=32), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_name", sa.Text(), nullable=False),
        sa.Column("account_region", sa.Text(), nullable=True),
        sa.Column("duration_months", sa.Integer(), nullable=False),
        sa.Column("duration_is_minimum", sa.Boolean(), nullable=False),
        sa.Column("risk_start_month", sa.String(length=10), nullable=False),
        sa.Column("arr", sa.BigInteger(), nullable=True),
        sa.Column("renewal_date", sa.Date(), nullable=True),
        sa.Column("account_owner", sa.Text(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("claims", sa.Integer(), server_default="0", nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("account_id", "month", "alert_type"),
    )
    op.create_index("alert_outcomes_by_month", "alert_outcomes", ["month"], unique=False)
    op.create_index("alert_outcomes_by_run", "alert_outcomes", ["run_id", "position"], unique=False)
    op.create_index(
        "alert_outcomes_open",
        "alert_outcomes",
        ["status"],
        unique=False,
        sqlite_where=sa.text("status IN ('pending', 'sending', 'failed', 'unknown')"),
        postgresql_where=sa.text("status IN ('pending', 'sending', 'failed', 'unknown')"),
    )
    op.create_table(
        "attempts",
        sa.Column("alert_id", sa.String(length=32), nullable=False),
        sa.Column("claim", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("retry_after_s", sa.Double(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("error", sa.String(length=32), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("alert_id", "claim"),
    )
    op.create_table(
        "health_probe",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("ballast", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "month_leases",
        sa.Column("month", sa.String(length=10), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("month"),
    )
    op.create_table(
        "run_outcomes",
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("account_name", sa.Text(), nullable=False),
        sa.Column("account_region", sa.Text(), nullable=True),
        sa.Column("duration_months", sa.Integer(), nullable=False),
        sa.Column("duration_is_minimum", sa.Boolean(), nullable=False),
        sa.Column("risk_start_month", sa.String(length=10), nullable=False),
        sa.Column("arr", sa.BigInteger(), nullable=True),
        sa.Column("renewal_date", sa.Date(), nullable=True),
        sa.Column("account_owner", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "position"),
    )
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("source_uri", sa.Text(), nullable=False),
        sa.Column("month", sa.String(length=10), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(length=64), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.Column("row_ledger", sa.Text(), nullable=True),
        sa.Column("warnings", sa.Text(), nullable=True),
        sa.Column("invalid_samples", sa.Text(), nullable=True),
        sa.Column("plan", sa.Text(), nullable=True),
        sa.Column("outcome_counts", sa.Text(), nullable=True),
        sa.Column("progress", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_index("runs_by_start", "runs", ["started_at", "run_id"], unique=False)
    op.create_index("runs_by_status", "runs", ["status"], unique=False)
