"""The tables. Nothing is ever deleted from `outbox`: replays look at it.

The view `alert_outcomes` shows it in the words of accounts and months, for people who read it in SQL.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import sqlalchemy as sa

NEWEST_REVISION = "0023"
"""The migration that this version of the service knows as its last; a database beyond it is refused."""

metadata = sa.MetaData()


class UtcTimestamp(sa.types.TypeDecorator[datetime]):
    """An aware UTC timestamp; SQLite, which knows no zones, stores it naive."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Convert to UTC, and drop the zone where the database has none."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Give every timestamp its zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class PlainValues(sa.types.TypeDecorator[Any]):
    """Plain values as JSON: text in SQLite, `jsonb` in PostgreSQL."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Return the column's type."""
        if dialect.name != "postgresql":
            return dialect.type_descriptor(sa.Text())
        from sqlalchemy.dialects.postgresql import JSONB  # noqa: PLC0415  # slow, and rarely needed

        return dialect.type_descriptor(JSONB())

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[Any], str]:
        """Return what writes: twelve times as fast as the standard library's."""
        del dialect
        return lambda value: orjson.dumps(value).decode()

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[str], Any] | None:
        """Return what reads; in PostgreSQL the driver does, with the engine's `json_deserializer`."""
        del coltype
        return None if dialect.name == "postgresql" else orjson.loads


