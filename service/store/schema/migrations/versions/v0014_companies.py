"""Companies, who sees them, what was predicted of them, and by which models."""

from typing import Final

import sqlalchemy as sa
from alembic import op

from service.store.schema.tables import PlainValues, UtcTimestamp

revision = "0014"
down_revision = "0013"

_ITS_OWN: Final = "current_setting('app.tenant_id', true) IN ('*', tenant_id)"
_KNOWN: Final = sa.text("deleted_at IS NULL")
_CURRENT: Final = sa.text("is_newest AND deleted_at IS NULL")


def upgrade() -> None:
    """Create the tables; on PostgreSQL a transaction sees the rows of the tenant that it named."""
    _companies()
    _predictions()
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in ("companies", "company_access", "predictions"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON {table} USING ({_ITS_OWN})")


def _companies() -> None:
    op.create_table(
        "companies",
        sa.Column("id", sa.String(36), primary_key=True, nullable=False),
        sa.Column("tenant_id", sa.String(36), nullable=False),
        sa.Column("organization_id", sa.String(36), nullable=False),
        sa.Column("symbol", sa.String(40), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sector", sa.Text),
        sa.Column("market_cap", sa.Double),
        sa.Column("created_at", UtcTimestamp, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("updated_at", UtcTimestamp, nullable=False),
        sa.Column("deleted_at", UtcTimestamp),
    )
    op.create_index("companies_by_tenant", "companies", ["tenant_id", "symbol", "id"])
    _unique("companies", "symbol", ["organization_id", "symbol"], _KNOWN)
    op.create_table(
        "company_access",
        sa.Column("company_id", sa.String(36), primary_key=True, nullable=False),
        sa.Column("user_id", sa.String(36), primary_key=True, nullable=False),
        sa.Column("tenant_id", sa.String(36), nullable=False),
        sa.Column("granted_at", UtcTimestamp, nullable=False),
        sa.Column("granted_by", sa.Text, nullable=False),
    )
    op.create_index("company_access_by_user", "company_access", ["user_id"])


def _predictions() -> None:
    op.create_table(
        "risk_models",
        sa.Column("sha256", sa.String(64), primary_key=True, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("horizon", sa.Text, nullable=False),
        sa.Column("trained_on", sa.Text, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("added_at", UtcTimestamp, nullable=False),
    )
    op.create_table(
        "predictions",
        sa.Column("id", sa.String(32), primary_key=True, nullable=False),
        sa.Column("version", sa.Integer, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("is_newest", sa.Boolean, nullable=False),
        sa.Column("tenant_id", sa.String(36), nullable=False),
        sa.Column("organization_id", sa.String(36), nullable=False),
        sa.Column("company_id", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("reporting_year", sa.Integer, nullable=False),
        sa.Column("reporting_quarter", sa.Integer, nullable=False),
        sa.Column("model_sha256", sa.String(64), nullable=False),
        sa.Column("prior", sa.Double, nullable=False),
        sa.Column("probability", sa.Double),
        sa.Column("risk_level", sa.String(16)),
        sa.Column("intercept", sa.Double, nullable=False),
        sa.Column("ratios", PlainValues, nullable=False),
        sa.Column("contributions", PlainValues, nullable=False),
        sa.Column("clamped", sa.Text),
        sa.Column("created_at", UtcTimestamp, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("deleted_at", UtcTimestamp),
    )
    op.create_index("predictions_by_tenant", "predictions", ["tenant_id", "kind", "id"])
    op.create_index("predictions_by_organization", "predictions", ["organization_id", "kind", "id"])
    key = ["company_id", "kind", "reporting_year", "reporting_quarter", "model_sha256"]
    _unique("predictions", "period", key, _CURRENT)


def _unique(table: str, by: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(
        f"{table}_by_{by}", table, columns, unique=True, sqlite_where=where, postgresql_where=where
    )
