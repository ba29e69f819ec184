"""The tables of default risk: companies, who sees them, what was predicted of them, and by which models."""

import sqlalchemy as sa

from service.store.schema.tables import PlainValues, UtcTimestamp, metadata, tenant_id_column

IS_KNOWN = "deleted_at IS NULL"
IS_CURRENT = f"is_newest AND {IS_KNOWN}"
"""PostgreSQL's conditions too, as migration 0014 has them: saying so here would load that dialect."""

companies = sa.Table(
    "companies",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    tenant_id_column(),
    sa.Column("organization_id", sa.String(36), nullable=False),
    sa.Column("symbol", sa.String(40), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("sector", sa.Text),
    # In millions.
    sa.Column("market_cap", sa.Double),
    # Times are the database's.
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("updated_at", UtcTimestamp, nullable=False),
    # Nothing of it is shown any more, and another may have its symbol.
    sa.Column("deleted_at", UtcTimestamp),
    sa.Index("companies_by_tenant", "tenant_id", "symbol", "id"),
)
sa.Index(
    "companies_by_symbol",
    *(companies.c.organization_id, companies.c.symbol),
    unique=True,
    sqlite_where=sa.text(IS_KNOWN),
)

company_access = sa.Table(
    "company_access",
    metadata,
    sa.Column("company_id", sa.String(36), primary_key=True),
    # Of the role `user`, who sees no other company.
    sa.Column("user_id", sa.String(36), primary_key=True),
    tenant_id_column(),
    sa.Column("granted_at", UtcTimestamp, nullable=False),
    sa.Column("granted_by", sa.Text, nullable=False),
    sa.Index("company_access_by_user", "user_id"),
)

risk_models = sa.Table(
    "risk_models",
    metadata,
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("horizon", sa.Text, nullable=False),
    sa.Column("trained_on", sa.Text, nullable=False),
    # The model's file: it explains what was predicted with it, for good.
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("added_at", UtcTimestamp, nullable=False),
)

model_activations = sa.Table(
    "model_activations",
    metadata,
    # Of all tenants; of each kind the newest counts.
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    # None: the model that comes with the service.
    sa.Column("sha256", sa.String(64)),
    sa.Column("activated_at", UtcTimestamp, nullable=False),
    sa.Column("activated_by", sa.Text, nullable=False),
)

predictions = sa.Table(
    "predictions",
    metadata,
    # Made of the database's clock and a random part, so that ids follow each other in time.
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("is_newest", sa.Boolean, nullable=False),
    tenant_id_column(),
    sa.Column("organization_id", sa.String(36), nullable=False),
    sa.Column("company_id", sa.String(36), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("reporting_year", sa.Integer, nullable=False),
    # 0: an annual statement.
    sa.Column("reporting_quarter", sa.Integer, nullable=False),
    sa.Column("model_sha256", sa.String(64), nullable=False),
    sa.Column("prior", sa.Double, nullable=False),
    # None, as the level: the model abstained.
    sa.Column("probability", sa.Double),
    sa.Column("risk_level", sa.String(16)),
    sa.Column("intercept", sa.Double, nullable=False),
    # Lists, in the order of the model's ratios.
    sa.Column("ratios", PlainValues, nullable=False),
    sa.Column("contributions", PlainValues, nullable=False),
    # Names, with a space between.
    sa.Column("clamped", sa.Text),
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    # Of the newest version, for all of them.
    sa.Column("deleted_at", UtcTimestamp),
    sa.Index("predictions_by_tenant", "tenant_id", "kind", "id"),
    sa.Index("predictions_by_organization", "organization_id", "kind", "id"),
)
sa.Index(
    "predictions_by_period",
    *(predictions.c.company_id, predictions.c.kind),
    *(predictions.c.reporting_year, predictions.c.reporting_quarter, predictions.c.model_sha256),
    unique=True,
    sqlite_where=sa.text(IS_CURRENT),
)
