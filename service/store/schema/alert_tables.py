"""The tables of alerts: a problem over time, every event in its life, and what its messages are to show."""

import sqlalchemy as sa

from service.store.schema.tables import UtcTimestamp, metadata, tenant_id_column

IS_OPEN = "status IN ('triggered', 'acknowledged')"

alerts = sa.Table(
    "alerts",
    metadata,
    # That of its first recorded occurrence, or made up for one that was created.
    sa.Column("id", sa.String(32), primary_key=True),
    tenant_id_column(),
    sa.Column("alert_type", sa.String(32), nullable=False),
    sa.Column("rule_name", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("severity", sa.String(16), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("subject", sa.Text),
    sa.Column("route", sa.Text),
    sa.Column("channel", sa.Text),
    sa.Column("dedup_key", sa.Text),
    # How many changes it has seen: the number of its newest event.
    sa.Column("version", sa.Integer, nullable=False),
    # Times are the database's.
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Column("updated_at", UtcTimestamp, nullable=False),
    sa.Column("acknowledged_at", UtcTimestamp),
    sa.Column("acknowledged_by", sa.Text),
    sa.Column("acknowledgment_note", sa.Text),
    sa.Column("resolved_at", UtcTimestamp),
    sa.Column("resolved_by", sa.Text),
    sa.Column("resolution_note", sa.Text),
    sa.Column("resolution_reason", sa.String(16)),
    sa.Column("reopened", sa.Integer, nullable=False),
    sa.Column("previous_alert_id", sa.String(32)),
    # Of what runs find: where its newest occurrence was found, and of which periods it is.
    sa.Column("source_uri", sa.Text),
    sa.Column("began", sa.String(40)),
    sa.Column("last_period", sa.String(40)),
    sa.Column("evaluated_period", sa.String(40)),
    sa.Column("last_seen", sa.String(16)),
    sa.Index("alerts_by_age", "tenant_id", "created_at", "id"),
    sa.Index("alerts_by_status", "tenant_id", "status", "created_at", "id"),
    sa.Index("alerts_by_severity", "tenant_id", "severity", "created_at", "id"),
    sa.Index("alerts_by_rule", "tenant_id", "rule_name", "created_at", "id"),
    sa.Index("alerts_by_route", "tenant_id", "route", "created_at", "id"),
    sa.Index("alerts_by_subject", "tenant_id", "subject", "created_at"),
    sa.Index("alerts_by_state", "tenant_id", "status", "severity"),
)
sa.Index(
    "alerts_open",
    *(alerts.c.tenant_id, alerts.c.alert_type, alerts.c.rule_name, alerts.c.subject),
    unique=True,
    sqlite_where=sa.text(f"{IS_OPEN} AND subject IS NOT NULL"),
)
sa.Index(
    "alerts_open_by_key",
    *(alerts.c.tenant_id, alerts.c.dedup_key),
    unique=True,
    sqlite_where=sa.text(f"{IS_OPEN} AND dedup_key IS NOT NULL"),
)

alert_events = sa.Table(
    "alert_events",
    metadata,
    sa.Column("alert_id", sa.String(32), primary_key=True),
    # The version of the alert after it: each change has its event, and each event its change.
    sa.Column("number", sa.Integer, primary_key=True),
    tenant_id_column(),
    sa.Column("at", UtcTimestamp, nullable=False),
    sa.Column("event", sa.String(16), nullable=False),
    sa.Column("from_status", sa.String(16)),
    sa.Column("to_status", sa.String(16), nullable=False),
    # Who: the principal, or whom a caller that nobody asked for an identity named.
    sa.Column("by", sa.Text),
    sa.Column("given_by", sa.Text),
    sa.Column("note", sa.Text),
    sa.Column("reason", sa.String(16)),
    sa.Column("occurrence_id", sa.String(32)),
    sa.Column("period", sa.String(40)),
    sa.Column("request_id", sa.String(128)),
    sa.Column("run_id", sa.String(40)),
    sa.Index("alert_events_by_run", "run_id", "event"),
)

message_updates = sa.Table(
    "message_updates",
    metadata,
    # The occurrence whose message shows, or is to show, what has become of its alert since.
    sa.Column("occurrence_id", sa.String(32), primary_key=True),
    tenant_id_column(),
    # Counts what there was to show: an answer belongs to the change that it was asked for.
    sa.Column("change", sa.Integer, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    # What a later evaluation has in place of what was sent, as JSON; null: the same.
    sa.Column("facts", sa.Text),
    sa.Column("changed_at", UtcTimestamp, nullable=False),
    sa.Column("shown_at", UtcTimestamp),
    # In vain since it changed, and when it may be tried again.
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("not_before", UtcTimestamp),
    sa.Column("error", sa.String(32)),
    sa.Column("error_message", sa.Text),
)
IS_DUE = "status = 'due'"
IS_RESTATED = "facts IS NOT NULL"
for _name, _condition in (("message_updates_due", IS_DUE), ("message_updates_restated", IS_RESTATED)):
    sa.Index(_name, message_updates.c.tenant_id, sqlite_where=sa.text(_condition))
