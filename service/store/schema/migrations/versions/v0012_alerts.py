"""Alerts that people work on: what the ledger has becomes alerts, by account and streak; nothing is sent.

The newest streak of an account is triggered where its newest occurrence is of the newest month of its source,
else it is resolved as `migrated`; one of which no occurrence is left, as `withdrawn`. The rows are moved by
the database itself.
"""

from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

OPEN: Final = "status IN ('triggered', 'acknowledged')"
OWN: Final = "PARTITION BY o.tenant_id, o.alert_type, o.subject"

FIND_ALERTS: Final = f"""
    UPDATE outbox SET alert_id = found.alert_id
    FROM (
        SELECT id, first_value(id) OVER (PARTITION BY tenant_id, alert_type, subject, streak
                                         ORDER BY created_at, period, id) AS alert_id
        FROM (
            SELECT o.*, sum(begins) OVER ({OWN} ORDER BY period) AS streak
            FROM (
                SELECT o.id, o.tenant_id, o.alert_type, o.subject, o.period, o.created_at,
                       CASE WHEN coalesce(o.facts ->> 'risk_start_month', o.period)
                                 <= lag(o.period) OVER ({OWN} ORDER BY o.period) THEN 0 ELSE 1 END AS begins
                FROM outbox o
            ) AS o
        ) AS o
    ) AS found
    WHERE found.id = outbox.id
"""  # noqa: S608  # our own words

MAKE_ALERTS: Final = f"""
    INSERT INTO alerts (
        id, tenant_id, alert_type, rule_name, message, severity, status, subject, route, version, created_at,
        updated_at, resolved_at, resolved_by, resolution_reason, reopened, previous_alert_id, source_uri,
        began, last_period, evaluated_period, last_seen)
    SELECT alert_id, tenant_id, alert_type,
           CASE alert_type WHEN 'risk_alert' THEN 'account_at_risk' ELSE alert_type END,
           CASE alert_type WHEN 'risk_alert' THEN '🚩 At Risk: ' ELSE '' END
               || coalesce(name, subject) || ' (' || subject || ')',
           CASE WHEN arr >= 100000 AND months >= 3 THEN 'critical'
                WHEN arr >= 100000 OR months >= 3 THEN 'high' ELSE 'medium' END,
           CASE reason WHEN 'open' THEN 'triggered' ELSE 'resolved' END,
           subject, route, 1, created_at, :now,
           CASE reason WHEN 'open' THEN NULL ELSE :now END,
           CASE reason WHEN 'open' THEN NULL ELSE 'system' END,
           CASE reason WHEN 'open' THEN NULL ELSE reason END,
           0, lag(alert_id) OVER (PARTITION BY tenant_id, alert_type, subject ORDER BY period),
           source_uri, began, period, period, 'alerting'
    FROM (
        SELECT o.*, CASE WHEN status = 'withdrawn' THEN 'withdrawn'
                         WHEN period = last_of_subject AND period >= coalesce(newest, period) THEN 'open'
                         ELSE 'migrated' END AS reason
        FROM (
            SELECT o.alert_id, o.tenant_id, o.alert_type, o.subject, o.route, o.period, o.status,
                   r.source_uri, o.facts ->> 'account_name' AS name,
                   CAST(o.facts ->> 'arr' AS bigint) AS arr,
                   CAST(o.facts ->> 'duration_months' AS bigint) AS months,
                   min(coalesce(o.facts ->> 'risk_start_month', o.period))
                       OVER (PARTITION BY o.alert_id) AS began,
                   min(o.created_at) OVER (PARTITION BY o.alert_id) AS created_at,
                   max(CASE o.status WHEN 'withdrawn' THEN '' ELSE o.period END) OVER ({OWN})
                       AS last_of_subject,
                   row_number() OVER (PARTITION BY o.alert_id
                       ORDER BY CASE o.status WHEN 'withdrawn' THEN 1 ELSE 0 END, o.period DESC) AS place,
                   n.newest
            FROM outbox o
            LEFT JOIN runs r ON r.run_id = o.run_id
            LEFT JOIN (
                SELECT tenant_id, kind, source_uri, max(period) AS newest FROM runs
                WHERE NOT dry_run AND (recorded_at IS NOT NULL OR status = 'succeeded')
                GROUP BY tenant_id, kind, source_uri
            ) AS n ON n.tenant_id = r.tenant_id AND n.kind = r.kind AND n.source_uri = r.source_uri
        ) AS o
        WHERE place = 1
    ) AS o
"""  # noqa: S608  # our own words

