"""An alert gets a type, a subject, a period, a route and facts; rows get a tenant; a month's lease a scope.

What there is becomes the default tenant's, and alerts keep their ids. Rows are moved by the database itself,
table by table, so that a ledger of a million alerts takes seconds.
"""

from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"

TENANT: Final = "7a1c0a4e-5f0e-4d53-9d6b-3c1f2e8b9a60"

FACTS: Final = {
    "sqlite": """
        json_object('account_name', account_name, 'duration_months', duration_months,
                    'duration_is_minimum', json(CASE WHEN duration_is_minimum THEN 'true' ELSE 'false' END),
                    'risk_start_month', risk_start_month, 'arr', arr, 'renewal_date', renewal_date,
                    'account_owner', account_owner)""",
    "postgresql": """
        jsonb_build_object('account_name', account_name, 'duration_months', duration_months,
                           'duration_is_minimum', duration_is_minimum,
                           'risk_start_month', risk_start_month, 'arr', arr,
                           'renewal_date', to_char(renewal_date, 'YYYY-MM-DD'),
                           'account_owner', account_owner)""",
}

ALERT_OUTCOMES: Final = {
    "sqlite": """
        CREATE VIEW alert_outcomes AS
        SELECT id, tenant_id, run_id, subject AS account_id, period AS month, alert_type,
               channel, status, error, error_message, http_status, sent_at, created_at, updated_at,
               facts ->> 'account_name' AS account_name, route AS account_region,
               facts ->> 'duration_months' AS duration_months,
               facts ->> 'duration_is_minimum' AS duration_is_minimum,
               facts ->> 'risk_start_month' AS risk_start_month,
               facts ->> 'arr' AS arr, facts ->> 'renewal_date' AS renewal_date,
               facts ->> 'account_owner' AS account_owner
        FROM outbox WHERE alert_type = 'risk_alert'""",
    "postgresql": """
        CREATE VIEW alert_outcomes AS
        SELECT id, tenant_id, run_id, subject AS account_id, period AS month, alert_type,
               channel, status, error, error_message, http_status, sent_at, created_at, updated_at,
               facts ->> 'account_name' AS account_name, route AS account_region,
               (facts ->> 'duration_months')::integer AS duration_months,
               (facts ->> 'duration_is_minimum')::boolean AS duration_is_minimum,
               facts ->> 'risk_start_month' AS risk_start_month,
               (facts ->> 'arr')::bigint AS arr, (facts ->> 'renewal_date')::date AS renewal_date,
               facts ->> 'account_owner' AS account_owner
        FROM outbox WHERE alert_type = 'risk_alert'""",
}

OPEN: Final = "status IN ('pending', 'sending', 'failed', 'unknown')"


def upgrade() -> None:
    """Make the new tables, move the rows, and drop the old tables."""
    facts = FACTS[op.get_bind().dialect.name]
    _runs()
    _leases_and_keys()
    _outbox(facts)
    _rows_of_runs(facts)
    _doubt_settlements()
    op.execute(ALERT_OUTCOMES[op.get_bind().dialect.name])


