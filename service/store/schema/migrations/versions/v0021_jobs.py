"""Bulk jobs: what was asked for, what was uploaded, and what became of each row."""

import sqlalchemy as sa
from alembic import op

from service.store.schema.tables import UtcTimestamp

revision = "0021"
down_revision = "0020"

_ITS_OWN = "current_setting('app.tenant_id', true) IN ('*', tenant_id)"
_TABLES = ("jobs", "job_uploads", "job_rows")


def upgrade() -> None:
    """Create the tables; on PostgreSQL a transaction sees the rows of the tenant that it named."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("tenant_id", sa.String(36), nullable=False),
        sa.Column("organization_id", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("file_name", sa.Text, nullable=False),
        sa.Column("source_uri", sa.Text),
        sa.Column("sheet", sa.Text),
        sa.Column("units", sa.String(16)),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("model_sha256", sa.String(64), nullable=False),
        sa.Column("prior", sa.Double, nullable=False),
        sa.Column("thresholds", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", UtcTimestamp, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("started_at", UtcTimestamp),
        sa.Column("finished_at", UtcTimestamp),
        sa.Column("error", sa.String(64)),
        sa.Column("error_detail", sa.Text),
        sa.Column("next_row", sa.BigInteger, nullable=False),
        sa.Column("scored", sa.BigInteger, nullable=False),
        sa.Column("abstained", sa.BigInteger, nullable=False),
        sa.Column("duplicate", sa.BigInteger, nullable=False),
        sa.Column("invalid", sa.BigInteger, nullable=False),
        sa.Column("rows_total", sa.BigInteger),
        sa.Column("source_version", sa.Text),
        sa.Column("progress", sa.Text),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("takes", sa.Integer, nullable=False),
        sa.Column("cancelled_at", UtcTimestamp),
    )
    op.create_index("jobs_by_age", "jobs", ["tenant_id", "created_at", "id"])
    op.create_index("jobs_by_status", "jobs", ["status", "created_at"])
    op.create_table(
        "job_uploads",
        sa.Column("job_id", sa.String(36), primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("tenant_id", sa.String(36), nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "job_rows",
        sa.Column("job_id", sa.String(36), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("tenant_id", sa.String(36), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("company_symbol", sa.Text),
        sa.Column("prediction_id", sa.String(36)),
        sa.Column("problem", sa.Text),
    )
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON {table} USING ({_ITS_OWN})")