MAKE_EVENTS: Final = """
    INSERT INTO alert_events (
        alert_id, number, tenant_id, at, event, to_status, by, reason, occurrence_id, period)
    SELECT id, 1, tenant_id, CASE status WHEN 'triggered' THEN created_at ELSE updated_at END,
           status, status, 'system', resolution_reason, id, last_period
    FROM alerts
"""


def upgrade() -> None:
    """Make the tables, and fill them with what the ledger has."""
    _tables()
    op.add_column("outbox", sa.Column("alert_id", sa.String(length=32), nullable=True))
    connection = op.get_bind()
    fill(connection)
    _indexes()
    if connection.dialect.name == "postgresql":
        for table in ("alerts", "alert_events"):
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
            tenant = "current_setting('app.tenant_id', true)"
            op.execute(f"CREATE POLICY tenant ON {table} USING ({tenant} = '*' OR tenant_id = {tenant})")


def fill(connection: sa.Connection) -> None:
    """Make the alerts of a ledger that has none."""
    now = datetime.now(UTC)
    if connection.dialect.name == "sqlite":
        now = now.replace(tzinfo=None)
    at = sa.bindparam("now", now, type_=sa.DateTime(timezone=True))
    connection.execute(sa.text(FIND_ALERTS))
    connection.execute(sa.text(MAKE_ALERTS).bindparams(at))
    connection.execute(sa.text(MAKE_EVENTS))


def _tables() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("alert_type", sa.String(length=32), nullable=False),
        sa.Column("rule_name", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("route", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("dedup_key", sa.Text(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("acknowledgment_note", sa.Text(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.Text(), nullable=True),
        sa.Column("resolution_note", sa.Text(), nullable=True),
        sa.Column("resolution_reason", sa.String(length=16), nullable=True),
        sa.Column("reopened", sa.Integer(), nullable=False),
        sa.Column("previous_alert_id", sa.String(length=32), nullable=True),
        sa.Column("source_uri", sa.Text(), nullable=True),
        sa.Column("began", sa.String(length=40), nullable=True),
        sa.Column("last_period", sa.String(length=40), nullable=True),
        sa.Column("evaluated_period", sa.String(length=40), nullable=True),
        sa.Column("last_seen", sa.String(length=16), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "alert_events",
        sa.Column("alert_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event", sa.String(length=16), nullable=False),
        sa.Column("from_status", sa.String(length=16), nullable=True),
        sa.Column("to_status", sa.String(length=16), nullable=False),
        sa.Column("by", sa.Text(), nullable=True),
        sa.Column("given_by", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("reason", sa.String(length=16), nullable=True),
        sa.Column("occurrence_id", sa.String(length=32), nullable=True),
        sa.Column("period", sa.String(length=40), nullable=True),
        sa.Column("request_id", sa.String(length=128), nullable=True),
        sa.Column("run_id", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("alert_id", "number"),
    )


def _indexes() -> None:
    op.create_index("outbox_by_alert", "outbox", ["alert_id"])
    for name, columns in (
        ("by_age", ["created_at", "id"]),
        ("by_status", ["status", "created_at", "id"]),
        ("by_severity", ["severity", "created_at", "id"]),
        ("by_rule", ["rule_name", "created_at", "id"]),
        ("by_subject", ["subject", "created_at"]),
        ("by_state", ["status", "severity"]),
    ):
        op.create_index(f"alerts_{name}", "alerts", ["tenant_id", *columns])
    for name, columns, key in (
        ("open", ["alert_type", "rule_name", "subject"], "subject"),
        ("open_by_key", ["dedup_key"], "dedup_key"),
    ):
        where = sa.text(f"{OPEN} AND {key} IS NOT NULL")
        op.create_index(
            f"alerts_{name}",
            "alerts",
            ["tenant_id", *columns],
            unique=True,
            sqlite_where=where,
            postgresql_where=where,
        )
    op.create_index("alert_events_by_run", "alert_events", ["run_id", "event"])