def _runs() -> None:
    op.drop_index("runs_by_start", "runs")
    op.drop_index("runs_by_status", "runs")
    _set_aside("runs")
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String(length=40), nullable=False),
        _tenant_id(),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("source_uri", sa.Text(), nullable=False),
        sa.Column("period", sa.String(length=40), nullable=True),
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
        sa.Column("delivery_left_s", sa.Double(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("support_notified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("plan_digest", sa.String(length=64), nullable=True),
        sa.Column("withdrawn", sa.Integer(), server_default="0", nullable=False),
        sa.Column("restated", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("run_id"),
    )
    kept = (
        "run_id, source_uri, dry_run, status, started_at, finished_at, error, error_detail, row_ledger, "
        "warnings, invalid_samples, plan, outcome_counts, progress, expires_at, epoch, delivery_left_s, "
        "recorded_at, cancelled_at, plan_digest, withdrawn, restated"
    )
    _move(
        "runs",
        kept,
        {
            "tenant_id": f"'{TENANT}'",
            "kind": "'account_risk'",
            "scope": "'risk_alert:' || month",
            "period": "month",
            "support_notified_at": "noticed_at",
        },
    )
    op.create_index("runs_by_start", "runs", ["tenant_id", "started_at", "run_id"])
    op.create_index("runs_by_status", "runs", ["tenant_id", "status"])


def _leases_and_keys() -> None:
    op.create_table(
        "leases",
        _tenant_id(),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "scope"),
    )
    columns = {"tenant_id": f"'{TENANT}'", "scope": "'risk_alert:' || month"}
    _move("leases", "epoch, run_id", columns, source="month_leases")
    op.drop_index("idempotency_keys_by_age", "idempotency_keys")
    _set_aside("idempotency_keys")
    op.create_table(
        "idempotency_keys",
        _tenant_id(),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "key"),
    )
    _move("idempotency_keys", "key, request_hash, run_id, created_at", {"tenant_id": f"'{TENANT}'"})
    op.create_index("idempotency_keys_by_age", "idempotency_keys", ["created_at"])


def _outbox(facts: str) -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.String(length=32), nullable=False),
        _tenant_id(),
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        *_alert(),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("error", sa.String(length=32), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("claims", sa.Integer(), server_default="0", nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rate_limits", sa.Integer(), server_default="0", nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "alert_type", "subject", "period"),
    )
    kept = (
        "id, run_id, alert_type, channel, status, error, error_message, http_status, sent_at, created_at, "
        "updated_at, position, payload, claims, claimed_at, retries, rate_limits, not_before"
    )
    columns = {
        "tenant_id": f"'{TENANT}'",
        "scope": "alert_type || ':' || month",
        "subject": "account_id",
        "period": "month",
        "route": "account_region",
        "facts": facts,
    }
    _move("outbox", kept, columns, source="alert_outcomes")
    op.create_index("outbox_by_scope", "outbox", ["tenant_id", "scope"])
    op.create_index("outbox_by_run", "outbox", ["run_id", "position"])
    op.create_index(
        "outbox_open",
        "outbox",
        ["tenant_id", "status"],
        sqlite_where=sa.text(OPEN),
        postgresql_where=sa.text(OPEN),
    )


def _rows_of_runs(facts: str) -> None:
    of_alert = {
        "alert_type": "'risk_alert'",
        "subject": "account_id",
        # A row of a run that is gone has no month that could be told.
        "period": "coalesce((SELECT r.period FROM runs r WHERE r.run_id = old.run_id), '')",
        "route": "account_region",
        "facts": facts,
    }
    _set_aside("run_outcomes")
    op.create_table(
        "run_outcomes",
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.String(length=32), nullable=False),
        *_alert(),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("restated", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", "position"),
    )
    kept = (
        "run_id, position, alert_id, channel, outcome, reason, error_message, http_status, attempts, restated"
    )
    _move("run_outcomes", kept, of_alert)
    _set_aside("run_withdrawals")
    op.create_table(
        "run_withdrawals",
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("alert_id", sa.String(length=32), nullable=False),
        *_alert(),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "alert_id"),
    )
    _move("run_withdrawals", "run_id, alert_id, channel, status", of_alert)


def _doubt_settlements() -> None:
    op.create_table(
        "doubt_settlements",
        sa.Column("alert_id", sa.String(length=32), nullable=False),
        sa.Column("claim", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("settled_as", sa.String(length=16), nullable=False),
        sa.Column("settled_by", sa.Text(), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("alert_id", "claim"),
    )
    columns = {"settled_as": "decision", "settled_by": "decided_by", "settled_at": "decided_at"}
    _move("doubt_settlements", "alert_id, claim, run_id, note", columns, source="decisions")


def _tenant_id() -> sa.Column[str]:
    return sa.Column("tenant_id", sa.String(length=36), nullable=False)


def _alert() -> tuple[sa.Column[str], ...]:
    return (
        sa.Column("alert_type", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("period", sa.String(length=40), nullable=False),
        sa.Column("route", sa.Text(), nullable=True),
        sa.Column("facts", sa.Text().with_variant(JSONB(), "postgresql"), nullable=False),
    )


def _set_aside(table: str) -> None:
    """Make room for a table of the same name, and in PostgreSQL for its key's."""
    op.rename_table(table, f"old_{table}")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE old_{table} RENAME CONSTRAINT {table}_pkey TO old_{table}_pkey")


def _move(table: str, kept: str, made: Mapping[str, str], *, source: str | None = None) -> None:
    """Fill a table from the old one, by default the one set aside, which is dropped."""
    source = source or f"old_{table}"
    op.execute(
        f"INSERT INTO {table} ({kept}, {', '.join(made)}) "  # noqa: S608  # our own names
        f"SELECT {kept}, {', '.join(made.values())} FROM {source} old"
    )
    op.drop_table(source)