def _alert() -> tuple[sa.Column[Any], ...]:
    """Return an alert: in the outbox as last evaluated, in a run's rows as that run saw it."""
    return (
        sa.Column("alert_type", sa.String(32), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("period", sa.String(40), nullable=False),
        # What leads it to a channel: a column, since people filter on it.
        sa.Column("route", sa.Text),
        sa.Column("facts", PlainValues, nullable=False),
    )


ALERT = tuple(column.name for column in _alert())


def tenant_id_column(*, primary_key: bool = False) -> sa.Column[str]:
    """Return whose rows these are."""
    return sa.Column("tenant_id", sa.String(36), primary_key=primary_key, nullable=False)


runs = sa.Table(
    "runs",
    metadata,
    sa.Column("run_id", sa.String(40), primary_key=True),
    tenant_id_column(),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("scope", sa.Text, nullable=False),
    # What only one run at a time may work on, where that is more than the scope.
    sa.Column("lease", sa.Text),
    sa.Column("source_uri", sa.Text, nullable=False),
    sa.Column("period", sa.String(40)),
    sa.Column("dry_run", sa.Boolean, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("started_at", UtcTimestamp, nullable=False),
    sa.Column("finished_at", UtcTimestamp),
    sa.Column("error", sa.String(64)),
    sa.Column("error_detail", sa.Text),
    # What the evaluation found, as JSON: written once, read whole.
    sa.Column("row_ledger", sa.Text),
    sa.Column("warnings", sa.Text),
    sa.Column("invalid_samples", sa.Text),
    sa.Column("plan", sa.Text),
    # Alerts per outcome, and of unknown regions; written when the run is closed.
    sa.Column("outcome_counts", sa.Text),
    sa.Column("progress", sa.Text),
    # Seconds since 1970 by the database's clock; a running run past it is taken for dead.
    sa.Column("expires_at", sa.Double, nullable=False),
    sa.Column("epoch", sa.Integer),
    # Seconds until its delivery deadline as of its last claim: downtime does not count.
    sa.Column("delivery_left_s", sa.Double),
    # When its alerts went into the outbox: from then on it can be resumed.
    sa.Column("recorded_at", UtcTimestamp),
    # When somebody asked that nothing more leaves; such a run is never resumed.
    sa.Column("cancelled_at", UtcTimestamp),
    # When support was notified of what had no channel: a resumed run does not notify again.
    sa.Column("support_notified_at", UtcTimestamp),
    sa.Column("plan_digest", sa.String(64)),
    # Alerts of earlier runs that this evaluation took back, or has with other facts.
    sa.Column("withdrawn", sa.Integer, nullable=False, server_default="0"),
    sa.Column("restated", sa.Integer, nullable=False, server_default="0"),
    sa.Index("runs_by_start", "tenant_id", "started_at", "run_id"),
    sa.Index("runs_by_status", "tenant_id", "status"),
    sa.Index("runs_by_kind", "kind", "status", "finished_at"),
)

leases = sa.Table(
    "leases",
    metadata,
    tenant_id_column(primary_key=True),
    # What only one run at a time may work on, most often a scope such as `risk_alert:2026-01-01`.
    sa.Column("scope", sa.Text, primary_key=True),
    # Counts its holders, so that none can act under another's claim.
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("run_id", sa.String(40), nullable=False),
)

checkpoints = sa.Table(
    "checkpoints",
    metadata,
    # What a run leaves for the one of the same lease that begins where it ended.
    tenant_id_column(primary_key=True),
    sa.Column("lease", sa.String(200), primary_key=True),
    sa.Column("until", sa.String(40), primary_key=True),
    sa.Column("begins", sa.String(40), nullable=False),
    sa.Column("run_id", sa.String(40), nullable=False),
    # Equal contents have equal digests; `follows` is that of the checkpoint which the run began with.
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("follows", sa.String(64)),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("left_at", UtcTimestamp, nullable=False),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    tenant_id_column(),
    # The run whose evaluation this row holds, and the lease under which it may be changed.
    sa.Column("run_id", sa.String(40), nullable=False),
    sa.Column("scope", sa.Text, nullable=False),
    # The alert that people work on, of which this row is one occurrence.
    sa.Column("alert_id", sa.String(32)),
    *_alert(),
    sa.Column("channel", sa.Text),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("error", sa.String(32)),
    sa.Column("error_message", sa.Text),
    sa.Column("http_status", sa.Integer),
    sa.Column("sent_at", UtcTimestamp),
    sa.Column("created_at", UtcTimestamp, nullable=False),
    sa.Column("updated_at", UtcTimestamp, nullable=False),
    # The order of sending, what is sent, and who has it in hand.
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("payload", sa.Text),
    sa.Column("claims", sa.Integer, nullable=False, server_default="0"),
    sa.Column("claimed_at", UtcTimestamp),
    # What it has spent in the run that recorded it, and when it may be tried again there.
    sa.Column("retries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("rate_limits", sa.Integer, nullable=False, server_default="0"),
    sa.Column("not_before", UtcTimestamp),
    # Where a bot's message stands: the channel's id, and the timestamp that is the message's id there.
    sa.Column("slack_channel", sa.String(32)),
    sa.Column("slack_ts", sa.String(32)),
    # The claim of it that was looked for in Slack's history, in vain, for long enough.
    sa.Column("reconciled_claim", sa.Integer),
    sa.UniqueConstraint("tenant_id", "alert_type", "subject", "period"),
    sa.Index("outbox_by_scope", "tenant_id", "scope"),
    sa.Index("outbox_by_run", "run_id", "position"),
    sa.Index("outbox_by_alert", "alert_id"),
)
IS_OPEN = "status IN ('pending', 'sending', 'failed', 'unknown')"
"""SQLite uses the index below only for queries that say its condition in the same words.

It is PostgreSQL's condition too, as migration 0007 has it: `postgresql_where` would load that dialect here,
and every command on SQLite would wait for it.
"""
sa.Index(
    "outbox_open",
    outbox.c.tenant_id,
    outbox.c.status,
    sqlite_where=sa.text(IS_OPEN),
)

run_outcomes = sa.Table(
    "run_outcomes",
    metadata,
    sa.Column("run_id", sa.String(40), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("alert_id", sa.String(32), nullable=False),
    *_alert(),
    sa.Column("channel", sa.Text),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(32)),
    sa.Column("error_message", sa.Text),
    sa.Column("http_status", sa.Integer),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    # What was sent before and reads otherwise now, as JSON: {"arr": [before, now]}.
    sa.Column("restated", sa.Text),
    sa.Index("run_outcomes_in_digest", "alert_id", sqlite_where=sa.text("outcome = 'in_digest'")),
)

run_withdrawals = sa.Table(
    "run_withdrawals",
    metadata,
    # What an earlier run of the same source and scope had as an alert, and this run's evaluation has not.
    sa.Column("run_id", sa.String(40), primary_key=True),
    sa.Column("alert_id", sa.String(32), primary_key=True),
    *_alert(),
    sa.Column("channel", sa.Text),
    # As it was found: `sent` stays sent and is only reported, `pending` and `failed` became `withdrawn`.
    sa.Column("status", sa.String(16), nullable=False),
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("alert_id", sa.String(32), primary_key=True),
    # The claim under which the POST was made.
    sa.Column("claim", sa.Integer, primary_key=True),
    sa.Column("run_id", sa.String(40), nullable=False),
    sa.Column("claimed_at", UtcTimestamp, nullable=False),
    sa.Column("settled_at", UtcTimestamp, nullable=False),
    sa.Column("http_status", sa.Integer),
    sa.Column("retry_after_s", sa.Double),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("error", sa.String(32)),
    sa.Column("error_message", sa.Text),
    sa.Index("attempts_by_age", "settled_at"),
)

doubt_settlements = sa.Table(
    "doubt_settlements",
    metadata,
    # How a person settled an alert in doubt: once for each claim that ended so.
    sa.Column("alert_id", sa.String(32), primary_key=True),
    sa.Column("claim", sa.Integer, primary_key=True),
    sa.Column("run_id", sa.String(40), nullable=False),
    sa.Column("settled_as", sa.String(16), nullable=False),
    sa.Column("settled_by", sa.Text, nullable=False),
    # Whom the request named, where the caller was somebody else.
    sa.Column("given_by", sa.Text),
    sa.Column("settled_at", UtcTimestamp, nullable=False),
    sa.Column("note", sa.Text),
)

lanes = sa.Table(
    "lanes",
    metadata,
    # A hash of the destination: its URL is a secret.
    sa.Column("lane", sa.String(64), primary_key=True),
    # Seconds since 1970 by the database's clock: the pace that all processes share.
    sa.Column("next_turn", sa.Double, nullable=False, server_default="0"),
    sa.Column("paused_until", sa.Double, nullable=False, server_default="0"),
    # How long the pause was: one that ends further ahead than that was booked before the clock was put back.
    sa.Column("pause_s", sa.Double),
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    tenant_id_column(primary_key=True),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("request_hash", sa.String(64), nullable=False),
    sa.Column("run_id", sa.String(40), nullable=False),
    # Seconds since 1970 by the database's clock.
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Index("idempotency_keys_by_age", "created_at"),
)

health_probe = sa.Table(
    "health_probe",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("ballast", sa.LargeBinary, nullable=False),
)

last_commits = sa.Table(
    "last_commits",
    metadata,
    # A name that each process makes up. Rows of processes that have not written for a day are deleted.
    sa.Column("process", sa.String(32), primary_key=True),
    # Counts the process's transactions: written by each, so that the last one committed is the one seen here.
    sa.Column("number", sa.BigInteger, nullable=False),
    # Seconds since 1970 by the database's clock.
    sa.Column("made_at", sa.Double, nullable=False),
)
